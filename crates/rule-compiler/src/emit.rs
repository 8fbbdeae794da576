//! Checked rules as Rust source: one static table, sorted by id, without prose and examples.

use std::fmt::Write as _;

use clampd_detect::Words;
use clampd_model::Severity;

use crate::source::RuleSource;

/// The source of `pub static RULES: &[Rule]`. The file that includes it must have `Rule`,
/// `Words`, `ToolSet`, `Signal`, `Severity`, `SurfaceSet` and `Cow` in scope.
pub fn emit(rules: &[RuleSource]) -> String {
    let mut out =
        String::from("/// The built-in rules, sorted by id.\npub static RULES: &[Rule] = &[\n");
    for source in rules {
        let rule = &source.rule;
        let severity = match rule.severity {
            Severity::Low => "Low",
            Severity::Medium => "Medium",
            Severity::High => "High",
            Severity::Critical => "Critical",
        };
        let near: Vec<String> = rule.near.iter().map(words).collect();
        let pattern = match &rule.pattern {
            Some(pattern) => format!("Some(Cow::Borrowed({pattern:?}))"),
            None => "None".to_owned(),
        };
        let signal = match rule.signal {
            Some(signal) => format!("Some(Signal::{})", signal.variant()),
            None => "None".to_owned(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "    Rule {{ id: Cow::Borrowed({:?}), name: Cow::Borrowed({:?}), category: Cow::Borrowed({:?}), \
             severity: Severity::{severity}, applies_to: SurfaceSet::from_bits({}), literals: {}, \
             near: Cow::Borrowed(const {{ &[{}] }}), reach: Reach::{:?}, within: {}, pattern: {pattern}, before: {}, signal: {signal}, \
             form: Form::{:?}, not_in: ToolSet::from_bits({}), only_in: ToolSet::from_bits({}) }},",
            rule.id,
            rule.name,
            rule.category,
            rule.applies_to.bits(),
            words(&rule.literals),
            near.join(", "),
            rule.reach,
            rule.within,
            rule.before,
            rule.form,
            rule.not_in.bits(),
            rule.only_in.bits(),
        );
    }
    out.push_str("];\n");
    out
}

fn words(words: &Words) -> String {
    format!("Words::from_static({:?})", words.joined())
}
