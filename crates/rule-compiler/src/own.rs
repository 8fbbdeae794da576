//! Rules of an organisation's own: one file, compiled as the built-in ones are and within limits.
//!
//! Where it is kept, and what all files of an organisation may come to together, is the control
//! plane's.

use regex_lite::RegexBuilder;

use crate::{
    CompileError,
    check::check,
    source::{RuleSource, parse},
};

/// Bytes that a file may have.
pub const FILE_BYTES_MAX: usize = 128 * 1024;
/// Rules that one file may have.
const RULES_MAX: usize = 200;
/// Words that one rule may look for.
const WORDS_MAX: usize = 5_000;
/// Bytes that one word may have.
const WORD_BYTES_MAX: usize = 256;
/// Groups of `near` that one rule may have.
const NEAR_MAX: usize = 4;
/// Bytes that may lie between a literal and what belongs to it.
const REACH_BYTES_MAX: u16 = 256;
/// Bytes that a pattern may be written with.
const PATTERN_TEXT_BYTES_MAX: usize = 1_024;
/// Bytes that a compiled pattern may have. Searching takes time in proportion.
const PATTERN_BYTES_MAX: usize = 64 * 1024;

/// What rules take of a proxy's memory and time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// How many there are.
    pub rules: usize,
    /// Bytes of all words.
    pub word_bytes: usize,
    /// Bytes of all patterns, compiled.
    pub pattern_bytes: usize,
}

impl Cost {
    /// What the files of one organisation may cost together.
    pub const MAX: Self = Self {
        rules: 500,
        word_bytes: 64 * 1024,
        pattern_bytes: 512 * 1024,
    };

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            rules: self.rules.saturating_add(other.rules),
            word_bytes: self.word_bytes.saturating_add(other.word_bytes),
            pattern_bytes: self.pattern_bytes.saturating_add(other.pattern_bytes),
        }
    }

    /// What is over `limit`, in words; nothing when all is within.
    pub fn over(self, limit: Self) -> Option<String> {
        [
            (self.rules, limit.rules, "rules"),
            (self.word_bytes, limit.word_bytes, "bytes of words"),
            (
                self.pattern_bytes,
                limit.pattern_bytes,
                "bytes of compiled patterns",
            ),
        ]
        .into_iter()
        .find(|(is, limit, _)| is > limit)
        .map(|(is, limit, what)| format!("{is} {what}, {limit} are allowed"))
    }
}

/// Compiles one file. `taken` tells whose an id is already, if anybody's.
///
/// # Errors
/// Everything that is wrong, with the file, the line, the rule and the text.
pub fn compile_own(
    file: &str,
    text: &str,
    taken: &dyn Fn(&str) -> Option<String>,
) -> Result<(Vec<RuleSource>, Cost), Vec<CompileError>> {
    let refuse = |line: Option<usize>, rule: Option<&str>, reason: String| CompileError {
        file: file.to_owned(),
        line,
        rule: rule.map(str::to_owned),
        reason,
    };
    if text.len() > FILE_BYTES_MAX {
        let reason = format!("the file has more than {FILE_BYTES_MAX} bytes");
        return Err(vec![refuse(None, None, reason)]);
    }
    let no_lists = |list: &str| {
        Err(format!(
            "there is no word list `{list}`: write its words here"
        ))
    };
    let mut rules = parse(file, text, &no_lists)?;
    if rules.is_empty() || rules.len() > RULES_MAX {
        let reason = format!("a file has 1 to {RULES_MAX} rules, not {}", rules.len());
        return Err(vec![refuse(None, None, reason)]);
    }
    let mut cost = Cost::default();
    let mut errors = Vec::new();
    for rule in &rules {
        let mut refused = |reason| errors.push(refuse(Some(rule.line), Some(&rule.id), reason));
        if let Some(owner) = taken(&rule.id) {
            refused(format!("the id is taken by {owner}"));
        }
        match of_rule(rule) {
            Ok(of_rule) => cost = cost.and(of_rule),
            Err(reason) => refused(reason),
        }
    }
    if let Some(over) = cost.over(Cost::MAX) {
        errors.push(refuse(None, None, format!("the file has {over}")));
    }
    if errors.is_empty() {
        errors = check(&rules);
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    rules.sort_by(|a, b| a.id.cmp(&b.id));
    Ok((rules, cost))
}

/// What one rule costs, if it is within the limits of one rule.
fn of_rule(source: &RuleSource) -> Result<Cost, String> {
    let rule = &source.rule;
    let near = rule.near.iter().flat_map(|group| group.iter());
    let words: Vec<&str> = rule.literals.iter().chain(near).collect();
    let longest = words.iter().map(|word| word.len()).max().unwrap_or(0);
    let pattern = rule.pattern.as_deref().unwrap_or_default();
    for (what, is, limit) in [
        ("words", words.len(), WORDS_MAX),
        ("bytes in a word", longest, WORD_BYTES_MAX),
        ("groups of `near`", rule.near.len(), NEAR_MAX),
        ("bytes `within`", rule.within.into(), REACH_BYTES_MAX.into()),
        ("bytes `before`", rule.before.into(), REACH_BYTES_MAX.into()),
        ("bytes of pattern", pattern.len(), PATTERN_TEXT_BYTES_MAX),
    ] {
        if is > limit {
            return Err(format!("{is} {what}, {limit} are allowed"));
        }
    }
    Ok(Cost {
        rules: 1,
        word_bytes: words.iter().map(|word| word.len()).sum(),
        pattern_bytes: pattern_bytes(pattern)?,
    })
}

/// How large a pattern is when it is compiled, to the kilobyte. One that cannot be read is left
/// to the check that says why.
fn pattern_bytes(pattern: &str) -> Result<usize, String> {
    const STEP: usize = 1_024;
    let fits = |bytes| RegexBuilder::new(pattern).size_limit(bytes).build().is_ok();
    if pattern.is_empty() || RegexBuilder::new(pattern).build().is_err() {
        return Ok(0);
    }
    if !fits(PATTERN_BYTES_MAX) {
        return Err(format!(
            "the pattern takes more than {PATTERN_BYTES_MAX} bytes compiled: shorten its repetitions"
        ));
    }
    let (mut too_few, mut enough) = (0, PATTERN_BYTES_MAX / STEP);
    while enough - too_few > 1 {
        let middle = (too_few + enough) / 2;
        if fits(middle * STEP) {
            enough = middle;
        } else {
            too_few = middle;
        }
    }
    Ok(enough * STEP)
}
