//! From findings and policies to a decision.

use std::collections::BTreeSet;

use clampd_detect::Findings;
use clampd_model::{Classification, Decodings, Finding, RiskScore, Settings, Subject, Verdict};

use crate::{
    ErrorCode, Refusal, Snapshot,
    consult::Asked,
    reply::{Corrective, Denial},
    weigh::Weighed,
};

/// The label of a call of a tool that the agent has not asked for before.
const FIRST_TIME_TOOL: &str = "first-time-tool";

/// The label of a call of an agent whose judgements were risky of late.
const AGENT_AT_RISK: &str = "agent-at-risk";

/// A decision and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What is to happen.
    pub verdict: Verdict,
    /// 0 to 1.
    pub risk: RiskScore,
    /// What the call is taken for.
    pub classification: Classification,
    /// The rules that matched and count.
    pub matched_rules: Vec<String>,
    /// Their categories, and `first-time-tool`.
    pub labels: Vec<String>,
    /// What matched and does not count: `exempted:RULE`, `monitored:RULE`, `would_block`,
    /// `would_flag`.
    pub marks: Vec<String>,
    /// The decodings that were needed.
    pub encodings: Vec<String>,
    /// Which policy or threshold decided, and why.
    pub reason: String,
    /// The scope that is granted, where policies were asked and let it pass.
    pub scope: Option<String>,
    /// Why it was stopped, in a few words.
    pub denial_reason: Option<String>,
    /// The same for a program.
    pub(crate) denial: Option<Denial>,
    /// What the marks mean, to be read after the reason.
    notes: String,
    /// Whether the thresholds would say worse but for an exemption.
    is_exempted: bool,
}

/// Judges a text that is no tool call, by its findings and the settings alone.
pub fn judge_text(settings: &Settings, subject: &Subject<'_>, findings: &Findings) -> Decision {
    let weighed = Weighed::of(settings, subject, findings);
    let decision = assess(&weighed);
    if weighed.verdict == Verdict::Deny {
        by_risk(decision, &weighed)
    } else {
        decision
    }
}

/// Judges a tool call: the scope is the limit of what policies can permit, and what they permit is
/// held against the settings.
pub(crate) fn judge_call(snapshot: &Snapshot, asked: &Asked<'_>, findings: &Findings) -> Decision {
    let caller = &asked.admitted.caller;
    let subject = caller.subject(Some(asked.tool));
    let mut decision = judge_text(snapshot.settings(), &subject, findings);
    let tally = &asked.admitted.meta.tally;
    for (holds, label) in [
        (tally.is_first_time, FIRST_TIME_TOOL),
        (tally.is_at_risk, AGENT_AT_RISK),
    ] {
        decision.labels.extend(holds.then(|| label.to_owned()));
    }
    if !caller.holds(&asked.tool.scope) {
        let reason = format!("scope not granted: {}", asked.tool.scope);
        return decision.deny("scope_not_granted", reason, Help::RequestScope);
    }
    asked.of_policies(snapshot, decision)
}

/// Stops an answer that cannot be looked into.
pub(crate) fn stop_encoded(decision: Decision) -> Decision {
    let why = "the tool's answer is encoded and cannot be inspected".to_owned();
    decision.deny("answer-encoding", why, Help::FixTool)
}

/// The decision that the thresholds alone would make, short of blocking.
fn assess(weighed: &Weighed<'_>) -> Decision {
    let (classification, reason) = match weighed.verdict {
        Verdict::Deny => (
            Classification::Malicious,
            "risk is at or over the block threshold",
        ),
        Verdict::Flag => (
            Classification::Suspicious,
            "risk is at or over the flag threshold",
        ),
        Verdict::Allow => (Classification::Safe, "risk is below the thresholds"),
    };
    let counted = weighed.counted.as_slice();
    Decision {
        verdict: weighed.verdict.min(Verdict::Flag),
        risk: weighed.risk(),
        classification,
        matched_rules: counted.iter().map(|f| f.rule_id.to_string()).collect(),
        labels: categories(counted),
        marks: weighed.marks(),
        encodings: encodings(counted),
        reason: reason.to_owned(),
        scope: None,
        denial_reason: None,
        denial: None,
        notes: weighed.notes(),
        is_exempted: weighed.is_exempted(),
    }
}

/// The categories of findings, sorted, each once.
fn categories(findings: &[&Finding]) -> Vec<String> {
    let mut categories = BTreeSet::new();
    categories.extend(findings.iter().map(|f| f.category.to_string()));
    categories.into_iter().collect()
}

/// Every decoding that some finding needed.
fn encodings(findings: &[&Finding]) -> Vec<String> {
    let all = findings
        .iter()
        .fold(Decodings::NONE, |all, f| all.union(f.decodings));
    all.iter().map(|d| d.as_str().to_owned()).collect()
}

/// Blocks for what was found: the worst finding gives the words.
fn by_risk(decision: Decision, weighed: &Weighed<'_>) -> Decision {
    let (rule_id, words) = match weighed.worst {
        Some(finding) => (
            finding.rule_id.to_string(),
            category_words(&finding.category),
        ),
        None => (String::new(), "risk too high".to_owned()),
    };
    decision.deny(&rule_id, words, Help::Rephrase)
}

/// What would help.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Help {
    Rephrase,
    RequestScope,
    RequestApproval,
    KeepBounds,
    FixTool,
}

impl Decision {
    pub(crate) fn deny(self, rule_id: &str, why: String, help: Help) -> Self {
        let (kind, explanation, confidence) = match help {
            Help::Rephrase => (
                "rephrase",
                "Ask for what you need without the part that was found dangerous.",
                0.5,
            ),
            Help::RequestScope => (
                "request_scope",
                "Ask an operator to grant the agent this tool's scope.",
                0.9,
            ),
            Help::FixTool => (
                "fix_tool",
                "Have the tool answer without a content-encoding.",
                0.9,
            ),
            Help::KeepBounds => (
                "request_approval",
                "Ask an operator to widen the agent's boundaries.",
                0.7,
            ),
            Help::RequestApproval => (
                "request_approval",
                "Ask the owner of this policy to approve the call.",
                0.7,
            ),
        };
        let reason_codes = match help {
            Help::Rephrase => self.labels.clone(),
            Help::RequestScope => vec!["scope_not_granted".to_owned()],
            Help::RequestApproval => vec!["policy_denied".to_owned()],
            Help::KeepBounds => vec!["outside_boundaries".to_owned()],
            Help::FixTool => vec!["unsupported_encoding".to_owned()],
        };
        let denial = Denial {
            rule_id: rule_id.to_owned(),
            violated_predicate: why.clone(),
            corrective: Corrective {
                kind,
                human_explanation: explanation.to_owned(),
                confidence,
            },
            reason_codes,
            idempotency_key: String::new(),
        };
        Self {
            verdict: Verdict::Deny,
            reason: why.clone(),
            scope: None,
            denial_reason: Some(why),
            denial: Some(denial),
            ..self
        }
    }

    /// The decision as a refusal, for those who are told by a status.
    pub(crate) fn refusal(&self) -> Refusal {
        let why = self.denial_reason.as_deref().unwrap_or("not allowed");
        ErrorCode::ContentBlocked.because(format!("content blocked: {why}"))
    }

    /// The word that the gateway's answers use for it.
    pub(crate) fn action(&self) -> &'static str {
        if self.is_exempted && self.verdict.lets_pass() {
            "exempt"
        } else {
            self.verdict.action()
        }
    }

    /// Which policy or threshold decided, why, and what did not count.
    pub(crate) fn explained(&self) -> String {
        format!("{}{}", self.reason, self.notes)
    }

    /// How the decision came about, in a sentence.
    pub fn reasoning(&self) -> String {
        let why = self.explained();
        match self.matched_rules.as_slice() {
            [] if self.notes.is_empty() => format!("No rule matched; {why}."),
            [] => format!("No rule counted; {why}."),
            [rule] => format!("Rule {rule} matched; {why}."),
            rules => format!("Rules {} matched; {why}.", rules.join(", ")),
        }
    }
}

/// A category as people say it.
fn category_words(category: &str) -> String {
    match category {
        "destructive-sql" => "destructive SQL".to_owned(),
        "sql-injection" => "SQL injection".to_owned(),
        "ssrf" => "SSRF detected".to_owned(),
        "shell" | "shell-exploit" => "dangerous command".to_owned(),
        "xss" => "script injection".to_owned(),
        "pii" => "personal data".to_owned(),
        "secret" => "secret exposed".to_owned(),
        other => other.replace('-', " "),
    }
}
