//! The entries of settings, read field by field.

use super::{
    Exemption, Mode, ResponseAction, ResponseHandling, ResponseKind, RuleMode, Thresholds,
};
use crate::{AgentId, RiskScore, fields::Fields};

impl TryFrom<Fields> for Thresholds {
    type Error = String;

    fn try_from(mut fields: Fields) -> Result<Self, String> {
        let entry = Self {
            agent: agent(&mut fields)?,
            tool: fields.optional_text("tool")?,
            category: fields.optional_text("category")?,
            block_at: risk(&mut fields, "block_at")?,
            flag_at: risk(&mut fields, "flag_at")?,
        };
        fields.end().map(|()| entry)
    }
}

impl TryFrom<Fields> for RuleMode {
    type Error = String;

    fn try_from(mut fields: Fields) -> Result<Self, String> {
        let entry = Self {
            rule: fields.optional_text("rule")?,
            category: fields.optional_text("category")?,
            mode: fields.word("mode", Mode::parse)?,
        };
        fields.end().map(|()| entry)
    }
}

impl TryFrom<Fields> for Exemption {
    type Error = String;

    fn try_from(mut fields: Fields) -> Result<Self, String> {
        let entry = Self {
            rule: fields.optional_text("rule")?,
            category: fields.optional_text("category")?,
            agent: agent(&mut fields)?,
            tool: fields.optional_text("tool")?,
            scope: fields.optional_text("scope")?,
            reason: fields.text("reason")?,
        };
        fields.end().map(|()| entry)
    }
}

impl TryFrom<Fields> for ResponseHandling {
    type Error = String;

    fn try_from(mut fields: Fields) -> Result<Self, String> {
        let entry = Self {
            agent: agent(&mut fields)?,
            tool: fields.optional_text("tool")?,
            kind: fields.word("kind", ResponseKind::parse)?,
            action: fields.word("action", ResponseAction::parse)?,
        };
        let is_masked = entry.action == ResponseAction::Redact;
        if is_masked && !matches!(entry.kind, ResponseKind::Pii | ResponseKind::Secret) {
            return Err("only `pii` and `secret` can have the `action` `redact`".to_owned());
        }
        fields.end().map(|()| entry)
    }
}

fn agent(fields: &mut Fields) -> Result<Option<AgentId>, String> {
    let id = fields.optional_text("agent")?;
    let id = id.map(|id| AgentId::parse(&id)).transpose();
    id.map_err(|error| format!("`agent`: {error}"))
}

/// A threshold, if there is one. What is out of bounds is refused, never brought within them.
fn risk(fields: &mut Fields, name: &str) -> Result<Option<RiskScore>, String> {
    let Some(number) = fields.optional_number(name)? else {
        return Ok(None);
    };
    let risk = RiskScore::new(number);
    if risk.value().total_cmp(&number).is_eq() {
        Ok(Some(risk))
    } else {
        Err(format!(
            "`{name}` must be 0 to 1 with at most three decimals"
        ))
    }
}

#[cfg(test)]
mod tests {
    use crate::Settings;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn an_entry_that_is_not_understood_is_refused_by_its_fields_name() {
        let check = |list: &str, entry: &str, word: &str| {
            let json = format!(r#"{{"block_at": 0.7, "flag_at": 0.4, "{list}": [{entry}]}}"#);
            let error = serde_json::from_str::<Settings>(&json).unwrap_err();
            assert!(error.to_string().contains(word), "{entry}: {error}");
        };
        check("thresholds", r#"{"tol": "t"}"#, "unknown field `tol`");
        check("thresholds", r#"{"tool": 5}"#, "`tool` must be a text");
        check(
            "thresholds",
            r#"{"tool": "a", "tool": "b"}"#,
            "duplicate field `tool`",
        );
        check("thresholds", r#"{"agent": "a b"}"#, "`agent`");
        check(
            "thresholds",
            r#"{"block_at": 7}"#,
            "`block_at` must be 0 to 1",
        );
        check(
            "thresholds",
            r#"{"block_at": -0.1}"#,
            "`block_at` must be 0 to 1",
        );
        check("thresholds", r#"{"block_at": 0.12345}"#, "three decimals");
        check(
            "thresholds",
            r#"{"block_at": "high"}"#,
            "`block_at` must be a number",
        );
        check("thresholds", r#"[]"#, "an object");
        check("modes", r#"{"rule": "r"}"#, "missing field `mode`");
        check(
            "modes",
            r#"{"rule": "r", "mode": "Off"}"#,
            "`mode` has an unknown value",
        );
        check(
            "exemptions",
            r#"{"rule": "r", "agent": "a"}"#,
            "missing field `reason`",
        );
        check("responses", r#"{"kind": "pii"}"#, "missing field `action`");
        check(
            "responses",
            r#"{"kind": "pii", "action": "mask"}"#,
            "`action` has an unknown value",
        );
        check(
            "responses",
            r#"{"kind": "poisoned", "action": "redact"}"#,
            "only `pii` and `secret`",
        );
    }
}
