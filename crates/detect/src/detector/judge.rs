//! One folded text against the rules whose words stand in it.

use clampd_model::{Decodings, Finding, Surface, ToolCategory};
use clampd_sweep::{Survey, Traits};

use crate::{
    effort::Effort,
    findings::Collected,
    recognise::{self, Prose, Signals},
    rule::{Form, Rule},
};

use super::{
    index::Index,
    near::{self, Near},
    order::{self, Packed},
};

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

/// A word that opens a rule, at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gate {
    pub(super) rule: u16,
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Packed for Gate {
    fn pack(self) -> u64 {
        // Words are at most `WORD_BYTES_MAX` long.
        let bytes = self.end.saturating_sub(self.start);
        u64::from(self.rule) << 48 | u64::from(self.start) << 16 | u64::from(bytes)
    }

    fn unpack(number: u64) -> Self {
        let start = (number >> 16) as u32;
        Self {
            rule: (number >> 48) as u16,
            start,
            end: start.saturating_add(number as u32 & 0xffff),
        }
    }
}

/// Judges the texts of one leaf.
#[derive(Debug)]
pub(super) struct Judge<'d> {
    pub(super) rules: &'d [Rule],
    pub(super) index: &'d Index,
    pub(super) context: Context,
    pub(super) effort: Effort,
}

impl<'d> Judge<'d> {
    /// Judges `text` and notes what is found; gives what is known of it for further decoding.
    pub(super) fn judge(
        &self,
        text: &str,
        decodings: Decodings,
        collected: &mut Collected,
    ) -> Survey {
        #[cfg(fuzzing)]
        crate::fuzzing::judged(text);
        let (gates, cues) = self.gates(text);
        let mut survey = Survey::of(text);
        survey.traits = survey.traits.with(cues);
        let prose = Prose::new(text, survey.traits);
        let own_language = self.context.own_language;
        let signals = recognise::signals(text, &survey, &prose, own_language, &self.effort);
        if !gates.is_empty() {
            let read = Read {
                text,
                is_ascii: text.is_ascii(),
                prose: &prose,
                signals: &signals,
            };
            self.judge_gates(gates, &read, decodings, collected);
        }
        for (signal, seen) in signals.iter() {
            for at in self.index.by_signal.get(&signal).into_iter().flatten() {
                let Some(rule) = self.rule(*at) else {
                    continue;
                };
                let mentioned = rule.form == Form::Order && prose.mentions(seen.0);
                let fits = fits(rule, &prose) || self.stands_out(rule, &prose, seen.0);
                if self.context.admits(rule) && fits && !mentioned {
                    self.note(rule, Some(seen), decodings, collected);
                }
            }
        }
        survey
    }

    /// The words in the text that open rules which are looked for here, in the order of their
    /// places, and what words say about the text.
    fn gates(&self, text: &str) -> (Vec<Gate>, Traits) {
        let mut gates = Vec::new();
        let mut cues = Traits::default();
        let bytes = text.as_bytes();
        self.index
            .gates
            .find(bytes, 0..bytes.len(), &mut |word, start, end| {
                let Some(uses) = self.index.gate(word) else {
                    return;
                };
                cues = cues.with(uses.cue);
                for rule in &uses.rules {
                    if self
                        .rule(*rule)
                        .is_some_and(|rule| self.context.admits(rule))
                    {
                        let (start, end) = (narrow(start), narrow(end));
                        gates.push(Gate {
                            rule: *rule,
                            start,
                            end,
                        });
                    }
                }
            });
        (gates, cues)
    }

    fn judge_gates(
        &self,
        mut gates: Vec<Gate>,
        read: &Read<'_>,
        decodings: Decodings,
        collected: &mut Collected,
    ) {
        let mut opened = RuleSet::new(self.rules.len());
        gates.iter().for_each(|gate| opened.insert(gate.rule));
        let nears = near::around(self, &gates, read.text, read.is_ascii, &opened);
        order::sort(&mut gates);
        for of_rule in gates.chunk_by(|a, b| a.rule == b.rule) {
            let Some(at) = of_rule.first().map(|gate| gate.rule) else {
                continue;
            };
            let Some(rule) = self.rule(at) else {
                continue;
            };
            let fits = fits(rule, read.prose);
            if !fits && !self.looks_closely(rule, read.prose) {
                continue;
            }
            let nears = near::of_rule(&nears, at);
            let found = self.matches(rule, at, of_rule, nears, read);
            let found = found.filter(|(at, _)| fits || self.stands_out(rule, read.prose, *at));
            self.note(rule, found, decodings, collected);
        }
    }

    /// Where the rule first matches and how often.
    fn matches(
        &self,
        rule: &Rule,
        at: u16,
        gates: &[Gate],
        nears: &[Near],
        read: &Read<'_>,
    ) -> Option<(u32, u32)> {
        let signalled = rule
            .signal
            .is_none_or(|signal| recognise::is_local(signal) || read.signals.contains(signal));
        if !signalled {
            return None;
        }
        // In prose a word is a word; in a payload it may stand behind anything.
        let as_word = rule.pattern.is_none() && rule.form != Form::Bare;
        let mut gates = gates.iter().filter(|gate| {
            let (start, end) = (gate.start as usize, gate.end as usize);
            (!as_word || begins_word(read.text, start))
                && (rule.near.is_empty() || near::stands_near(rule, nears, gate, read.is_ascii))
                && rule.signal.is_none_or(|signal| {
                    recognise::holds_at(signal, read.text, end, &self.effort).unwrap_or(true)
                })
                && !(rule.form == Form::Order && read.prose.mentions(gate.start))
        });
        if let Some(pattern) = self.index.pattern(at) {
            return pattern.matches(rule, gates, read.text, &self.effort);
        }
        let first = gates.next()?;
        let others = if rule.counts() { gates.count() } else { 0 };
        Some((first.start, 1 + narrow(others)))
    }

    /// Whether a rule for bare texts is looked for in a sentence too. It is in values alone: what
    /// a person or a model says goes into no statement as it is, nor does a document.
    fn looks_closely(&self, rule: &Rule, prose: &Prose<'_>) -> bool {
        rule.form == Form::Bare && self.context.surface == Surface::Params && !prose.is_document()
    }

    /// Whether what such a rule found in a sentence is no part of it.
    fn stands_out(&self, rule: &Rule, prose: &Prose<'_>, offset: u32) -> bool {
        self.looks_closely(rule, prose) && !prose.goes_on_at(offset)
    }

    pub(super) fn rule(&self, at: u16) -> Option<&'d Rule> {
        self.rules.get(usize::from(at))
    }

    fn note(
        &self,
        rule: &Rule,
        found: Option<(u32, u32)>,
        decodings: Decodings,
        collected: &mut Collected,
    ) {
        let Some((offset, count)) = found else { return };
        let finding = Finding {
            rule_id: rule.id.clone(),
            category: rule.category.clone(),
            name: rule.name.clone(),
            severity: rule.severity,
            surface: self.context.surface,
            offset,
            decodings,
        };
        collected.add(rule, finding, count);
    }
}

/// A folded text and what is known about it.
struct Read<'t> {
    text: &'t str,
    is_ascii: bool,
    prose: &'t Prose<'t>,
    signals: &'t Signals,
}

/// A set of rules by their place in the table.
#[derive(Debug)]
pub(super) struct RuleSet(Vec<u64>);

impl RuleSet {
    fn new(rules: usize) -> Self {
        Self(vec![0; rules / 64 + 1])
    }

    fn insert(&mut self, rule: u16) {
        if let Some(word) = self.0.get_mut(usize::from(rule) / 64) {
            *word |= 1 << (rule % 64);
        }
    }

    pub(super) fn contains(&self, rule: u16) -> bool {
        self.0
            .get(usize::from(rule) / 64)
            .is_some_and(|word| word & (1 << (rule % 64)) != 0)
    }
}

/// Whether the text has the form that the rule is for.
fn fits(rule: &Rule, prose: &Prose<'_>) -> bool {
    rule.form != Form::Bare || !prose.holds()
}

pub(super) fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

/// Whether no Latin letter or digit stands right before a word that begins with one.
pub(super) fn begins_word(text: &str, start: usize) -> bool {
    let bytes = text.as_bytes();
    let first = bytes.get(start).is_some_and(u8::is_ascii_alphanumeric);
    let before = start.checked_sub(1).and_then(|at| bytes.get(at));
    !(first && before.is_some_and(u8::is_ascii_alphanumeric))
}
