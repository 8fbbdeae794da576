//! Everything that the compiler refuses, the examples last.

use std::collections::BTreeSet;

use clampd_detect::{Detector, Findings, Leaf, Place, SCAN_LIMIT, SCAN_LIMIT_CATEGORY, fold};
use clampd_model::{Severity, Surface, ToolCategory};

use crate::{
    CompileError,
    emit::{END_OF_TEXT, texts_of},
    source::{Example, RuleSource, WrittenAs},
};

/// Bytes that a literal must have.
const LITERAL_BYTES_MIN: usize = 3;

/// What is wrong with the rules; nothing when all is well.
pub fn check(rules: &[RuleSource]) -> Vec<CompileError> {
    let mut errors = Vec::new();
    let mut seen = BTreeSet::new();
    for rule in rules {
        if !seen.insert(&rule.id) {
            errors.push(refuse(rule, "the id stands twice".to_owned()));
        }
        errors.extend(shape(rule).into_iter().map(|reason| refuse(rule, reason)));
    }
    if !errors.is_empty() {
        return errors;
    }
    let table: Vec<_> = rules.iter().map(|rule| rule.rule.clone()).collect();
    match Detector::new(table) {
        Ok(detector) => rules
            .iter()
            .flat_map(|rule| examples(rule, &detector, rules))
            .collect(),
        Err(e) => vec![CompileError {
            file: "rules".into(),
            line: None,
            rule: None,
            reason: e.to_string(),
        }],
    }
}

fn refuse(rule: &RuleSource, reason: String) -> CompileError {
    CompileError {
        file: rule.file.clone(),
        line: Some(rule.line),
        rule: Some(rule.id.clone()),
        reason,
    }
}

/// What is wrong with one rule by itself.
fn shape(source: &RuleSource) -> Vec<String> {
    let rule = &source.rule;
    let mut wrong = Vec::new();
    let well_shaped = |text: &str| {
        !text.is_empty()
            && text.len() <= 64
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    for text in [&rule.id, &rule.category] {
        if !well_shaped(text) {
            wrong.push(format!(
                "`{text}` must be lower-case words joined by hyphens"
            ));
        }
    }
    for (name, reserved) in [
        (&rule.id, SCAN_LIMIT),
        (&rule.category, SCAN_LIMIT_CATEGORY),
    ] {
        if name == reserved {
            wrong.push(format!("`{reserved}` is the scan's own"));
        }
    }
    if source.why.trim().is_empty() {
        wrong.push("it must say why".to_owned());
    }
    if rule.name.trim().is_empty() {
        wrong.push("it must have a name".to_owned());
    }
    if rule.applies_to.iter().next().is_none() {
        wrong.push("`applies_to` must name a surface".to_owned());
    }
    let is_rule = source.written_as == WrittenAs::Rule;
    if is_rule && (source.should_match.is_empty() || source.should_not_match.is_empty()) {
        wrong.push("it must have an example of each kind".to_owned());
    }
    if texts_of(rule).any(|text| text.contains(END_OF_TEXT)) {
        wrong.push(format!("{END_OF_TEXT:?} ends texts and cannot be in one"));
    }
    if rule.literals.is_empty() && rule.signal.is_none() {
        wrong.push("it must have a literal or a signal".to_owned());
    }
    if rule.literals.is_empty() && (rule.pattern.is_some() || !rule.near.is_empty()) {
        wrong.push("`pattern` and `near` need a literal".to_owned());
    }
    if rule.near.iter().any(clampd_detect::Words::is_empty) {
        wrong.push("a group of `near` is empty".to_owned());
    }
    for literal in rule
        .literals
        .iter()
        .chain(rule.near.iter().flat_map(|words| words.iter()))
    {
        let folded = fold(literal);
        if folded != literal {
            wrong.push(format!(
                "literal `{literal}` is not folded, `{folded}` is wanted"
            ));
        }
    }
    for literal in rule.literals.iter() {
        if literal.len() < LITERAL_BYTES_MIN && source.short_literals.is_none() {
            wrong.push(format!(
                "literal `{literal}` is shorter than {LITERAL_BYTES_MIN} bytes, and `short_literals` gives no reason"
            ));
        }
    }
    if let Some(pattern) = &rule.pattern {
        match regex_lite::Regex::new(pattern) {
            Ok(regex) if regex.is_match("") => {
                wrong.push(format!("pattern `{pattern}` matches the empty text"));
            }
            Ok(_) => {}
            Err(e) => wrong.push(format!("pattern `{pattern}` cannot be read: {e}")),
        }
    }
    wrong
}

/// What is wrong with a rule's examples.
fn examples(source: &RuleSource, detector: &Detector, rules: &[RuleSource]) -> Vec<CompileError> {
    let mut errors = Vec::new();
    let mut refused = |reason: String| errors.push(refuse(source, reason));
    let finds = |findings: &Findings| {
        findings
            .findings
            .iter()
            .any(|f| f.rule_id == source.rule.id)
    };
    for example in &source.should_match {
        for (place, findings) in judged(source, example, detector) {
            if !finds(&findings) {
                refused(format!("does not match `{}` in {place}", example.text()));
            }
        }
    }
    for example in &source.known_misses {
        if judged(source, example, detector)
            .iter()
            .any(|(_, findings)| finds(findings))
        {
            refused(format!(
                "matches `{}`, which is listed as a known miss",
                example.text()
            ));
        }
    }
    for example in &source.should_not_match {
        for (place, findings) in judged(source, example, detector) {
            if finds(&findings) {
                refused(format!("matches `{}` in {place}", example.text()));
            }
            for other in &findings.findings {
                let listed = rules.iter().any(|rule| rule.rule.id == other.rule_id);
                if other.rule_id != source.rule.id && other.severity >= Severity::High && listed {
                    refused(format!(
                        "rule `{}` matches its counter-example `{}` in {place}",
                        other.rule_id,
                        example.text()
                    ));
                }
            }
        }
    }
    errors
}

/// The findings in an example, at each place where the rule applies.
fn judged(source: &RuleSource, example: &Example, detector: &Detector) -> Vec<(String, Findings)> {
    match example {
        Example::Text(text) => source
            .rule
            .applies_to
            .iter()
            .map(|surface| {
                let place = Place {
                    surface,
                    tool: "",
                    category: ToolCategory::Other,
                };
                let findings = detector.scan(&place, [Leaf { name: "text", text }]);
                (surface.as_str().to_owned(), findings)
            })
            .collect(),
        Example::Call(call) => {
            let place = Place {
                surface: Surface::Params,
                tool: &call.tool,
                category: ToolCategory::Other,
            };
            let findings = detector.scan(
                &place,
                [Leaf {
                    name: &call.param,
                    text: &call.text,
                }],
            );
            vec![(format!("tool `{}`", call.tool), findings)]
        }
    }
}
