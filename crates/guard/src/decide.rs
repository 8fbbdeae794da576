//! From findings and policies to a decision.

use clampd_detect::Findings;
use clampd_model::{Classification, RiskScore, Settings, Verdict};

use crate::{
    ErrorCode, Refusal, Snapshot,
    consult::Asked,
    reply::{Corrective, Denial},
};

/// A decision and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What is to happen.
    pub verdict: Verdict,
    /// 0 to 1.
    pub risk: RiskScore,
    /// What the call is taken for.
    pub classification: Classification,
    /// The rules that matched.
    pub matched_rules: Vec<String>,
    /// Their categories.
    pub labels: Vec<String>,
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
}

/// Judges a text that belongs to no tool call, by its findings and the thresholds alone.
pub fn judge_text(settings: &Settings, findings: &Findings) -> Decision {
    let decision = assess(settings, findings);
    let blocks = decision.risk >= settings.block_at;
    if blocks {
        by_risk(decision, findings)
    } else {
        decision
    }
}

/// Judges a tool call: the scope is the limit of what policies can permit, and what they permit is
/// held against the thresholds.
pub(crate) fn judge_call(snapshot: &Snapshot, asked: &Asked<'_>, findings: &Findings) -> Decision {
    let decision = judge_text(snapshot.settings(), findings);
    if !asked.admitted.caller.holds(&asked.tool.scope) {
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
fn assess(settings: &Settings, findings: &Findings) -> Decision {
    let risk = findings.risk();
    let (classification, verdict, reason) = if risk >= settings.block_at {
        (
            Classification::Malicious,
            Verdict::Flag,
            "risk is at or over the block threshold",
        )
    } else if risk >= settings.flag_at {
        (
            Classification::Suspicious,
            Verdict::Flag,
            "risk is at or over the flag threshold",
        )
    } else {
        (
            Classification::Safe,
            Verdict::Allow,
            "risk is below the thresholds",
        )
    };
    Decision {
        verdict,
        risk,
        classification,
        matched_rules: findings.rule_ids(),
        labels: findings.categories(),
        encodings: findings
            .decodings()
            .iter()
            .map(|d| d.as_str().to_owned())
            .collect(),
        reason: reason.to_owned(),
        scope: None,
        denial_reason: None,
        denial: None,
    }
}

/// Blocks for what was found: the worst finding gives the words.
fn by_risk(decision: Decision, findings: &Findings) -> Decision {
    let worst = findings.findings.iter().reduce(|worst, finding| {
        if finding.severity > worst.severity {
            finding
        } else {
            worst
        }
    });
    let (rule_id, words) = match worst {
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

    /// How the decision came about, in a sentence.
    pub fn reasoning(&self) -> String {
        match self.matched_rules.as_slice() {
            [] => format!("No rule matched; {}.", self.reason),
            [rule] => format!("Rule {rule} matched; {}.", self.reason),
            rules => format!("Rules {} matched; {}.", rules.join(", "), self.reason),
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
