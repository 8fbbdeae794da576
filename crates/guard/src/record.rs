//! The audit event of one judgement.

use clampd_detect::Findings;
use clampd_model::{AuditEvent, PiiCount, PolicyAction, Verdict};
use serde_json::{Map, Value};

use crate::{Decision, Micros, Refusal, Snapshot, decide::add, tool_call::Admitted};

/// The most values that a masked copy of parameters keeps.
const MASKED_VALUES_MAX: usize = 64;

/// What an event says of who asked, before anything is judged.
pub(crate) fn begin(admitted: &Admitted, snapshot: &Snapshot, action: &str) -> AuditEvent {
    let Admitted { caller, meta, .. } = admitted;
    AuditEvent {
        event_id: meta.request_id.clone(),
        request_id: meta.request_id.clone(),
        trace_id: meta.trace_id().map(str::to_owned),
        org_id: caller.org_id.clone(),
        agent_id: caller.agent.to_string(),
        agent_name: caller.name.clone(),
        session_id: meta.session_id.clone(),
        tool_action: action.to_owned(),
        delegation_chain: meta
            .delegation
            .chain
            .iter()
            .map(ToString::to_string)
            .collect(),
        delegation_trace_id: meta.delegation.trace_id.clone(),
        bundle_revision: snapshot.revision(),
        timestamp: meta.started,
        ..AuditEvent::default()
    }
}

/// Adds what was asked of a tool; `hash` is what a micro-token of the call is bound to.
pub(crate) fn with_params(event: AuditEvent, tool: &str, params: &Value, hash: &str) -> AuditEvent {
    let mut room = MASKED_VALUES_MAX;
    AuditEvent {
        tool_name: tool.to_owned(),
        params_hash: Some(hash.to_owned()),
        params_masked: Some(masked(params, &mut room)),
        ..event
    }
}

/// Adds what was decided.
pub(crate) fn with_decision(mut event: AuditEvent, decision: &Decision) -> AuditEvent {
    mark(&mut event, &decision.marks);
    AuditEvent {
        encodings_detected: decision.encodings.clone(),
        risk_score: decision.risk,
        assessed_risk: decision.risk.level(),
        classification: decision.classification,
        labels: decision.labels.clone(),
        matched_rules: decision.matched_rules.clone(),
        policy_action: decision.verdict.into(),
        policy_reason: decision.explained(),
        blocked: !decision.verdict.lets_pass(),
        denial_reason: decision.denial_reason.clone(),
        ..event
    }
}

/// Adds what is to be known of an answer that went on.
pub(crate) fn with_answer(mut event: AuditEvent, decision: &Decision) -> AuditEvent {
    mark(&mut event, &decision.marks);
    if decision.verdict != Verdict::Flag || event.blocked {
        return event;
    }
    add(&mut event.matched_rules, &decision.matched_rules);
    add(&mut event.labels, &decision.labels);
    add(&mut event.encodings_detected, &decision.encodings);
    if event.policy_action == PolicyAction::Allow {
        event.policy_action = PolicyAction::Flag;
        event.policy_reason = decision.explained();
        event.classification = decision.classification;
    }
    event.risk_score = event.risk_score.max(decision.risk);
    event.assessed_risk = event.risk_score.level();
    event
}

/// Adds what did not count of what was found, each mark once.
pub(crate) fn mark(event: &mut AuditEvent, marks: &[String]) {
    add(&mut event.session_flags, marks);
}

/// Adds that the request was refused, for a reason that is no judgement of its content.
pub(crate) fn with_refusal(event: AuditEvent, refusal: &Refusal) -> AuditEvent {
    AuditEvent {
        policy_action: PolicyAction::Deny,
        policy_reason: refusal.message.clone(),
        blocked: true,
        denial_reason: Some(refusal.code.as_str().to_owned()),
        scope_granted: None,
        ..event
    }
}

/// Adds how long it took.
pub(crate) fn end(event: AuditEvent, now: Micros) -> AuditEvent {
    AuditEvent {
        latency_us: now.saturating_sub(event.timestamp),
        ..event
    }
}

/// Personal data and secrets by kind.
pub(crate) fn sensitive_counts(findings: &Findings) -> PiiCount {
    let mut counts = findings.pii_counts();
    counts.extend(findings.secret_counts());
    counts
}

/// Adds personal data and secrets by kind.
pub(crate) fn add_sensitive(counts: &mut PiiCount, findings: &Findings) {
    for (kind, count) in sensitive_counts(findings) {
        let total = counts.entry(kind).or_default();
        *total = total.saturating_add(count);
    }
}

/// The shape of a value without what it says: kinds and lengths. A key that is no plain name is
/// masked too.
fn masked(value: &Value, room: &mut usize) -> Value {
    if *room == 0 {
        return Value::String("more".into());
    }
    *room -= 1;
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => Value::String("boolean".into()),
        Value::Number(_) => Value::String("number".into()),
        Value::String(text) => Value::String(format!("string of {} bytes", text.len())),
        Value::Array(items) => Value::Array(
            items
                .iter()
                .take(*room)
                .map(|item| masked(item, room))
                .collect(),
        ),
        Value::Object(fields) => {
            let mut object = Map::new();
            for (key, value) in fields {
                if *room == 0 {
                    break;
                }
                let plain = key.len() <= 64
                    && key
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
                let key = if plain {
                    key.clone()
                } else {
                    format!("key of {} bytes", key.len())
                };
                object.insert(key, masked(value, room));
            }
            Value::Object(object)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::masked;

    #[test]
    fn a_masked_value_keeps_names_and_loses_what_was_said() {
        let value = json!({"sql": "SELECT 1", "n": 5, "x'; DROP": true, "l": ["abc", null]});
        let wanted = json!({
            "sql": "string of 8 bytes", "n": "number", "key of 8 bytes": "boolean",
            "l": ["string of 3 bytes", null],
        });
        assert_eq!(masked(&value, &mut 64), wanted);
    }

    #[test]
    fn a_masked_value_is_small_whatever_it_came_from() {
        let value = json!(vec![json!({"a": vec!["b"; 1000]}); 1000]);
        assert!(masked(&value, &mut 64).to_string().len() < 4096);
    }
}
