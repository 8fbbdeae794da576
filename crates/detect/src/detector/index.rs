//! The words of all rules, ready to be found, and which rule each word belongs to.

use std::collections::BTreeMap;

use clampd_sweep::{Finder, Traits};

use crate::{
    decode::turned_words,
    recognise::{self, Signal},
    rule::Rule,
};

use super::{
    DetectError,
    near::{GROUPS_MAX, WORD_BYTES_MAX},
    pattern::Pattern,
};

/// Ready for scanning.
#[derive(Debug)]
pub(super) struct Index {
    /// Words that open rules, and those that say how a text is turned: looked for everywhere.
    pub(super) gates: Finder,
    /// Words of groups: looked for only around the words that open their rules.
    pub(super) nears: Finder,
    /// By word of `gates`: what it is for.
    gate_uses: Vec<GateUses>,
    /// By word of `nears`: the rules and their groups that it belongs to.
    near_uses: Vec<Vec<(u16, u8)>>,
    /// The bytes of the longest of these.
    pub(super) near_bytes_max: usize,
    /// By rule: its pattern.
    patterns: Vec<Option<Pattern>>,
    /// By signal: its rules that need no word.
    pub(super) by_signal: BTreeMap<Signal, Vec<u16>>,
}

/// What a word of `gates` is for.
#[derive(Debug, Default)]
pub(super) struct GateUses {
    /// The rules that it opens.
    pub(super) rules: Vec<u16>,
    /// What it says about the text.
    pub(super) cue: Traits,
}

impl Index {
    pub(super) fn new(rules: &[Rule]) -> Result<Self, DetectError> {
        let mut gates: BTreeMap<&str, GateUses> = BTreeMap::new();
        let mut nears: BTreeMap<&str, Vec<(u16, u8)>> = BTreeMap::new();
        let mut near_bytes_max = 0;
        let mut patterns = Vec::with_capacity(rules.len());
        let mut by_signal: BTreeMap<Signal, Vec<u16>> = BTreeMap::new();
        for (at, rule) in rules.iter().enumerate() {
            let at = u16::try_from(at).map_err(|e| DetectError::Words(e.to_string()))?;
            if let Some(word) = longest(rule).filter(|word| word.len() > WORD_BYTES_MAX) {
                return Err(DetectError::Words(format!("`{word}` is too long")));
            }
            if rule.near.len() > GROUPS_MAX {
                let id = &rule.id;
                return Err(DetectError::Words(format!("`{id}` has too many groups")));
            }
            for word in rule.literals.iter() {
                gates.entry(word).or_default().rules.push(at);
            }
            for (group, near) in rule.near.iter().enumerate() {
                let group = u8::try_from(group).map_err(|e| DetectError::Words(e.to_string()))?;
                for word in near.iter() {
                    nears.entry(word).or_default().push((at, group));
                    near_bytes_max = near_bytes_max.max(word.len());
                }
            }
            if let (Some(signal), true) = (rule.signal, rule.literals.is_empty()) {
                by_signal.entry(signal).or_default().push(at);
            }
            patterns.push(Pattern::of(rule)?);
        }
        let told = recognise::CUES
            .iter()
            .map(|(word, cue)| ((*word).to_owned(), *cue));
        let cues: Vec<(String, Traits)> = turned_words().chain(told).collect();
        for (word, cue) in &cues {
            let uses = gates.entry(word).or_default();
            uses.cue = uses.cue.with(*cue);
        }
        Ok(Self {
            gates: finder(gates.keys())?,
            nears: finder(nears.keys())?,
            gate_uses: gates.into_values().collect(),
            near_uses: nears.into_values().collect(),
            near_bytes_max,
            patterns,
            by_signal,
        })
    }

    /// What a word of `gates` is for.
    pub(super) fn gate(&self, word: u16) -> Option<&GateUses> {
        self.gate_uses.get(usize::from(word))
    }

    /// A rule's pattern, if it has one.
    pub(super) fn pattern(&self, rule: u16) -> Option<&Pattern> {
        self.patterns.get(usize::from(rule))?.as_ref()
    }

    /// The rules and their groups that a word of `nears` belongs to.
    pub(super) fn near(&self, word: u16) -> &[(u16, u8)] {
        self.near_uses
            .get(usize::from(word))
            .map_or(&[], Vec::as_slice)
    }
}

/// The longest word of a rule.
fn longest(rule: &Rule) -> Option<&str> {
    let groups = rule.near.iter().flat_map(|near| near.iter());
    rule.literals
        .iter()
        .chain(groups)
        .max_by_key(|word| word.len())
}

/// A finder of words, each known by its place among them.
fn finder<'w>(words: impl ExactSizeIterator<Item = &'w &'w str>) -> Result<Finder, DetectError> {
    let count = words.len();
    u16::try_from(count).map_err(|_| DetectError::Words(format!("there are {count}")))?;
    Ok(Finder::new((0_u16..).zip(words.copied())))
}
