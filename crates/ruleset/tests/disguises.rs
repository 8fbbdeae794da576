//! What is blocked stays blocked when it is written in another way: every example of every rule,
//! at every place where the rule looks, in every encoding that detection undoes.

#![expect(clippy::unwrap_used, reason = "a panic in a test is a failed promise")]

use std::{collections::BTreeMap, fs, path::Path};

use clampd_detect::{Detector, Findings, Leaf, Place};
use clampd_model::{Surface, ToolCategory};
use clampd_rule_compiler::{Example, RuleSource, parse};
use clampd_ruleset::RULES;

#[path = "support/disguise.rs"]
mod disguise;
#[path = "support/encode.rs"]
mod encode;

use disguise::{DISGUISES, Fools};

/// The rules with their examples.
fn sources() -> Vec<RuleSource> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules");
    let mut sources = Vec::new();
    for entry in fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let list = |list: &str| fs::read_to_string(dir.join(list)).map_err(|e| e.to_string());
            sources.extend(parse("", &fs::read_to_string(&path).unwrap(), &list).unwrap());
        }
    }
    assert_eq!(sources.len(), RULES.len());
    sources
}

/// An example at one place.
#[derive(Clone, Copy)]
struct Said<'a> {
    surface: Surface,
    tool: &'a str,
    name: &'a str,
    text: &'a str,
}

impl Said<'_> {
    fn scan(&self, detector: &Detector, text: &str) -> Findings {
        let place = Place {
            surface: self.surface,
            tool: self.tool,
            category: ToolCategory::Other,
        };
        detector.scan(
            &place,
            [Leaf {
                name: self.name,
                text,
            }],
        )
    }
}

/// The examples of a rule, wherever it looks for them.
fn said(source: &RuleSource) -> Vec<Said<'_>> {
    let each = source
        .should_match
        .iter()
        .flat_map(|example| match example {
            Example::Text(text) => source
                .rule
                .applies_to
                .iter()
                .map(|surface| Said {
                    surface,
                    tool: "",
                    name: "text",
                    text,
                })
                .collect(),
            Example::Call(call) => {
                vec![Said {
                    surface: Surface::Params,
                    tool: &call.tool,
                    name: &call.param,
                    text: &call.text,
                }]
            }
        });
    each.collect()
}

/// Whether what the rule finds is read by those whom the disguise fools.
fn matters(fools: Fools, category: &str) -> bool {
    match fools {
        Fools::Everyone => true,
        Fools::Databases => matches!(category, "destructive-sql" | "sql-injection"),
        Fools::Shells => matches!(category, "shell-exploit"),
        Fools::Readers => matches!(category, "prompt-injection"),
    }
}

fn blocks(findings: &Findings) -> bool {
    findings.risk().value() >= 0.7
}

/// Rules with an example that is missed in a disguise, until it no longer is. Letters that are
/// moved or turned are only looked at where one of a few words shows it, and signs of markup do
/// not survive being spaced out; the marks of Thai and Hindi letters part them.
const KNOWN_MISSES: &[(&str, &[&str])] = &[
    ("rot13", TURNED),
    ("reversed", TURNED),
    (
        "leetspeak",
        &[
            "prompt-fake-turn",
            "prompt-known-persona",
            "prompt-override",
            "prompt-override-unspaced",
        ],
    ),
    (
        "spaced letters",
        &[
            "prompt-authority",
            "prompt-bounds-off",
            "prompt-extract",
            "prompt-extract-hidden",
            "prompt-fake-system",
            "prompt-fake-turn",
            "prompt-hidden-channel",
            "prompt-machine-order",
            "prompt-new-rules",
            "prompt-override",
            "prompt-system-element",
            "prompt-terminal-escape",
            "prompt-unbound",
        ],
    ),
];
const TURNED: &[&str] = &[
    "prompt-authority",
    "prompt-extract-hidden",
    "prompt-fake-turn",
    "prompt-forget-all",
    "prompt-grandmother",
    "prompt-hate",
    "prompt-known-persona",
    "prompt-new-instructions",
    "prompt-new-rules",
    "prompt-obey-only",
    "prompt-override",
    "prompt-replace-task",
    "prompt-terminal-escape",
    "prompt-to-the-machine",
    "prompt-unbound",
];

fn known(disguise: &str) -> &'static [&'static str] {
    let of = KNOWN_MISSES.iter().find(|(name, _)| *name == disguise);
    of.map_or(&[], |(_, rules)| rules)
}

/// What only undoes another encoding: nobody reads base64 in upper case, or hexadecimal digits
/// that are letters of another script.
const DESTROY: &[&str] = &["upper case", "homoglyphs"];

#[test]
fn what_is_blocked_is_blocked_in_every_disguise() {
    let detector = Detector::new(*RULES).unwrap();
    let mut missed: BTreeMap<(&str, String), Vec<String>> = BTreeMap::new();
    let mut tried = 0;
    for source in &sources() {
        for said in said(source) {
            let plain = said.scan(&detector, said.text);
            if !blocks(&plain) {
                continue;
            }
            let encoded = plain
                .findings
                .iter()
                .all(|finding| !finding.decodings.is_empty());
            for disguise in DISGUISES {
                if !matters(disguise.fools, &source.rule.category)
                    || (encoded && DESTROY.contains(&disguise.name))
                {
                    continue;
                }
                let Some(text) = (disguise.of)(said.text) else {
                    continue;
                };
                tried += 1;
                if !blocks(&said.scan(&detector, &text)) {
                    let at = (disguise.name, source.id.clone());
                    missed.entry(at).or_default().push(said.text.to_owned());
                }
            }
        }
    }
    assert!(tried > 20_000, "{tried} texts");
    let unknown = missed
        .iter()
        .filter(|((disguise, rule), _)| !known(disguise).contains(&rule.as_str()));
    let unknown: Vec<_> = unknown.collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    for (disguise, rules) in KNOWN_MISSES {
        for rule in *rules {
            let still = missed.contains_key(&(*disguise, (*rule).to_owned()));
            assert!(still, "`{rule}` holds in {disguise}: take it off the list");
        }
    }
}
