//! From findings and policies to a decision.

use std::collections::BTreeSet;

use clampd_detect::{Findings, SCAN_LIMIT_CATEGORY};
use clampd_model::{
    Classification, Decodings, Finding, Mode, ResponseAction, ResponseKind, RiskScore, Settings,
    Subject, Verdict,
};

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

/// What the marks begin with of what is in an answer all the same, and of what was masked in it.
const FLAGGED: &str = "flagged:";
const REDACTED: &str = "redacted:";

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
    /// `would_flag`; what an answer holds all the same or held: `flagged:RULE`, `redacted:RULE`.
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
    judge_but(settings, subject, findings, &|_| false)
}

fn judge_but(
    settings: &Settings,
    subject: &Subject<'_>,
    findings: &Findings,
    is_left_out: &dyn Fn(&Finding) -> bool,
) -> Decision {
    let weighed = Weighed::of(settings, subject, findings, is_left_out);
    let decision = assess(&weighed);
    if weighed.verdict == Verdict::Deny {
        by_risk(decision, &weighed)
    } else {
        decision
    }
}

/// What the settings say is done with an answer for a finding in it. A text that was not read to
/// its end is no matter of theirs.
pub(crate) fn handling(
    settings: &Settings,
    subject: &Subject<'_>,
    finding: &Finding,
) -> Option<ResponseAction> {
    let (rule, category) = (&finding.rule_id, &finding.category);
    let kind = ResponseKind::of_category(category);
    let action = settings.response_action(subject, kind)?;
    let counts = settings.mode(rule, category) == Mode::Enforce
        && !settings.exempts(subject, rule, category);
    (counts && category != SCAN_LIMIT_CATEGORY).then_some(action)
}

/// Judges an answer by what is found in it; `before` is what was found before it was masked, if it
/// was. What must not be there and could not be masked stops it.
pub(crate) fn judge_answer(
    settings: &Settings,
    subject: &Subject<'_>,
    findings: &Findings,
    before: Option<&Findings>,
) -> Decision {
    let handling = |finding: &Finding| handling(settings, subject, finding);
    let is_handled = |finding: &Finding| handling(finding).is_some();
    let mut decision = judge_but(settings, subject, findings, &is_handled);
    let mut worst: Option<&Finding> = None;
    for finding in &findings.findings {
        match handling(finding) {
            None => {}
            Some(ResponseAction::Flag) => decision.add_found(FLAGGED, finding),
            Some(ResponseAction::Block | ResponseAction::Redact) => {
                decision.add_found("", finding);
                if worst.is_none_or(|worst| finding.severity > worst.severity) {
                    worst = Some(finding);
                }
            }
        }
    }
    for finding in before.into_iter().flat_map(|before| &before.findings) {
        if handling(finding) == Some(ResponseAction::Redact) {
            decision.add_found(REDACTED, finding);
        }
    }
    match worst {
        Some(worst) => {
            let words = category_words(&worst.category);
            decision.deny(&worst.rule_id, words, Help::Rephrase)
        }
        None => decision,
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

/// Adds words, each once.
pub(crate) fn add(words: &mut Vec<String>, more: &[String]) {
    more.iter().for_each(|word| add_word(words, word));
}

fn add_word(words: &mut Vec<String>, word: &str) {
    if !words.iter().any(|known| known == word) {
        words.push(word.to_owned());
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
    /// Adds what was found beside and is dealt with, marked by how.
    fn add_found(&mut self, how: &str, finding: &Finding) {
        self.flag("the answer is dealt with as the settings say");
        self.risk = self.risk.and(finding.severity.score());
        add_word(&mut self.matched_rules, &finding.rule_id);
        add_word(&mut self.labels, &finding.category);
        for decoding in finding.decodings.iter() {
            add_word(&mut self.encodings, decoding.as_str());
        }
        if !how.is_empty() {
            add_word(&mut self.marks, &(how.to_owned() + &finding.rule_id));
        }
    }

    fn flag(&mut self, why: &str) {
        if self.verdict < Verdict::Flag {
            self.verdict = Verdict::Flag;
            self.classification = Classification::Suspicious;
            why.clone_into(&mut self.reason);
        }
    }

    /// Flags an answer for what is no matter of rules.
    pub(crate) fn flag_for(&mut self, what: &str, why: &str) {
        self.flag(why);
        add_word(&mut self.marks, &(FLAGGED.to_owned() + what));
    }

    /// Adds what the answer to a call led to, where that is less than a denial.
    pub(crate) fn add_answer(&mut self, answer: &Self) {
        if answer.verdict > self.verdict {
            self.flag(&answer.reason);
        }
        self.risk = self.risk.max(answer.risk);
        add(&mut self.matched_rules, &answer.matched_rules);
        add(&mut self.labels, &answer.labels);
        add(&mut self.encodings, &answer.encodings);
        add(&mut self.marks, &answer.marks);
    }

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
