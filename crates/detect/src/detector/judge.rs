//! One folded text against the rules whose words stand in it.

use clampd_model::{Decodings, Finding, Surface, ToolCategory};

use crate::{
    findings::Collected,
    limits,
    recognise::{self, Signals},
    rule::{Form, Rule},
    traits::Traits,
};

use super::index::{Hit, Index, Pattern, Use};

/// Where the text stands.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) surface: Surface,
    /// Set when the text is the own language of a tool of this kind.
    pub(super) own_language: Option<ToolCategory>,
}

impl Context {
    fn admits(&self, rule: &Rule) -> bool {
        rule.applies_to.contains(self.surface)
            && !self
                .own_language
                .is_some_and(|kind| rule.not_in.contains(kind))
            && (rule.only_in.is_empty()
                || self
                    .own_language
                    .is_some_and(|kind| rule.only_in.contains(kind)))
    }
}

/// A word of a rule at its place. Sorting brings a rule's gates first, then its groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    rule: u16,
    /// 0 for the gate, 1.. for the groups.
    group: u8,
    start: u32,
    end: u32,
}

/// Judges `text` and notes what is found; gives the traits for further decoding.
pub(super) fn judge(
    rules: &[Rule],
    index: &Index,
    context: &Context,
    text: &str,
    decodings: Decodings,
    collected: &mut Collected,
) -> Traits {
    let mut traits = Traits::of(text);
    let mut candidates: Vec<Candidate> = Vec::new();
    for hit in capped(index, text) {
        for use_ in index.uses(hit.word) {
            let (rule, group) = match *use_ {
                Use::Gate(rule) => (rule, 0),
                Use::Near(rule, group) => (rule, group.saturating_add(1)),
                Use::Cue(cue) => {
                    traits = traits.with(cue);
                    continue;
                }
            };
            if rules
                .get(usize::from(rule))
                .is_some_and(|rule| context.admits(rule))
            {
                let (start, end) = (narrow(hit.start), narrow(hit.end));
                candidates.push(Candidate {
                    rule,
                    group,
                    start,
                    end,
                });
            }
        }
    }
    candidates.sort_unstable();
    let mut prose = None;
    let mut fits = |rule: &Rule| {
        rule.form == Form::Any || !*prose.get_or_insert_with(|| recognise::is_prose(text))
    };
    let signals = recognise::signals(text, traits, context.own_language);
    for of_rule in candidates.chunk_by(|a, b| a.rule == b.rule) {
        let Some(at) = of_rule.first().map(|candidate| candidate.rule) else {
            continue;
        };
        let Some(rule) = rules.get(usize::from(at)) else {
            continue;
        };
        let pattern = index.patterns.get(usize::from(at)).and_then(Option::as_ref);
        let found = matches(rule, pattern, of_rule, text, &signals);
        if found.is_some() && fits(rule) {
            note(rule, found, context, decodings, collected);
        }
    }
    for (signal, seen) in signals.iter() {
        for at in index.by_signal.get(&signal).into_iter().flatten() {
            let Some(rule) = rules.get(usize::from(*at)) else {
                continue;
            };
            if context.admits(rule) && fits(rule) {
                note(rule, Some(seen), context, decodings, collected);
            }
        }
    }
    traits
}

/// The hits, each word's and all words' number bounded.
fn capped<'t>(index: &'t Index, text: &'t str) -> impl Iterator<Item = Hit> + 't {
    let mut of_word = vec![0_u16; index.words()];
    index
        .hits(text)
        .filter(move |hit| match of_word.get_mut(hit.word) {
            Some(count) => {
                *count = count.saturating_add(1);
                *count <= limits::CANDIDATES_PER_WORD_MAX
            }
            None => false,
        })
        .take(limits::HITS_MAX)
}

fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

fn note(
    rule: &Rule,
    found: Option<(u32, u32)>,
    context: &Context,
    decodings: Decodings,
    collected: &mut Collected,
) {
    let Some((offset, count)) = found else { return };
    let finding = Finding {
        rule_id: rule.id.clone(),
        category: rule.category.clone(),
        name: rule.name.clone(),
        severity: rule.severity,
        surface: context.surface,
        offset,
        decodings,
    };
    collected.add(rule, finding, count);
}

/// Where the rule first matches and how often.
fn matches(
    rule: &Rule,
    pattern: Option<&Pattern>,
    candidates: &[Candidate],
    text: &str,
    signals: &Signals,
) -> Option<(u32, u32)> {
    let signalled = |gate: &&Candidate| {
        rule.signal.is_none_or(|signal| {
            recognise::at(signal, text, gate.end as usize)
                .unwrap_or_else(|| signals.contains(signal))
        })
    };
    let gates = candidates
        .iter()
        .take_while(|candidate| candidate.group == 0);
    let gates = gates.filter(signalled);
    let mut gates = gates
        .filter(|gate| is_near(rule, candidates, gate, text))
        .peekable();
    gates.peek()?;
    match pattern {
        None => {
            let first = gates.next()?;
            Some((first.start, 1 + narrow(gates.count())))
        }
        Some(pattern) => match_windows(pattern, rule.before, gates, text),
    }
}

/// Runs the pattern around each gate, as often as the limits allow.
fn match_windows<'c>(
    pattern: &Pattern,
    before: u16,
    gates: impl Iterator<Item = &'c Candidate>,
    text: &str,
) -> Option<(u32, u32)> {
    let mut first = None;
    let mut count = 0;
    let mut searched_to = 0;
    for gate in gates.take(limits::WINDOWS_PER_RULE_MAX) {
        let (start, end) = (gate.start as usize, gate.end as usize);
        if start < searched_to || (pattern.begins_word && follows_word(text, start)) {
            continue;
        }
        let to = ceil(text, end.saturating_add(limits::WINDOW_BYTES));
        let found = if pattern.anchored {
            let window = text.get(start..to).unwrap_or_default();
            pattern
                .regex
                .find(window)
                .map(|found| (start, start + found.end()))
        } else {
            let from = floor(text, start.saturating_sub(usize::from(before)));
            let window = text.get(..to).unwrap_or_default();
            pattern
                .regex
                .find_at(window, from)
                .map(|found| (found.start(), found.end()))
        };
        if let Some((found_at, found_to)) = found {
            first.get_or_insert(narrow(found_at));
            count += 1;
            searched_to = found_to;
        }
    }
    first.map(|offset| (offset, count))
}

/// Whether a Latin letter, digit or underscore stands right before `at`.
fn follows_word(text: &str, at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| text.as_bytes().get(at));
    before.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

/// Whether each group of `near` has a word close enough to the gate.
fn is_near(rule: &Rule, candidates: &[Candidate], gate: &Candidate, text: &str) -> bool {
    if rule.near.is_empty() {
        return true;
    }
    if !begins_word(text, gate) {
        return false;
    }
    let within = u32::from(rule.within);
    (1..=rule.near.len()).all(|group| {
        candidates.iter().any(|candidate| {
            usize::from(candidate.group) == group
                && candidate.start <= gate.end.saturating_add(within)
                && gate.start <= candidate.end.saturating_add(within)
                && begins_word(text, candidate)
        })
    })
}

/// Whether no Latin letter or digit stands right before a word that begins with one.
fn begins_word(text: &str, candidate: &Candidate) -> bool {
    let bytes = text.as_bytes();
    let start = candidate.start as usize;
    let first = bytes.get(start).is_some_and(u8::is_ascii_alphanumeric);
    let before = start.checked_sub(1).and_then(|at| bytes.get(at));
    !(first && before.is_some_and(u8::is_ascii_alphanumeric))
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
