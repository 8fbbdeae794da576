//! One judgement in words for a log, and as a note for Envoy's access log. Never the text that
//! matched.

use clampd_model::{AuditEvent, PolicyAction};

/// What Envoy's access log may say of a judgement: JSON of one line.
pub fn access_note(event: &AuditEvent) -> String {
    let note = serde_json::json!({
        "request_id": event.request_id,
        "agent": event.agent_id,
        "tool": event.tool_name,
        "action": event.policy_action.as_str(),
        "rules": event.matched_rules,
    });
    note.to_string()
}

/// The lines of one judgement: what was classified, decided, scoped, answered and recorded.
pub fn pipeline_lines(event: &AuditEvent) -> Vec<String> {
    let mut lines = Vec::new();
    let subject = match event.tool_name.as_str() {
        "" => event.tool_action.clone(),
        tool => format!("tool={tool}"),
    };
    if !event.matched_rules.is_empty() {
        lines.push(format!(
            "[classify] Rule matched, {subject}, rules={}",
            event.matched_rules.join(",")
        ));
    }
    lines.push(format!(
        "[classify] Intent classified: risk={}, classification={}",
        event.assessed_risk.as_str(),
        event.classification.as_str()
    ));
    let agent: String = event.agent_id.chars().take(8).collect();
    let dots = if event.agent_id.len() > agent.len() {
        "..."
    } else {
        ""
    };
    lines.push(format!(
        "[policy] Policy evaluated: agent={agent}{dots}, action={}",
        event.policy_action.as_str()
    ));
    if !event.session_flags.is_empty() {
        let flags = event.session_flags.join(",");
        lines.push(format!("[policy] Did not count: {flags}"));
    }
    if event.policy_action != PolicyAction::Deny && event.scope_granted.is_some() {
        lines.push("[scope] Least-privilege access applied".to_owned());
    }
    let forwarded = matches!(event.tool_action.as_str(), "proxy" | "tools/call");
    if let Some(response) = event.response.as_ref().filter(|_| forwarded) {
        lines.push(format!(
            "[gateway] Downstream responded: status={}, latency={}ms",
            response.status,
            response.latency_us / 1_000
        ));
    }
    lines.push("[audit] Event logged (1 event)".to_owned());
    lines
}
