//! What findings come to: which of them count for whom, and which thresholds they reach.
//!
//! What follows from it, policies included, is `decide`'s.

use clampd_detect::Findings;
use clampd_model::{Finding, Mode, RiskScore, Settings, Subject, Verdict};

/// Findings by how they count, and what they reach.
#[derive(Debug)]
pub(crate) struct Weighed<'f> {
    /// What the thresholds say of the findings that count.
    pub(crate) verdict: Verdict,
    /// The findings that count.
    pub(crate) counted: Vec<&'f Finding>,
    /// The worst of those that together reach the threshold of a block.
    pub(crate) worst: Option<&'f Finding>,
    /// What would be said if nothing were exempted.
    pub(crate) unexempted: Verdict,
    /// What would be said if what is only monitored were enforced.
    pub(crate) unmonitored: Verdict,
    exempted: Vec<&'f Finding>,
    monitored: Vec<&'f Finding>,
}

impl<'f> Weighed<'f> {
    /// Weighs what was found in a text of `subject`, but for what `is_left_out`.
    pub(crate) fn of(
        settings: &Settings,
        subject: &Subject<'_>,
        findings: &'f Findings,
        is_left_out: &dyn Fn(&Finding) -> bool,
    ) -> Self {
        let (mut counted, mut exempted, mut monitored) = (Vec::new(), Vec::new(), Vec::new());
        for finding in findings.findings.iter().filter(|f| !is_left_out(f)) {
            let (rule, category) = (&finding.rule_id, &finding.category);
            let exempt = settings.exempts(subject, rule, category);
            match (settings.mode(rule, category), exempt) {
                (Mode::Enforce, false) => counted.push(finding),
                (Mode::Enforce, true) => exempted.push(finding),
                (Mode::Monitor, false) => monitored.push(finding),
                // Enforced it would be exempted, so it would not have happened.
                (Mode::Monitor, true) | (Mode::Off, _) => {}
            }
        }
        let (verdict, worst) = reached(settings, subject, &counted);
        let if_also = |left_out: &[&'f Finding]| match left_out {
            [] => verdict,
            _ => reached(settings, subject, &[counted.as_slice(), left_out].concat()).0,
        };
        Self {
            verdict,
            worst,
            unexempted: if_also(&exempted),
            unmonitored: if_also(&monitored),
            counted,
            exempted,
            monitored,
        }
    }

    /// The risk of what counts.
    pub(crate) fn risk(&self) -> RiskScore {
        Findings::risk_of(self.counted.iter().copied())
    }

    /// Whether the outcome is another than it would be without exemptions.
    pub(crate) fn is_exempted(&self) -> bool {
        self.unexempted > self.verdict
    }

    /// What did not count, for the session's flags: `exempted:RULE`, `monitored:RULE`, and
    /// `would_block` or `would_flag` for what the monitored would have led to.
    pub(crate) fn marks(&self) -> Vec<String> {
        let named = |how: &str, finding: &Finding| format!("{how}{}", finding.rule_id);
        let exempted = self.exempted.iter().map(|f| named(EXEMPTED, f));
        let monitored = self.monitored.iter().map(|f| named(MONITORED, f));
        let would = match self.unmonitored {
            Verdict::Deny if self.verdict < Verdict::Deny => Some(WOULD_BLOCK.to_owned()),
            Verdict::Flag if self.verdict < Verdict::Flag => Some(WOULD_FLAG.to_owned()),
            _ => None,
        };
        exempted.chain(monitored).chain(would).collect()
    }

    /// The same in words; empty where everything counted.
    pub(crate) fn notes(&self) -> String {
        let mut notes = String::new();
        for (left_out, how, verdict) in [
            (&self.exempted, "exempted", self.unexempted),
            (&self.monitored, "monitored only", self.unmonitored),
        ] {
            if left_out.is_empty() {
                continue;
            }
            let ids: Vec<&str> = left_out.iter().map(|f| f.rule_id.as_ref()).collect();
            notes.push_str(&format!("; {how}: {}", ids.join(", ")));
            if verdict > self.verdict {
                notes.push_str(match verdict {
                    Verdict::Deny => ", which would have blocked",
                    _ => ", which would have flagged",
                });
            }
        }
        notes
    }
}

/// The mark of what monitored rules would have blocked.
pub const WOULD_BLOCK: &str = "would_block";
const WOULD_FLAG: &str = "would_flag";
/// What the marks of exempted rules begin with.
pub const EXEMPTED: &str = "exempted:";
const MONITORED: &str = "monitored:";

/// What the thresholds say, and the worst finding behind a block.
fn reached<'f>(
    settings: &Settings,
    subject: &Subject<'_>,
    findings: &[&'f Finding],
) -> (Verdict, Option<&'f Finding>) {
    if let Some(group) = group(findings, settings.block_at(subject, None), |finding| {
        settings.block_at(subject, Some(&finding.category))
    }) {
        return (Verdict::Deny, worst(&group));
    }
    let flags = group(findings, settings.flag_at(subject, None), |finding| {
        settings.flag_at(subject, Some(&finding.category))
    });
    let verdict = if flags.is_some() {
        Verdict::Flag
    } else {
        Verdict::Allow
    };
    (verdict, None)
}

/// The findings that together reach a threshold, at the lowest that is reached. A finding adds to
/// its own threshold and to every higher one: so no threshold that is lowered for a category
/// makes anything pass that was stopped before.
fn group<'f>(
    findings: &[&'f Finding],
    base: RiskScore,
    threshold: impl Fn(&Finding) -> RiskScore,
) -> Option<Vec<&'f Finding>> {
    let with: Vec<(RiskScore, &'f Finding)> = findings.iter().map(|f| (threshold(f), *f)).collect();
    let under = |threshold: RiskScore| {
        let under = with.iter().filter(move |(own, _)| *own <= threshold);
        under.map(|(_, finding)| *finding)
    };
    let mut lowest = None;
    for threshold in with.iter().map(|(own, _)| *own).chain([base]) {
        let is_lower = lowest.is_none_or(|lowest| threshold < lowest);
        if is_lower && Findings::risk_of(under(threshold)) >= threshold {
            lowest = Some(threshold);
        }
    }
    lowest.map(|threshold| under(threshold).collect())
}

fn worst<'f>(findings: &[&'f Finding]) -> Option<&'f Finding> {
    findings.iter().copied().reduce(|worst, finding| {
        if finding.severity > worst.severity {
            finding
        } else {
            worst
        }
    })
}

#[cfg(test)]
mod tests {
    use clampd_detect::Findings;
    use clampd_model::{
        AgentId, Decodings, Finding, Settings, Severity, Subject, Surface, Verdict,
    };

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::Weighed;

    /// Findings from `category-severity` words; each is a rule of its own.
    fn found(words: &[&'static str]) -> Findings {
        let finding = |word: &&'static str| {
            let (category, severity) = word.split_once('-').unwrap();
            Finding {
                rule_id: (*word).into(),
                category: category.into(),
                name: "".into(),
                severity: match severity {
                    "low" => Severity::Low,
                    "medium" => Severity::Medium,
                    "high" => Severity::High,
                    _ => Severity::Critical,
                },
                surface: Surface::Params,
                offset: 0,
                decodings: Decodings::NONE,
            }
        };
        Findings {
            counts: vec![1; words.len()],
            findings: words.iter().map(finding).collect(),
        }
    }

    fn settings(fields: &str) -> Settings {
        let comma = if fields.is_empty() { "" } else { "," };
        let json = format!(r#"{{"block_at": 0.7, "flag_at": 0.4{comma} {fields}}}"#);
        serde_json::from_str(&json).unwrap()
    }

    #[track_caller]
    fn check(fields: &str, words: &[&'static str], verdict: Verdict) {
        let (settings, found) = (settings(fields), found(words));
        let weighed = Weighed::of(&settings, &Subject::default(), &found, &|_| false);
        assert_eq!(weighed.verdict, verdict, "{fields} {words:?}");
    }

    #[test]
    fn severities_and_their_combinations_reach_thresholds() {
        check("", &[], Verdict::Allow);
        check("", &["a-low"], Verdict::Allow);
        check("", &["a-low", "b-low"], Verdict::Allow);
        check("", &["a-low", "b-low", "c-low"], Verdict::Flag);
        check("", &["a-medium"], Verdict::Flag);
        check("", &["a-medium", "b-medium"], Verdict::Deny);
        check("", &["a-high"], Verdict::Deny);
        let everything = r#""thresholds": [{"category": "a", "block_at": 0, "flag_at": 0}]"#;
        check(everything, &["a-low"], Verdict::Deny);
        check(everything, &[], Verdict::Allow);
    }

    #[test]
    fn a_category_with_a_higher_threshold_of_its_own_is_borne_with_alone() {
        let lax = r#""thresholds": [{"category": "a", "block_at": 0.97, "flag_at": 0.6}]"#;
        check(lax, &["a-high"], Verdict::Flag);
        check(lax, &["a-medium"], Verdict::Allow);
        check(lax, &["a-high", "b-medium"], Verdict::Flag);
        check(lax, &["a-medium", "b-medium"], Verdict::Flag);
        check(lax, &["a-high", "b-high"], Verdict::Deny);
        // Together they reach the higher threshold.
        check(lax, &["a-critical", "b-medium"], Verdict::Deny);
    }

    #[test]
    fn a_lower_threshold_never_lets_more_pass() {
        const WORDS: [&str; 6] = ["a-low", "a-medium", "a-high", "b-low", "b-medium", "b-high"];
        let verdict = |threshold: f64, words: &[&'static str]| {
            let fields = format!(
                r#""thresholds": [{{"category": "a", "block_at": {threshold}, "flag_at": {}}}]"#,
                threshold / 2.0
            );
            let (settings, found) = (settings(&fields), found(words));
            Weighed::of(&settings, &Subject::default(), &found, &|_| false).verdict
        };
        for chosen in 0_usize..1 << WORDS.len() {
            let words: Vec<&'static str> = WORDS
                .into_iter()
                .enumerate()
                .filter(|(at, _)| chosen >> at & 1 == 1)
                .map(|(_, word)| word)
                .collect();
            let mut before = Verdict::Deny;
            for step in 0..=20 {
                let now = verdict(f64::from(step) / 20.0, &words);
                assert!(now <= before, "{words:?} at {step}");
                before = now;
            }
        }
    }

    #[test]
    fn what_is_monitored_decides_nothing_and_says_what_it_would_have_done() {
        let found = found(&["a-high", "b-medium"]);
        let monitored = settings(r#""modes": [{"category": "a", "mode": "monitor"}]"#);
        let weighed = Weighed::of(&monitored, &Subject::default(), &found, &|_| false);
        assert_eq!(weighed.verdict, Verdict::Flag);
        assert_eq!(weighed.risk().value(), 0.5);
        assert_eq!(weighed.marks(), ["monitored:a-high", "would_block"]);
        assert_eq!(
            weighed.notes(),
            "; monitored only: a-high, which would have blocked"
        );
        let off = settings(r#""modes": [{"rule": "a-high", "mode": "off"}]"#);
        let weighed = Weighed::of(&off, &Subject::default(), &found, &|_| false);
        assert_eq!((weighed.verdict, weighed.marks()), (Verdict::Flag, vec![]));
    }

    #[test]
    fn an_exemption_is_for_whom_it_names_and_is_said() {
        let set = settings(
            r#""exemptions": [{"rule": "a-high", "agent": "x", "reason": "r"}],
               "modes": [{"rule": "b-high", "mode": "monitor"}]"#,
        );
        let (x, y) = (AgentId::parse("x").unwrap(), AgentId::parse("y").unwrap());
        let found = found(&["a-high", "b-high"]);
        let of = |agent| {
            let subject = Subject {
                agent: Some(agent),
                tool: None,
            };
            Weighed::of(&set, &subject, &found, &|_| false)
        };
        assert!(of(&x).is_exempted() && !of(&y).is_exempted());
        assert_eq!(of(&x).verdict, Verdict::Allow);
        assert_eq!(
            of(&x).marks(),
            ["exempted:a-high", "monitored:b-high", "would_block"]
        );
        assert_eq!(
            (of(&y).verdict, of(&y).marks()),
            (Verdict::Deny, vec!["monitored:b-high".to_owned()])
        );
    }
}
