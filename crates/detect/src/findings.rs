//! What a scan found, and what it adds up to.

use std::collections::{BTreeMap, BTreeSet};

use clampd_model::{Decodings, Finding, PiiCount, RiskScore, Severity, Surface};

use crate::{limits::COUNT_MAX, rule::Rule};

/// What each decoding beyond the first reading adds to the risk of a finding.
const RISK_PER_DECODING: f64 = 0.05;

/// The id of the finding that stands for what was left unread. No rule may have it.
pub const SCAN_LIMIT: &str = "scan-limit";
/// Its category: no rule has it, so nothing that is said of rules and their categories reaches it.
pub const SCAN_LIMIT_CATEGORY: &str = "evasion";

/// The findings of one scan, one a rule, sorted by rule id: the order of parameters does not
/// show.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// One finding a rule, at its least decoded and first place.
    pub findings: Vec<Finding>,
    /// How often each finding's rule matched, in the same order.
    pub counts: Vec<u32>,
}

impl Findings {
    /// The risk of all findings together. Findings of different rules add as independent
    /// dangers do; each decoding that was needed adds to the risk of what it hid.
    pub fn risk(&self) -> RiskScore {
        Self::risk_of(&self.findings)
    }

    /// The risk of some findings of different rules.
    pub fn risk_of<'f>(findings: impl IntoIterator<Item = &'f Finding>) -> RiskScore {
        let mut risk = RiskScore::ZERO;
        let mut hidden = 0.0_f64;
        for finding in findings {
            risk = risk.and(finding.severity.score());
            let steps = f64::from(u32::try_from(finding.decodings.len()).unwrap_or(u32::MAX));
            hidden = hidden.max(steps * RISK_PER_DECODING * finding.severity.score().value());
        }
        risk.and(RiskScore::new(hidden))
    }

    /// Those of the findings that are to be kept.
    #[must_use]
    pub fn retain(self, keep: &dyn Fn(&Finding) -> bool) -> Self {
        let all = self.findings.into_iter().zip(self.counts);
        let (findings, counts) = all.filter(|(finding, _)| keep(finding)).unzip();
        Self { findings, counts }
    }

    /// Every decoding that some finding needed.
    pub fn decodings(&self) -> Decodings {
        self.findings
            .iter()
            .fold(Decodings::NONE, |all, finding| all.union(finding.decodings))
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// The rules that matched, sorted.
    pub fn rule_ids(&self) -> Vec<String> {
        self.findings
            .iter()
            .map(|finding| finding.rule_id.to_string())
            .collect()
    }

    /// The categories of the rules that matched, sorted, each once.
    pub fn categories(&self) -> Vec<String> {
        let mut categories = BTreeSet::new();
        let all = self.findings.iter().map(|f| f.category.to_string());
        categories.extend(all);
        categories.into_iter().collect()
    }

    /// Personal data by kind: `pii-us-ssn` counts as `us_ssn`.
    pub fn pii_counts(&self) -> PiiCount {
        self.counts_of("pii")
    }

    /// Secrets by kind: `secret-github-token` counts as `github_token`.
    pub fn secret_counts(&self) -> PiiCount {
        self.counts_of("secret")
    }

    /// These findings and those of another scan, as if both texts had been scanned together.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let mut collected = Collected::default();
        for side in [self, other] {
            for (finding, count) in side.findings.into_iter().zip(side.counts) {
                collected.put(finding, count);
            }
        }
        collected.finish()
    }

    fn counts_of(&self, category: &str) -> PiiCount {
        let mut kinds = PiiCount::new();
        for (finding, count) in self.findings.iter().zip(&self.counts) {
            if finding.category == category {
                let id: &str = &finding.rule_id;
                let kind = id
                    .strip_prefix(category)
                    .map_or(id, |rest| rest.trim_start_matches('-'));
                let entry = kinds.entry(kind.replace('-', "_")).or_default();
                *entry = entry.saturating_add(*count);
            }
        }
        kinds
    }
}

/// Findings while a scan runs.
#[derive(Debug, Default)]
pub(crate) struct Collected(BTreeMap<String, (Finding, u32)>);

impl Collected {
    /// Notes `count` matches of a rule.
    pub(crate) fn add(&mut self, rule: &Rule, finding: Finding, count: u32) {
        debug_assert_eq!(rule.id, finding.rule_id);
        self.put(finding, count);
    }

    /// Notes that a text asked for more than is done for one, and was not read to its end.
    pub(crate) fn add_limit(&mut self, surface: Surface) {
        let finding = Finding {
            rule_id: SCAN_LIMIT.into(),
            category: SCAN_LIMIT_CATEGORY.into(),
            name: "Text made to be more work than it may be".into(),
            severity: Severity::High,
            surface,
            offset: 0,
            decodings: Decodings::NONE,
        };
        self.put(finding, 1);
    }

    /// The findings, sorted.
    pub(crate) fn finish(self) -> Findings {
        let mut all = Findings::default();
        for (finding, count) in self.0.into_values() {
            all.findings.push(finding);
            all.counts.push(count);
        }
        all
    }

    fn put(&mut self, finding: Finding, count: u32) {
        match self.0.get_mut(finding.rule_id.as_ref()) {
            Some((known, total)) => {
                *total = total.saturating_add(count).min(COUNT_MAX);
                // Two tables may name a rule alike: the milder one hides nothing.
                let severity = known.severity.max(finding.severity);
                if rank(&finding) < rank(known) {
                    *known = finding;
                }
                known.severity = severity;
            }
            None => {
                self.0
                    .insert(finding.rule_id.to_string(), (finding, count.min(COUNT_MAX)));
            }
        }
    }
}

/// Least decoded first, then first in the text.
fn rank(finding: &Finding) -> (usize, u32, usize) {
    let bits = finding
        .decodings
        .iter()
        .map(|d| 1_usize << (d as u32))
        .sum();
    (finding.decodings.len(), finding.offset, bits)
}
