//! The reference of all rules, in Markdown: `docs/rules.md` is what this prints.

use std::{collections::BTreeMap, fmt::Write as _};

use clampd_rule_compiler::RuleSource;

use super::show::{categories, surfaces};

/// How many examples of a rule are shown; the rule's file has them all.
const EXAMPLES_SHOWN_MAX: usize = 3;

const HEAD: &str = "\
# Rules

Written by `make rules-doc` from `rules/`; a test fails when the two differ. `clampd rules show ID`
tells more of one rule, and `clampd rules test TEXT` which rules a text meets.

Severity alone gives a risk of 0.2 (low), 0.5 (medium), 0.85 (high) or 0.95 (critical); several
findings and the decodings that they needed add to it. A risk of 0.7 blocks and one of 0.4 flags,
unless the settings or a policy say otherwise.
";

pub(super) fn markdown(rules: &[RuleSource]) -> String {
    let mut by_category: BTreeMap<&str, Vec<&RuleSource>> = BTreeMap::new();
    for rule in rules {
        by_category
            .entry(&rule.rule.category)
            .or_default()
            .push(rule);
    }
    let mut out = HEAD.to_owned();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "\n{} rules in {} categories.\n",
        rules.len(),
        by_category.len()
    );
    let _ = writeln!(
        out,
        "| Category | Rules | Highest severity |\n|---|---|---|"
    );
    for (category, rules) in &by_category {
        let highest = rules.iter().map(|rule| rule.rule.severity).max();
        let highest = highest.map_or("", |severity| severity.as_str());
        let _ = writeln!(
            out,
            "| [{category}](#{category}) | {} | {highest} |",
            rules.len()
        );
    }
    for (category, rules) in &by_category {
        let _ = writeln!(out, "\n## {category}");
        rules.iter().for_each(|rule| section(rule, &mut out));
    }
    out
}

fn section(source: &RuleSource, out: &mut String) {
    let rule = &source.rule;
    let mut facts = vec![
        format!("severity {}", rule.severity.as_str()),
        format!("looked for in {}", surfaces(rule).join(", ")),
    ];
    for (words, tools) in [
        ("not in the language of", rule.not_in),
        ("only in the language of", rule.only_in),
    ] {
        if !tools.is_empty() {
            facts.push(format!("{words} {} tools", categories(tools).join(", ")));
        }
    }
    if let Some(signal) = rule.signal {
        facts.push(format!("recognised after {}", signal.source()));
    }
    if !source.references.is_empty() {
        facts.push(source.references.join(", "));
    }
    let _ = writeln!(out, "\n### {}\n\n{}. {}\n", rule.id, rule.name, source.why);
    let _ = writeln!(out, "{}.", facts.join(" · "));
    for (title, examples) in [
        ("Finds", &source.should_match),
        ("Leaves alone", &source.should_not_match),
        ("Misses, as is known", &source.known_misses),
    ] {
        if !examples.is_empty() {
            let shown = examples.iter().take(EXAMPLES_SHOWN_MAX);
            let shown: Vec<String> = shown.map(|example| quoted(example.text())).collect();
            let _ = writeln!(out, "\n{title}: {}", shown.join(" · "));
        }
    }
}

/// An example as code: on one line, within backticks that it cannot end.
fn quoted(text: &str) -> String {
    let text = text.escape_debug().to_string();
    let text = text.replace("\\'", "'").replace("\\\"", "\"");
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    if longest == 0 {
        return format!("`{text}`");
    }
    let ticks = "`".repeat(longest + 1);
    format!("{ticks} {text} {ticks}")
}
