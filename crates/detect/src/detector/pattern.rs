//! A rule's pattern, run on small windows around the words that open the rule.

use regex_lite::Regex;

use crate::{effort::Effort, limits, rule::Rule};

use super::{DetectError, judge::Gate};

/// A rule's pattern, ready.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    /// It must begin where the literal begins. The regex then also takes the character before,
    /// so that `\b` sees what stands there.
    anchored: bool,
    /// Where it may begin before the literal: whether it does, which is much the cheaper question
    /// than where.
    begins: Option<Regex>,
    /// No letter or digit may stand before it: asked first, since it is the cheaper question.
    begins_word: bool,
    /// What one window costs.
    cost_bytes: usize,
}

impl Pattern {
    /// The pattern of a rule, if it has one.
    pub(super) fn of(rule: &Rule) -> Result<Option<Self>, DetectError> {
        let Some(pattern) = &rule.pattern else {
            return Ok(None);
        };
        let anchored = rule.before == 0;
        let begins_word = anchored && pattern.starts_with(r"\b");
        let compiled = |source: &str| {
            Regex::new(source).map_err(|e| DetectError::Pattern {
                rule: rule.id.to_string(),
                reason: e.to_string(),
            })
        };
        let before = usize::from(rule.before);
        let (regex, begins) = if anchored {
            (compiled(&format!(r"\A(?s:.)(?:{pattern})"))?, None)
        } else {
            let begins = format!(r"\A(?s:.)(?s:.{{0,{before}}}?)(?:{pattern})");
            (compiled(pattern)?, Some(compiled(&begins)?))
        };
        let is_far = ["[^", ".{", ".*"].iter().any(|far| pattern.contains(far));
        let cost_bytes = match (anchored, is_far) {
            (true, false) => limits::WINDOW_COST_BYTES,
            (true, true) => limits::FAR_WINDOW_COST_BYTES,
            (false, _) => limits::FAR_WINDOW_COST_BYTES + before * limits::BEFORE_COST_BYTES,
        };
        Ok(Some(Self {
            regex,
            anchored,
            begins,
            begins_word,
            cost_bytes,
        }))
    }

    /// Where the pattern first matches around the gates and how often, as far as the effort goes.
    pub(super) fn matches<'g>(
        &self,
        rule: &Rule,
        gates: impl Iterator<Item = &'g Gate>,
        text: &str,
        effort: &Effort,
    ) -> Option<(u32, u32)> {
        let mut first = None;
        let mut count = 0;
        let mut searched_to = 0;
        for gate in gates {
            let start = gate.start as usize;
            if start < searched_to || (self.begins_word && follows_word(text, start)) {
                continue;
            }
            let Some((from, to)) = self.window(rule, gate, text, effort) else {
                break;
            };
            if let Some((found_at, found_to)) = self.find(text, start, from, to) {
                first.get_or_insert(u32::try_from(found_at).unwrap_or(u32::MAX));
                count += 1;
                searched_to = found_to;
                if !rule.counts() || count >= limits::COUNT_MAX {
                    break;
                }
            }
        }
        first.map(|offset| (offset, count))
    }

    /// The window around a gate; `None` when the effort does not reach for it.
    fn window(
        &self,
        rule: &Rule,
        gate: &Gate,
        text: &str,
        effort: &Effort,
    ) -> Option<(usize, usize)> {
        let start = gate.start as usize;
        let from = floor(text, start.saturating_sub(usize::from(rule.before)));
        let to = ceil(
            text,
            (gate.end as usize).saturating_add(limits::WINDOW_BYTES),
        );
        effort.spend(self.cost_bytes).then_some((from, to))
    }

    fn find(&self, text: &str, start: usize, from: usize, to: usize) -> Option<(usize, usize)> {
        if self.anchored {
            return anchored(&self.regex, text, start, to).map(|end| (start, end));
        }
        // The character before it is shown to the regex; the beginning of the text has none.
        let shown = floor(text, from.checked_sub(1).unwrap_or(from));
        let begins = self.begins.as_ref().filter(|_| from > 0);
        if begins.is_some_and(|begins| text.get(shown..to).is_none_or(|w| !begins.is_match(w))) {
            return None;
        }
        let found = self.regex.find_at(text.get(..to)?, from)?;
        (found.start() <= start).then(|| (found.start(), found.end()))
    }
}

/// Where a match ends that begins at `start`. The character before it is shown to the regex.
fn anchored(regex: &Regex, text: &str, start: usize, to: usize) -> Option<usize> {
    let before = floor(text, start.checked_sub(1).unwrap_or(start));
    if start == 0 {
        let window = format!(" {}", text.get(..to)?);
        return regex.find(&window).map(|found| found.end() - 1);
    }
    regex
        .find(text.get(before..to)?)
        .map(|found| before + found.end())
}

/// Whether a Latin letter, digit or underscore stands right before `at`.
fn follows_word(text: &str, at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| text.as_bytes().get(at));
    before.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

fn floor(text: &str, mut at: usize) -> usize {
    while at > 0 && !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn ceil(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while at < text.len() && !text.is_char_boundary(at) {
        at += 1;
    }
    at
}
