//! The scan as its rules define it, without finders, windows and order: what the quick one must
//! agree with.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic in a test is a failed promise"
)]

use std::collections::BTreeMap;

use clampd_model::{Decodings, Severity, Surface, SurfaceSet};
use clampd_sweep::Traits;
use regex_lite::Regex;

use crate::{
    effort::Effort,
    findings::Collected,
    fold,
    limits::WINDOW_BYTES,
    recognise::{CUES, Prose},
    rule::{Form, Reach, Rule, ToolSet, Words},
};

use super::{
    index::Index,
    judge::{Context, Judge},
};

/// By rule: where it first matches and, where it is counted, how often.
type Found = BTreeMap<String, (u32, u32)>;

/// Every place where `word` stands, also within others.
fn places(text: &str, word: &str) -> Vec<(usize, usize)> {
    let starts = (0..text.len()).filter(|at| text.as_bytes()[*at..].starts_with(word.as_bytes()));
    starts.map(|start| (start, start + word.len())).collect()
}

fn cues(text: &str) -> Traits {
    let there = CUES.iter().filter(|(word, _)| text.contains(word));
    there.fold(Traits::default(), |all, (_, cue)| all.with(*cue))
}

fn begins_word(text: &str, start: usize) -> bool {
    let bytes = text.as_bytes();
    start == 0
        || !(bytes[start].is_ascii_alphanumeric() && bytes[start - 1].is_ascii_alphanumeric())
}

fn is_near(rule: &Rule, text: &str, gate: (usize, usize)) -> bool {
    let within = usize::from(rule.within) * if text.is_ascii() { 1 } else { 2 };
    rule.near.iter().all(|group| {
        let words = group.iter().flat_map(|word| places(text, word));
        let mut words = words.filter(|word| begins_word(text, word.0));
        words.any(|(start, end)| {
            start <= gate.1 + within
                && match rule.reach {
                    Reach::Around => gate.0 <= end + within,
                    Reach::After => gate.1 <= start,
                }
        })
    })
}

fn found_naively(rules: &[Rule], text: &str) -> Found {
    let mut found = Found::new();
    for rule in rules {
        if rule.form == Form::Bare && Prose::new(text, cues(text)).holds() {
            continue;
        }
        let mut gates: Vec<_> = rule
            .literals
            .iter()
            .flat_map(|word| places(text, word))
            .collect();
        gates.sort_unstable();
        gates.retain(|gate| is_near(rule, text, *gate));
        if rule.pattern.is_none() && rule.form != Form::Bare {
            gates.retain(|gate| begins_word(text, gate.0));
        }
        let mut matches: Vec<usize> = Vec::new();
        match &rule.pattern {
            None => matches.extend(gates.iter().map(|gate| gate.0)),
            Some(pattern) => {
                let regex = Regex::new(pattern).unwrap();
                let mut done = 0;
                for (start, end) in gates {
                    let mut from = start.saturating_sub(usize::from(rule.before));
                    while !text.is_char_boundary(from) {
                        from -= 1;
                    }
                    let there = regex.find_at(text, from);
                    let there = there.filter(|there| match rule.before {
                        0 => there.start() == start,
                        _ => there.start() <= start && there.end() <= end + WINDOW_BYTES,
                    });
                    if let Some(there) = there.filter(|_| start >= done) {
                        matches.push(there.start());
                        done = there.end();
                    }
                }
            }
        }
        if let Some(first) = matches.first() {
            let count = if rule.counts() { matches.len() } else { 1 };
            found.insert(rule.id.to_string(), (*first as u32, count as u32));
        }
    }
    found
}

fn found_quickly(rules: &[Rule], index: &Index, text: &str) -> Found {
    let judge = Judge {
        rules,
        index,
        context: Context {
            surface: Surface::Prompt,
            own_language: None,
        },
        effort: Effort::for_leaf(1 << 20),
    };
    let mut collected = Collected::default();
    judge.judge(text, Decodings::NONE, &mut collected);
    let found = collected.finish();
    let found = found.findings.into_iter().zip(found.counts);
    found
        .map(|(finding, count)| (finding.rule_id.into_owned(), (finding.offset, count)))
        .collect()
}

/// Numbers that look thrown (xorshift, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn one_of<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.throw(items.len())].clone()
    }

    fn words(&mut self) -> Words {
        const WORDS: &[&str] = &[
            "ab",
            "abc",
            "bca",
            "a b",
            "c",
            "cab",
            "cabcab",
            "'",
            "--",
            "1=",
            "été",
            " ab",
            "无视",
            "视",
            "удали",
            "дал",
            "abcabcabcabc",
            "b c",
            "\n",
        ];
        (0..1 + self.throw(4))
            .map(|_| self.one_of(WORDS))
            .map(fold)
            .collect()
    }

    fn rule(&mut self, nth: usize) -> Rule {
        const PATTERNS: &[&str] = &[
            "ab?c",
            r"\bab",
            r"(?:c|b)a{1,3}",
            "[^a]b",
            r"b\sc|--",
            "(?:视|дал).",
        ];
        let pattern = (self.throw(2) == 0).then(|| self.one_of(PATTERNS).into());
        Rule {
            id: format!("r{nth}").into(),
            name: "".into(),
            category: self.one_of(&["pii", "other"]).into(),
            severity: Severity::High,
            applies_to: SurfaceSet::from_bits(15),
            literals: self.words(),
            near: (0..self.throw(3)).map(|_| self.words()).collect(),
            reach: self.one_of(&[Reach::Around, Reach::After]),
            within: self.one_of(&[0, 1, 5, 30]),
            pattern,
            before: self.one_of(&[0, 0, 3, 8]),
            signal: None,
            form: self.one_of(&[Form::Any, Form::Any, Form::Bare]),
            not_in: ToolSet::default(),
            only_in: ToolSet::default(),
        }
    }

    fn text(&mut self) -> String {
        const PIECES: &[&str] = &[
            "a",
            "b",
            "c",
            "ab",
            "abc",
            "cab",
            " ",
            " ",
            " ",
            "\n",
            "'",
            "--",
            "1=",
            "é",
            "été",
            "视",
            "无视",
            "удали",
            "abcabcabcabc",
            "a plain word or two ",
            "xyzxyzxyzxyzxyzxyzxyzxyzxyz ",
        ];
        fold(
            &(0..self.throw(60))
                .map(|_| self.one_of(PIECES))
                .collect::<String>(),
        )
    }
}

#[test]
fn the_quick_scan_finds_what_the_naive_one_finds() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut matched = 0;
    for round in 0..300 {
        let rules: Vec<Rule> = (0..1 + dice.throw(6)).map(|nth| dice.rule(nth)).collect();
        let index = Index::new(&rules).unwrap();
        for _ in 0..12 {
            let text = dice.text();
            let naive = found_naively(&rules, &text);
            matched += naive.len();
            assert_eq!(
                found_quickly(&rules, &index, &text),
                naive,
                "{round}: {text:?} {rules:#?}"
            );
        }
    }
    assert!(matched > 2_000, "{matched} matches prove little");
}
