//! The words of all rules in two automata, and which rule each word belongs to.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};
use regex_lite::Regex;

use crate::{decode::cue_words, recognise::Signal, rule::Rule, traits::Traits};

use super::DetectError;

/// Ready for scanning.
#[derive(Debug)]
pub(super) struct Index {
    /// Words of ASCII alone, in the form that is quickest.
    ascii: AhoCorasick,
    /// The others, in a form that is small; only asked when the text is not ASCII.
    unicode: Option<AhoCorasick>,
    /// How many words the first automaton has.
    ascii_words: usize,
    /// By word: what it is for.
    uses: Vec<WordUses>,
    /// By rule: its pattern.
    pub(super) patterns: Vec<Option<Pattern>>,
    /// By signal: its rules that need no word.
    pub(super) by_signal: BTreeMap<Signal, Vec<u16>>,
}

/// What a word is for, told apart so that the words that open nothing cost little.
#[derive(Debug, Default)]
pub(super) struct WordUses {
    /// The rules that it opens.
    pub(super) gates: Vec<u16>,
    /// The rules and their groups that it belongs to.
    pub(super) nears: Vec<(u16, u8)>,
    /// What it says about the text.
    pub(super) cue: Traits,
}

/// What a word is for.
#[derive(Clone, Copy, Debug)]
enum Use {
    /// It opens a rule.
    Gate(u16),
    /// It is one of a group of words near the gate.
    Near(u16, u8),
    /// It says that a text may be written backwards or otherwise.
    Cue(Traits),
}

impl WordUses {
    fn of(uses: Vec<Use>) -> Self {
        let mut of_word = Self::default();
        for use_ in uses {
            match use_ {
                Use::Gate(rule) => of_word.gates.push(rule),
                Use::Near(rule, group) => of_word.nears.push((rule, group)),
                Use::Cue(cue) => of_word.cue = of_word.cue.with(cue),
            }
        }
        of_word
    }
}

/// A word that was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    pub(super) word: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Index {
    pub(super) fn new(rules: &[Rule]) -> Result<Self, DetectError> {
        let mut words: BTreeMap<(bool, String), Vec<Use>> = BTreeMap::new();
        let mut put = |word: &str, use_: Use| {
            words
                .entry((!word.is_ascii(), word.to_owned()))
                .or_default()
                .push(use_);
        };
        let mut patterns = Vec::with_capacity(rules.len());
        let mut by_signal: BTreeMap<Signal, Vec<u16>> = BTreeMap::new();
        for (at, rule) in rules.iter().enumerate() {
            let at = u16::try_from(at).map_err(|e| DetectError::Words(e.to_string()))?;
            rule.literals
                .iter()
                .for_each(|word| put(word, Use::Gate(at)));
            for (group, near) in rule.near.iter().enumerate() {
                let group = u8::try_from(group).map_err(|e| DetectError::Words(e.to_string()))?;
                near.iter().for_each(|word| put(word, Use::Near(at, group)));
            }
            if let (Some(signal), true) = (rule.signal, rule.literals.is_empty()) {
                by_signal.entry(signal).or_default().push(at);
            }
            patterns.push(compiled(rule)?);
        }
        for (word, cue) in cue_words() {
            put(&word, Use::Cue(cue));
        }
        let ascii_words = words.keys().filter(|(unicode, _)| !unicode).count();
        let (texts, uses): (Vec<String>, Vec<WordUses>) = words
            .into_iter()
            .map(|((_, word), uses)| (word, WordUses::of(uses)))
            .unzip();
        let (ascii, unicode) = texts.split_at_checked(ascii_words).unwrap_or_default();
        Ok(Self {
            ascii: automaton(ascii, AhoCorasickKind::DFA)?,
            unicode: if unicode.is_empty() {
                None
            } else {
                Some(automaton(unicode, AhoCorasickKind::ContiguousNFA)?)
            },
            ascii_words,
            uses,
            patterns,
            by_signal,
        })
    }

    /// Every word in `text`, in the order of their ends, ASCII ones first.
    pub(super) fn hits<'t>(&'t self, text: &'t str) -> impl Iterator<Item = Hit> + 't {
        let ascii = self.ascii.find_overlapping_iter(text).map(|found| Hit {
            word: found.pattern().as_usize(),
            start: found.start(),
            end: found.end(),
        });
        let unicode = self.unicode.as_ref().filter(|_| !text.is_ascii());
        let unicode = unicode.into_iter().flat_map(move |automaton| {
            automaton.find_overlapping_iter(text).map(|found| Hit {
                word: found.pattern().as_usize() + self.ascii_words,
                start: found.start(),
                end: found.end(),
            })
        });
        ascii.chain(unicode)
    }

    /// What a word is for.
    pub(super) fn uses(&self, word: usize) -> Option<&WordUses> {
        self.uses.get(word)
    }

    /// How many words there are.
    pub(super) fn words(&self) -> usize {
        self.uses.len()
    }
}

/// A rule's pattern, ready.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) regex: Regex,
    /// It must begin where the literal begins. The regex then also takes the character before,
    /// so that `\b` sees what stands there.
    pub(super) anchored: bool,
    /// No letter or digit may stand before it: asked first, since it is the cheaper question.
    pub(super) begins_word: bool,
}

fn compiled(rule: &Rule) -> Result<Option<Pattern>, DetectError> {
    let Some(pattern) = &rule.pattern else {
        return Ok(None);
    };
    let anchored = rule.before == 0;
    let begins_word = anchored && pattern.starts_with(r"\b");
    let source = if anchored {
        format!(r"\A(?s:.)(?:{pattern})")
    } else {
        pattern.to_string()
    };
    let regex = Regex::new(&source).map_err(|e| DetectError::Pattern {
        rule: rule.id.to_string(),
        reason: e.to_string(),
    })?;
    Ok(Some(Pattern {
        regex,
        anchored,
        begins_word,
    }))
}

fn automaton(words: &[String], kind: AhoCorasickKind) -> Result<AhoCorasick, DetectError> {
    AhoCorasickBuilder::new()
        .kind(Some(kind))
        .match_kind(MatchKind::Standard)
        .prefilter(false)
        .build(words)
        .map_err(|e| DetectError::Words(e.to_string()))
}
