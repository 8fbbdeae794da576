//! What a tool answered, as it may be handed on: masked where the settings say so, and judged.
//!
//! Finding places to mask is `masking`'s, what findings lead to is `decide`'s.

use clampd_detect::Findings;
use clampd_model::{Action, ObservedResponse, ResponseAction, ResponseKind, Tool};
use serde_json::Value;

use crate::{
    Decision, Guard, Refusal, Snapshot,
    consult::Asked,
    decide::{Help, judge_answer},
    json::parse_strict,
    leaves::leaves_of,
    masking::{Masking, opens_json},
    record,
    tool_call::Admitted,
};

/// An answer that was looked at.
#[derive(Debug)]
pub(crate) struct Inspected {
    /// What it says now.
    pub(crate) value: Value,
    /// Its bytes, where they are others than came.
    pub(crate) masked: Option<Vec<u8>>,
    pub(crate) decision: Decision,
    /// Everything that was found in it, what is masked now among it.
    found: Findings,
    records: Option<u64>,
}

impl Inspected {
    /// Adds what it holds to what is remembered of it.
    pub(crate) fn note(&self, response: &mut ObservedResponse) {
        record::add_sensitive(&mut response.pii, &self.found);
        response.records = response.records.max(self.records);
    }
}

impl Guard {
    /// Looks at the answer of a tool: `value` is what was read in `body`.
    pub(crate) fn inspect_value(
        &self,
        snapshot: &Snapshot,
        admitted: &Admitted,
        tool: Option<&Tool>,
        (body, value): (&[u8], Value),
    ) -> Result<Inspected, Refusal> {
        let subject = admitted.caller.subject(tool);
        let settings = snapshot.settings();
        let mut masking = Masking::of(self, snapshot, subject, body.len());
        let found = match &mut masking {
            Some(masking) => {
                masking.read(&leaves_of(&value))?;
                std::mem::take(&mut masking.found)
            }
            None => self.find_in_response(snapshot, tool, &value)?,
        };
        let mut inspected = Inspected {
            decision: judge_answer(settings, &subject, &found, None),
            records: records_in(&value),
            masked: None,
            value,
            found,
        };
        if let Some(masking) = masking.filter(|masking| !masking.is_empty()) {
            let (body, value) = masking.applied(body, &inspected.value)?;
            let left = self.find_in_response(snapshot, tool, &value)?;
            inspected.decision = judge_answer(settings, &subject, &left, Some(&inspected.found));
            inspected.masked = Some(body);
            inspected.value = value;
        }
        let mut decision = inspected.decision;
        decision = bound_records(snapshot, admitted, tool, inspected.records, decision);
        if let Some(tool) = tool {
            let asked = Asked::about(Action::Respond, admitted, tool);
            decision = asked.of_policies(snapshot, decision);
        }
        inspected.decision = decision;
        Ok(inspected)
    }
}

/// What an answer with too many records is denied for.
const RECORDS: &str = "records-per-answer";

/// The decision on an answer that holds so many records.
pub(crate) fn bound_records(
    snapshot: &Snapshot,
    admitted: &Admitted,
    tool: Option<&Tool>,
    records: Option<u64>,
    mut decision: Decision,
) -> Decision {
    let caller = &admitted.caller;
    let most = caller.boundaries.records_per_answer.map(u64::from);
    if most.is_none() || records <= most {
        return decision;
    }
    let subject = caller.subject(tool);
    let settings = snapshot.settings();
    let why = "the answer holds more records than the agent may have at once";
    match settings.response_action(&subject, ResponseKind::Anomaly) {
        Some(ResponseAction::Flag) => {
            decision.flag_for(RECORDS, why);
            decision
        }
        _ => decision.deny(RECORDS, why.to_owned(), Help::KeepBounds),
    }
}

/// How many records an answer holds: the items of its longest list, at any depth and in texts that are
/// JSON themselves. Lists of numbers are vectors and no records.
pub(crate) fn records_in(answer: &Value) -> Option<u64> {
    let mut records = 0;
    count_longest(answer, true, &mut records);
    (records > 0).then_some(records as u64)
}

// The depth is bounded by `json::JSON_DEPTH_MAX`.
fn count_longest(value: &Value, reads_texts: bool, longest: &mut usize) {
    match value {
        Value::Array(items) => {
            if items.len() > *longest && !items.iter().all(Value::is_number) {
                *longest = items.len();
            }
            for item in items {
                count_longest(item, reads_texts, longest);
            }
        }
        Value::Object(fields) => {
            for field in fields.values() {
                count_longest(field, reads_texts, longest);
            }
        }
        Value::String(text) if reads_texts && opens_json(text) => {
            if let Ok(value) = parse_strict(text.as_bytes()) {
                count_longest(&value, false, longest);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::records_in;

    #[test]
    fn records_are_the_items_of_the_longest_list_wherever_it_stands() {
        for (answer, records) in [
            (json!({"rows": [["Ada"], ["Bob"]]}), Some(2)),
            (json!([{"id": 1}, {"id": 2}, {"id": 3}]), Some(3)),
            (
                json!({"data": {"page": {"items": ["a", "b"]}, "columns": ["x"]}}),
                Some(2),
            ),
            (
                json!({"content": [{"text": "[{\"a\": 1}, {\"a\": 2}, {\"a\": 3}]"}]}),
                Some(3),
            ),
            (json!({"embedding": [0.1, 0.2, 0.3]}), None),
            (json!({"rows": []}), None),
            (json!("no list"), None),
            (json!({"name": "Ada"}), None),
        ] {
            assert_eq!(records_in(&answer), records, "{answer}");
        }
    }
}
