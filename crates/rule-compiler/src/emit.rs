//! Checked rules as Rust source: a table of what is short, and one text of all that is written, so
//! that it can be packed. Prose and examples stay behind.

use std::{fmt::Write as _, iter};

use clampd_detect::{Rule, Words};
use clampd_model::Severity;

use crate::source::RuleSource;

/// What stands behind every text in [`Table::texts`]. No rule has it: the compiler refuses it.
pub(crate) const END_OF_TEXT: char = '\u{1e}';

/// Rules, ready to be built in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The source of `static ROWS: &[Row]`, sorted by id, and of `const END_OF_TEXT: char`, which
    /// stands behind every text. The file that includes it must have `Row`,
    /// `ToolSet`, `Signal`, `Severity`, `SurfaceSet`, `Form` and `Reach` in scope.
    pub rows: String,
    /// Row by row: id, name, category, literals, each group of words near them, and the pattern
    /// where the row has one.
    pub texts: String,
}

/// The table of these rules.
pub fn emit(rules: &[RuleSource]) -> Table {
    let mut rows =
        format!("const END_OF_TEXT: char = {END_OF_TEXT:?};\nstatic ROWS: &[Row] = &[\n");
    let mut texts = String::new();
    for source in rules {
        let rule = &source.rule;
        let severity = match rule.severity {
            Severity::Low => "Low",
            Severity::Medium => "Medium",
            Severity::High => "High",
            Severity::Critical => "Critical",
        };
        let signal = match rule.signal {
            Some(signal) => format!("Some(Signal::{})", signal.variant()),
            None => "None".to_owned(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            rows,
            "    Row {{ near: {}, pattern: {}, severity: Severity::{severity}, \
             applies_to: SurfaceSet::from_bits({}), reach: Reach::{:?}, within: {}, before: {}, \
             signal: {signal}, form: Form::{:?}, not_in: ToolSet::from_bits({}), \
             only_in: ToolSet::from_bits({}) }},",
            rule.near.len(),
            rule.pattern.is_some(),
            rule.applies_to.bits(),
            rule.reach,
            rule.within,
            rule.before,
            rule.form,
            rule.not_in.bits(),
            rule.only_in.bits(),
        );
        for text in texts_of(rule) {
            texts.push_str(text);
            texts.push(END_OF_TEXT);
        }
    }
    rows.push_str("];\n");
    Table { rows, texts }
}

/// What is written in a rule, in the order of [`Table::texts`].
pub(crate) fn texts_of(rule: &Rule) -> impl Iterator<Item = &str> {
    let named = [&*rule.id, &*rule.name, &*rule.category];
    let words = iter::once(&rule.literals).chain(rule.near.iter());
    let words = words.map(Words::joined);
    named
        .into_iter()
        .chain(words)
        .chain(rule.pattern.as_deref())
}
