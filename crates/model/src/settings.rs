//! What an organisation has set: at which risk calls are flagged and blocked, which rules count,
//! and for whom they do not.
//!
//! Only the shape and the order of precedence are here; what findings come to is `guard`'s.

mod read;

use serde::{Deserialize, Serialize};

use crate::{AgentId, RiskScore, Tool, fields::list, scope_covers, words::words};

/// What an organisation has set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Calls of this risk or more are blocked.
    pub block_at: RiskScore,
    /// Calls of this risk or more are flagged.
    pub flag_at: RiskScore,
    /// Other thresholds for some agents, tools and rule categories.
    #[serde(
        default,
        deserialize_with = "list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub thresholds: Vec<Thresholds>,
    /// Rules and categories that do not count as they would by themselves.
    #[serde(
        default,
        deserialize_with = "list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub modes: Vec<RuleMode>,
    /// Rules and categories that do not count for some agents, tools and scopes.
    #[serde(
        default,
        deserialize_with = "list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub exemptions: Vec<Exemption>,
    /// What is done with answers in which something is found, for some agents, tools and kinds.
    #[serde(
        default,
        deserialize_with = "list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub responses: Vec<ResponseHandling>,
}

/// The most entries of each list in [`Settings`].
pub const SETTINGS_ENTRIES_MAX: usize = 256;

/// Thresholds for the calls and findings that it names; at least one thing is named.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Thresholds {
    /// Only calls of this agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// Only calls of this tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Only findings of this category of rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// In place of [`Settings::block_at`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_at: Option<RiskScore>,
    /// In place of [`Settings::flag_at`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flag_at: Option<RiskScore>,
}

/// How a rule or the rules of a category count; one of the two is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RuleMode {
    /// This rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The rules of this category for which nothing else is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// How.
    pub mode: Mode,
}

words! {
    /// How a rule counts.
    #[derive(Default)]
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(rename_all = "lowercase"))]
    pub enum Mode {
        /// Its findings decide.
        #[default]
        Enforce = "enforce",
        /// Its findings decide nothing; what they would have decided is reported.
        Monitor = "monitor",
        /// It finds nothing.
        Off = "off",
    }
}

/// A rule or category that does not count for someone. All that it names must hold; it names a
/// rule or a category, and an agent, a tool or a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Exemption {
    /// This rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The rules of this category.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Only for this agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// Only for this tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Only for tools whose scope is covered by this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Why.
    pub reason: String,
}

/// What is done with answers in which something of a kind is found, in place of what the
/// thresholds say of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ResponseHandling {
    /// Only answers to this agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// Only answers of this tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What is found.
    pub kind: ResponseKind,
    /// What is done. Only personal data and secrets can be masked.
    pub action: ResponseAction,
}

words! {
    /// What can be found in an answer.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(rename_all = "lowercase"))]
    pub enum ResponseKind {
        /// Personal data.
        Pii = "pii",
        /// Secrets.
        Secret = "secret",
        /// Orders to the agent and everything else that rules find in answers.
        Poisoned = "poisoned",
        /// More than the agent's boundaries let it have.
        Anomaly = "anomaly",
    }
}

words! {
    /// What is done with an answer.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(rename_all = "lowercase"))]
    pub enum ResponseAction {
        /// It is stopped.
        Block = "block",
        /// What was found is masked and the rest goes on; it is stopped where that cannot be.
        Redact = "redact",
        /// It goes on as it is, and the audit trail says what is in it.
        Flag = "flag",
    }
}

impl ResponseKind {
    /// The kind of what a rule of this category finds.
    pub fn of_category(category: &str) -> Self {
        match category {
            "pii" => Self::Pii,
            "secret" => Self::Secret,
            _ => Self::Poisoned,
        }
    }
}

/// Whose text is judged, and for which tool, as far as that is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// Who sent it or is to get it.
    pub agent: Option<&'a AgentId>,
    /// The tool of the catalogue that it goes to or comes from.
    pub tool: Option<&'a Tool>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            block_at: RiskScore::new(0.7),
            flag_at: RiskScore::new(0.4),
            thresholds: Vec::new(),
            modes: Vec::new(),
            exemptions: Vec::new(),
            responses: Vec::new(),
        }
    }
}

impl Settings {
    /// At which risk findings of `category` block a call of `subject`, or everything found in it
    /// where no category is given. The entry that names most decides: the agent first, then the
    /// tool, then the category.
    pub fn block_at(&self, subject: &Subject<'_>, category: Option<&str>) -> RiskScore {
        self.most_specific(subject, category, |entry| entry.block_at)
            .unwrap_or(self.block_at)
    }

    /// The same for a flag.
    pub fn flag_at(&self, subject: &Subject<'_>, category: Option<&str>) -> RiskScore {
        self.most_specific(subject, category, |entry| entry.flag_at)
            .unwrap_or(self.flag_at)
    }

    /// How a rule counts: as is said of the rule, else as is said of its category.
    pub fn mode(&self, rule: &str, category: &str) -> Mode {
        let of_rule = self.modes.iter().find(|m| m.rule.as_deref() == Some(rule));
        let of_category = || {
            self.modes
                .iter()
                .find(|m| m.category.as_deref() == Some(category))
        };
        of_rule
            .or_else(of_category)
            .map_or(Mode::Enforce, |m| m.mode)
    }

    /// Whether a rule does not count for `subject`.
    pub fn exempts(&self, subject: &Subject<'_>, rule: &str, category: &str) -> bool {
        self.exemptions
            .iter()
            .any(|exemption| exemption.holds(subject, rule, category))
    }

    /// What is done with an answer to `subject` in which something of a kind is found, where that is
    /// set. The entry that names most decides: the agent first, then the tool.
    pub fn response_action(
        &self,
        subject: &Subject<'_>,
        kind: ResponseKind,
    ) -> Option<ResponseAction> {
        let entries = self.responses.iter();
        entries
            .filter(|entry| entry.kind == kind && entry.applies(subject))
            .max_by_key(|entry| (entry.agent.is_some(), entry.tool.is_some()))
            .map(|entry| entry.action)
    }

    fn most_specific(
        &self,
        subject: &Subject<'_>,
        category: Option<&str>,
        threshold: impl Fn(&Thresholds) -> Option<RiskScore>,
    ) -> Option<RiskScore> {
        let entries = self.thresholds.iter();
        entries
            .filter(|entry| entry.applies(subject, category))
            .filter_map(|entry| Some((entry.rank(), threshold(entry)?)))
            .max_by_key(|(rank, _)| *rank)
            .map(|(_, threshold)| threshold)
    }
}

impl Thresholds {
    /// What decides between two entries that both apply.
    pub fn rank(&self) -> (bool, bool, bool) {
        (
            self.agent.is_some(),
            self.tool.is_some(),
            self.category.is_some(),
        )
    }

    fn applies(&self, subject: &Subject<'_>, category: Option<&str>) -> bool {
        is_or_any(self.agent.as_ref(), subject.agent)
            && is_or_any(self.tool.as_ref(), subject.tool.map(|tool| &tool.name))
            && is_or_any(self.category.as_deref(), category)
    }
}

impl ResponseHandling {
    fn applies(&self, subject: &Subject<'_>) -> bool {
        is_or_any(self.agent.as_ref(), subject.agent)
            && is_or_any(self.tool.as_ref(), subject.tool.map(|tool| &tool.name))
    }
}

impl Exemption {
    fn holds(&self, subject: &Subject<'_>, rule: &str, category: &str) -> bool {
        let of_scope = |scope: &String| {
            subject
                .tool
                .is_some_and(|tool| scope_covers(scope, &tool.scope))
        };
        // One that names nobody or nothing exempts nobody from nothing.
        (self.rule.is_some() || self.category.is_some())
            && (self.agent.is_some() || self.tool.is_some() || self.scope.is_some())
            && is_or_any(self.rule.as_deref(), Some(rule))
            && is_or_any(self.category.as_deref(), Some(category))
            && is_or_any(self.agent.as_ref(), subject.agent)
            && is_or_any(self.tool.as_ref(), subject.tool.map(|tool| &tool.name))
            && self.scope.as_ref().is_none_or(of_scope)
    }
}

/// Whether nothing is wanted, or just that.
fn is_or_any<T: PartialEq + ?Sized>(wanted: Option<&T>, is: Option<&T>) -> bool {
    wanted.is_none() || wanted == is
}

#[cfg(test)]
mod tests {
    use super::{Mode, ResponseAction, ResponseKind, Settings, Subject};
    use crate::{AgentId, RiskScore, Tool, ToolCategory};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn settings(fields: &str) -> Settings {
        let json = format!(r#"{{"block_at": 0.7, "flag_at": 0.4, {fields}}}"#);
        serde_json::from_str(&json).unwrap()
    }

    fn tool(name: &str, scope: &str) -> Tool {
        Tool {
            name: name.into(),
            scope: scope.into(),
            category: ToolCategory::Other,
            audience: "a".into(),
            upstream: None,
            binding: String::new(),
            pins: Vec::new(),
        }
    }

    #[test]
    fn the_entry_that_names_most_decides_the_agent_before_the_tool_before_the_category() {
        let ordered = [
            r#"{"category": "pii", "block_at": 0.1}"#,
            r#"{"tool": "t", "block_at": 0.2}"#,
            r#"{"tool": "t", "category": "pii", "block_at": 0.3}"#,
            r#"{"agent": "a", "block_at": 0.4}"#,
            r#"{"agent": "a", "category": "pii", "block_at": 0.5}"#,
            r#"{"agent": "a", "tool": "t", "block_at": 0.6}"#,
            r#"{"agent": "a", "tool": "t", "category": "pii", "block_at": 0.7}"#,
        ];
        let (agent, tool) = (AgentId::parse("a").unwrap(), tool("t", "s"));
        let subject = Subject {
            agent: Some(&agent),
            tool: Some(&tool),
        };
        for last in 0..ordered.len() {
            let mut entries = ordered[..=last].to_vec();
            let wanted = RiskScore::new(0.1 * (last as f64 + 1.0));
            for _ in 0..entries.len() {
                // Wherever it stands in the list.
                entries.rotate_left(1);
                let set = settings(&format!("\"thresholds\": [{}]", entries.join(",")));
                assert_eq!(set.block_at(&subject, Some("pii")), wanted, "{entries:?}");
                assert_eq!(set.flag_at(&subject, Some("pii")), RiskScore::new(0.4));
            }
        }
        let set = settings(&format!("\"thresholds\": [{}]", ordered.join(",")));
        let nobody = Subject::default();
        assert_eq!(set.block_at(&nobody, None), RiskScore::new(0.7));
        assert_eq!(set.block_at(&nobody, Some("pii")), RiskScore::new(0.1));
        assert_eq!(set.block_at(&subject, None), RiskScore::new(0.6));
        assert_eq!(set.block_at(&subject, Some("xss")), RiskScore::new(0.6));
    }

    #[test]
    fn what_is_done_with_an_answer_is_said_by_the_entry_that_names_most() {
        let ordered = [
            r#"{"kind": "pii", "action": "flag"}"#,
            r#"{"tool": "t", "kind": "pii", "action": "redact"}"#,
            r#"{"agent": "a", "kind": "pii", "action": "flag"}"#,
            r#"{"agent": "a", "tool": "t", "kind": "pii", "action": "block"}"#,
        ];
        let (agent, tool) = (AgentId::parse("a").unwrap(), tool("t", "s"));
        let subject = Subject {
            agent: Some(&agent),
            tool: Some(&tool),
        };
        let (flag, redact, block) = (
            ResponseAction::Flag,
            ResponseAction::Redact,
            ResponseAction::Block,
        );
        for (last, wanted) in [flag, redact, flag, block].into_iter().enumerate() {
            let mut entries = ordered[..=last].to_vec();
            for _ in 0..entries.len() {
                entries.rotate_left(1);
                let set = settings(&format!("\"responses\": [{}]", entries.join(",")));
                let of = |kind| set.response_action(&subject, kind);
                assert_eq!(of(ResponseKind::Pii), Some(wanted), "{entries:?}");
                assert_eq!(of(ResponseKind::Secret), None);
            }
        }
        let set = settings(&format!("\"responses\": [{}]", ordered.join(",")));
        let nobody = Subject::default();
        assert_eq!(
            set.response_action(&nobody, ResponseKind::Pii),
            Some(ResponseAction::Flag)
        );
    }

    #[test]
    fn what_is_said_of_a_rule_goes_before_what_is_said_of_its_category() {
        let set = settings(
            r#""modes": [{"category": "pii", "mode": "off"}, {"rule": "pii-iban", "mode": "monitor"},
                         {"rule": "pii-us-ssn", "mode": "enforce"}]"#,
        );
        for (rule, category, mode) in [
            ("pii-iban", "pii", Mode::Monitor),
            ("pii-us-ssn", "pii", Mode::Enforce),
            ("pii-uk-nino", "pii", Mode::Off),
            ("xss-script", "xss", Mode::Enforce),
        ] {
            assert_eq!(set.mode(rule, category), mode, "{rule}");
        }
    }

    #[test]
    fn an_exemption_holds_only_where_all_that_it_names_holds() {
        let (a, b) = (AgentId::parse("a").unwrap(), AgentId::parse("b").unwrap());
        let (read, write) = (tool("q", "db:read"), tool("w", "file:write"));
        let check = |fields: &str, agent: Option<&AgentId>, tool: Option<&Tool>, holds: bool| {
            let set = settings(&format!(r#""exemptions": [{{{fields}, "reason": "r"}}]"#));
            let subject = Subject { agent, tool };
            assert_eq!(set.exempts(&subject, "r-1", "c"), holds, "{fields}");
        };
        check(r#""rule": "r-1", "agent": "a""#, Some(&a), None, true);
        check(r#""rule": "r-1", "agent": "a""#, Some(&b), None, false);
        check(r#""rule": "r-1", "agent": "a""#, None, None, false);
        check(r#""rule": "r-2", "agent": "a""#, Some(&a), None, false);
        check(r#""category": "c", "tool": "q""#, None, Some(&read), true);
        check(r#""category": "c", "tool": "q""#, None, Some(&write), false);
        check(
            r#""category": "c", "scope": "db:*""#,
            None,
            Some(&read),
            true,
        );
        check(
            r#""category": "c", "scope": "db:*""#,
            None,
            Some(&write),
            false,
        );
        check(r#""category": "c", "scope": "db:*""#, Some(&a), None, false);
        let both = r#""category": "c", "agent": "a", "tool": "q""#;
        check(both, Some(&a), Some(&read), true);
        check(both, Some(&b), Some(&read), false);
        check(both, Some(&a), Some(&write), false);
        check(r#""category": "c""#, Some(&a), Some(&read), false);
        check(r#""agent": "a""#, Some(&a), Some(&read), false);
    }
}
