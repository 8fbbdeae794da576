//! One folded text against the rules whose words stand in it.

use clampd_model::{Decodings, Finding, Surface, ToolCategory};

use crate::{
    findings::Collected,
    limits,
    recognise::{self, Prose, Signals},
    rule::{Form, Reach, Rule},
    traits::Traits,
};

use super::index::{Hit, Index, Pattern};

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
    let mut opened = RuleSet::new(rules.len());
    let mut hits: Vec<Hit> = Vec::new();
    for hit in capped(index, text) {
        let Some(uses) = index.uses(hit.word) else {
            continue;
        };
        traits = traits.with(uses.cue);
        for rule in &uses.gates {
            opened.insert(*rule);
        }
        hits.push(hit);
    }
    opened.retain(|rule| {
        rules
            .get(usize::from(rule))
            .is_some_and(|rule| context.admits(rule))
    });
    let candidates = candidates(index, &hits, &opened);
    let prose = Prose::new(text);
    let signals = recognise::signals(text, traits, &prose, context.own_language);
    for of_rule in candidates.chunk_by(|a, b| a.rule == b.rule) {
        let Some(at) = of_rule.first().map(|candidate| candidate.rule) else {
            continue;
        };
        let Some(rule) = rules.get(usize::from(at)) else {
            continue;
        };
        if of_rule.first().is_some_and(|first| first.group != 0) || !fits(rule, &prose) {
            continue;
        }
        let pattern = index.patterns.get(usize::from(at)).and_then(Option::as_ref);
        let found = matches(rule, pattern, of_rule, text, &signals)
            .filter(|(offset, _)| rule.form != Form::Order || !prose.mentions(*offset));
        note(rule, found, context, decodings, collected);
    }
    for (signal, seen) in signals.iter() {
        for at in index.by_signal.get(&signal).into_iter().flatten() {
            let Some(rule) = rules.get(usize::from(*at)) else {
                continue;
            };
            let mentioned = rule.form == Form::Order && prose.mentions(seen.0);
            if context.admits(rule) && fits(rule, &prose) && !mentioned {
                note(rule, Some(seen), context, decodings, collected);
            }
        }
    }
    traits
}

/// The words of opened rules at their places, rule by rule.
fn candidates(index: &Index, hits: &[Hit], opened: &RuleSet) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    if opened.is_empty() {
        return candidates;
    }
    for hit in hits {
        let Some(uses) = index.uses(hit.word) else {
            continue;
        };
        let gates = uses.gates.iter().map(|rule| (*rule, 0));
        let nears = uses
            .nears
            .iter()
            .map(|(rule, group)| (*rule, group.saturating_add(1)));
        for (rule, group) in gates
            .chain(nears)
            .filter(|(rule, _)| opened.contains(*rule))
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
    candidates.sort_unstable();
    candidates
}

/// A set of rules by their place in the table.
struct RuleSet(Vec<u64>);

impl RuleSet {
    fn new(rules: usize) -> Self {
        Self(vec![0; rules / 64 + 1])
    }

    fn insert(&mut self, rule: u16) {
        if let Some(word) = self.0.get_mut(usize::from(rule) / 64) {
            *word |= 1 << (rule % 64);
        }
    }

    fn contains(&self, rule: u16) -> bool {
        self.0
            .get(usize::from(rule) / 64)
            .is_some_and(|word| word & (1 << (rule % 64)) != 0)
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    fn retain(&mut self, keep: impl Fn(u16) -> bool) {
        for (at, word) in self.0.iter_mut().enumerate() {
            let mut left = *word;
            while left != 0 {
                let bit = left.trailing_zeros();
                left &= left - 1;
                let rule = u16::try_from(at * 64 + bit as usize).unwrap_or(u16::MAX);
                if !keep(rule) {
                    *word &= !(1 << bit);
                }
            }
        }
    }
}

/// Whether the text has the form that the rule is for.
fn fits(rule: &Rule, prose: &Prose<'_>) -> bool {
    rule.form != Form::Bare || !prose.holds()
}

/// The hits, each word's and all words' number bounded. Texts with few hits pay nothing for it.
fn capped<'t>(index: &'t Index, text: &'t str) -> impl Iterator<Item = Hit> + 't {
    let mut seen = 0_usize;
    let mut of_word: Vec<u16> = Vec::new();
    index
        .hits(text)
        .filter(move |hit| {
            seen += 1;
            if seen <= limits::HITS_UNCOUNTED {
                return true;
            }
            if of_word.is_empty() {
                of_word.resize(index.words(), 0);
            }
            match of_word.get_mut(hit.word) {
                Some(count) => {
                    *count = count.saturating_add(1);
                    *count <= limits::CANDIDATES_PER_WORD_MAX
                }
                None => false,
            }
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
        Some(pattern) => match_windows(pattern, rule, gates, text),
    }
}

/// Runs the pattern around each gate, as often as the limits allow.
fn match_windows<'c>(
    pattern: &Pattern,
    rule: &Rule,
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
            anchored(&pattern.regex, text, start, to).map(|end| (start, end))
        } else {
            let from = floor(text, start.saturating_sub(usize::from(rule.before)));
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
            if !rule.counts() {
                break;
            }
        }
    }
    first.map(|offset| (offset, count))
}

/// Where a match ends that begins at `start`. The character before it is shown to the regex.
fn anchored(regex: &regex_lite::Regex, text: &str, start: usize, to: usize) -> Option<usize> {
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

/// Whether each group of `near` has a word close enough to the gate.
fn is_near(rule: &Rule, candidates: &[Candidate], gate: &Candidate, text: &str) -> bool {
    // In prose a word is a word; in a payload it may stand behind anything.
    if rule.pattern.is_none() && rule.form != Form::Bare && !begins_word(text, gate) {
        return false;
    }
    if rule.near.is_empty() {
        return true;
    }
    // Letters outside ASCII are two or three bytes long.
    let within = u32::from(rule.within) * if text.is_ascii() { 1 } else { 2 };
    (1..=rule.near.len()).all(|group| {
        candidates.iter().any(|candidate| {
            usize::from(candidate.group) == group
                && candidate.start <= gate.end.saturating_add(within)
                && match rule.reach {
                    Reach::Around => gate.start <= candidate.end.saturating_add(within),
                    Reach::After => gate.end <= candidate.start,
                }
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
