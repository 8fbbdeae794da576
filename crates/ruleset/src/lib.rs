//! The built-in rules, compiled from `rules/` at build time.
//!
//! What is written in them, nearly all of it words, is kept packed: unpacked it would be a tenth of
//! the filter. The prose and the examples stay in `rules/`; what a rule means to a call is `guard`'s.

use std::{borrow::Cow, sync::LazyLock};

use clampd_detect::{Form, Reach, Rule, Signal, ToolSet, Words};
use clampd_model::{Severity, SurfaceSet};

include!(concat!(env!("OUT_DIR"), "/rows.rs"));

/// All that is written in the rules, in the order of `ROWS`.
static TEXTS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/texts.deflate"));

/// The built-in rules, sorted by id.
#[expect(
    clippy::expect_used,
    reason = "both halves are of one build, and a filter must not start without its rules"
)]
pub static RULES: LazyLock<&'static [Rule]> =
    LazyLock::new(|| unpacked().expect("the built-in rules are whole"));

/// What of a rule is short.
struct Row {
    /// How many groups of words stand near its literals.
    near: u8,
    /// Whether it has a pattern.
    pattern: bool,
    severity: Severity,
    applies_to: SurfaceSet,
    reach: Reach,
    within: u16,
    before: u16,
    signal: Option<Signal>,
    form: Form,
    not_in: ToolSet,
    only_in: ToolSet,
}

/// The rules; `None` when rows and texts do not belong together. They stay for as long as the
/// process, so nothing of them is copied.
fn unpacked() -> Option<&'static [Rule]> {
    let texts = miniz_oxide::inflate::decompress_to_vec(TEXTS).ok()?;
    let texts: &'static str = String::from_utf8(texts).ok()?.leak();
    let mut texts = texts.split_terminator(END_OF_TEXT);
    let rules: Option<Vec<Rule>> = ROWS.iter().map(|row| row.with(&mut texts)).collect();
    let rules = rules.filter(|_| texts.next().is_none())?;
    Some(rules.leak())
}

impl Row {
    /// The rule, with its texts taken from those that are left.
    fn with(&self, texts: &mut impl Iterator<Item = &'static str>) -> Option<Rule> {
        Some(Rule {
            id: Cow::Borrowed(texts.next()?),
            name: Cow::Borrowed(texts.next()?),
            category: Cow::Borrowed(texts.next()?),
            literals: Words::from_static(texts.next()?),
            near: (0..self.near)
                .map(|_| texts.next().map(Words::from_static))
                .collect::<Option<_>>()?,
            pattern: match self.pattern {
                true => Some(Cow::Borrowed(texts.next()?)),
                false => None,
            },
            severity: self.severity,
            applies_to: self.applies_to,
            reach: self.reach,
            within: self.within,
            before: self.before,
            signal: self.signal,
            form: self.form,
            not_in: self.not_in,
            only_in: self.only_in,
        })
    }
}
