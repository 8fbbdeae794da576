//! Drafts as a rule file.

use std::fmt::Write as _;

use clampd_model::ToolCategory;

use crate::{draft::Draft, source::example_call};

/// The category of every imported rule.
const CATEGORY: &str = "sigma";
/// How far the parts of a Sigma rule may stand from each other: it sets no bound.
const WITHIN: u16 = u16::MAX;
/// A word shorter than this needs a reason.
const LITERAL_BYTES_MIN: usize = 3;

/// The file of these rules.
pub(crate) fn file(drafts: &[Draft]) -> String {
    let mut out =
        format!("# Imported from Sigma rules; their licence is theirs.\ncategory = {CATEGORY:?}\n");
    for draft in drafts {
        rule(draft, &mut out);
    }
    out
}

fn rule(draft: &Draft, out: &mut String) {
    // Writing to a string cannot fail.
    let mut field = |name: &str, value: String| {
        let _ = writeln!(out, "{name} = {value}");
    };
    field("\n[[rule]]\nid", quoted(&draft.id));
    field("name", quoted(&draft.name));
    field("severity", quoted(draft.severity.as_str()));
    field("why", quoted(&draft.why));
    field("literals", list(&draft.literals));
    if draft
        .literals
        .iter()
        .any(|word| word.len() < LITERAL_BYTES_MIN)
    {
        field(
            "short_literals",
            quoted("The Sigma rule has no longer word."),
        );
    }
    if !draft.near.is_empty() {
        let groups: Vec<String> = draft.near.iter().map(|words| list(words)).collect();
        field("near", format!("[{}]", groups.join(", ")));
        field("within", WITHIN.to_string());
    }
    if draft.in_order {
        field("reach", quoted("after"));
    }
    if let Some(pattern) = &draft.pattern {
        field("pattern", quoted(pattern));
        field("before", draft.before.to_string());
    }
    field("applies_to", list(&["params".to_owned()]));
    if !draft.tools.is_empty() {
        let tools: Vec<String> = draft
            .tools
            .iter()
            .map(|tool| tool.as_str().to_owned())
            .collect();
        field("only_in", list(&tools));
    }
    if !draft.references.is_empty() {
        field("references", list(&draft.references));
    }
    let examples = |texts: &[String]| {
        let each: Vec<String> = texts
            .iter()
            .map(|text| example(text, draft.tools))
            .collect();
        format!("[{}]", each.join(", "))
    };
    field("should_match", examples(&draft.should_match));
    field(
        "should_not_match",
        examples(draft.should_not_match.as_slice()),
    );
}

fn example(text: &str, tools: &[ToolCategory]) -> String {
    match tools.first() {
        None => quoted(text),
        Some(tool) => {
            let (tool, param) = example_call(*tool);
            format!(
                "{{ tool = {}, param = {}, text = {} }}",
                quoted(tool),
                quoted(param),
                quoted(text)
            )
        }
    }
}

fn list(texts: &[String]) -> String {
    let each: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", each.join(", "))
}

/// A TOML string: literal where it can be, so that backslashes stay as they are.
fn quoted(text: &str) -> String {
    let needs_escape =
        |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
    if !text.contains(needs_escape) && !text.contains('\'') && text.contains(['\\', '"']) {
        return format!("'{text}'");
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            _ if needs_escape(c) => {
                let _ = write!(out, "\\U{:08X}", c as u32);
            }
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn every_text_can_be_quoted() {
        assert_eq!(quoted("plain"), "\"plain\"");
        assert_eq!(quoted(r#"C:\a "b""#), r#"'C:\a "b"'"#);
        assert_eq!(quoted(r"it's \ here"), r#""it's \\ here""#);
        assert_eq!(quoted("a\nb'"), "\"a\\U0000000Ab'\"");
    }
}
