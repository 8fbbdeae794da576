//! One rule in full.

use clampd_detect::{Rule, ToolSet};
use clampd_model::ToolCategory;
use serde_json::{Value, json};

use super::Known;
use crate::{error::CliError, global::Global, output::Output};

/// How many words of a long list are shown.
const WORDS_SHOWN_MAX: usize = 12;

pub(super) fn show(known: &Known, global: &Global, out: &mut Output) -> Result<(), CliError> {
    if global.json {
        return Ok(out.json_line(&as_json(known))?);
    }
    let rule = &known.rule;
    out.line(format!("{}: {}", rule.id, rule.name))?;
    out.line(format!("  category    {}", rule.category))?;
    out.line(format!("  severity    {}", rule.severity.as_str()))?;
    out.line(format!("  applies to  {}", surfaces(rule).join(", ")))?;
    for (title, tools) in [("not in", rule.not_in), ("only in", rule.only_in)] {
        if !tools.is_empty() {
            out.line(format!("  {title:11} {}", categories(tools).join(", ")))?;
        }
    }
    for line in finds(rule) {
        out.line(format!("  {line}"))?;
    }
    let Some(source) = &known.source else {
        let more = "  Its reason and examples stand in the rule files: name them with --rules DIR.";
        return Ok(out.line(more)?);
    };
    out.line(format!("  file        {}", source.file))?;
    out.line(format!("  why         {}", source.why))?;
    if !source.references.is_empty() {
        out.line(format!("  references  {}", source.references.join(", ")))?;
    }
    for (title, examples) in [
        ("matches", &source.should_match),
        ("leaves alone", &source.should_not_match),
        ("misses, as is known", &source.known_misses),
    ] {
        if !examples.is_empty() {
            out.line(format!("  {title}:"))?;
        }
        for example in examples {
            out.line(format!("    {:?}", example.text()))?;
        }
    }
    Ok(())
}

/// What a rule looks for, a line each.
pub(super) fn finds(rule: &Rule) -> Vec<String> {
    let mut lines = Vec::new();
    if !rule.literals.is_empty() {
        lines.push(format!(
            "literals    {}",
            words(rule.literals.iter().collect())
        ));
    }
    for group in rule.near.iter() {
        let near = words(group.iter().collect());
        lines.push(format!("near        {near} (within {} bytes)", rule.within));
    }
    if let Some(pattern) = &rule.pattern {
        lines.push(format!("pattern     {pattern}"));
    }
    if let Some(signal) = rule.signal {
        lines.push(format!(
            "recogniser  {}, after {}",
            signal.as_str(),
            signal.source()
        ));
    }
    lines
}

fn words(words: Vec<&str>) -> String {
    let shown: Vec<String> = words
        .iter()
        .take(WORDS_SHOWN_MAX)
        .map(|word| format!("{word:?}"))
        .collect();
    match words.len().checked_sub(WORDS_SHOWN_MAX) {
        Some(more) if more > 0 => format!("{} and {more} more", shown.join(", ")),
        _ => shown.join(", "),
    }
}

pub(super) fn surfaces(rule: &Rule) -> Vec<&'static str> {
    rule.applies_to
        .iter()
        .map(|surface| surface.as_str())
        .collect()
}

pub(super) fn categories(tools: ToolSet) -> Vec<&'static str> {
    let all = ToolCategory::ALL
        .into_iter()
        .filter(|category| tools.contains(*category));
    all.map(ToolCategory::as_str).collect()
}

/// A rule for a program.
pub(super) fn as_json(known: &Known) -> Value {
    let rule = &known.rule;
    let mut value = json!({
        "id": rule.id, "name": rule.name, "category": rule.category,
        "severity": rule.severity, "applies_to": surfaces(rule),
        "not_in": categories(rule.not_in), "only_in": categories(rule.only_in),
        "literals": rule.literals.iter().collect::<Vec<_>>(),
        "pattern": rule.pattern, "signal": rule.signal.map(|signal| signal.as_str()),
        "source": rule.signal.map(|signal| signal.source()),
    });
    if let (Some(source), Some(fields)) = (&known.source, value.as_object_mut()) {
        for (field, of_source) in [
            ("file", json!(source.file)),
            ("why", json!(source.why)),
            ("references", json!(source.references)),
        ] {
            fields.insert(field.to_owned(), of_source);
        }
        for (field, examples) in [
            ("should_match", &source.should_match),
            ("should_not_match", &source.should_not_match),
            ("known_misses", &source.known_misses),
        ] {
            let texts: Vec<&str> = examples.iter().map(|example| example.text()).collect();
            fields.insert(field.to_owned(), json!(texts));
        }
    }
    value
}
