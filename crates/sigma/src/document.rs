//! One Sigma document: which rule it is, and what its detection means (Sigma rules specification
//! 2.1).

use clampd_model::{Severity, ToolCategory};

use crate::{condition, meaning::Meaning, source, value::Key, yaml::Node};

/// A Sigma rule.
#[derive(Debug)]
pub(crate) struct SigmaRule {
    pub(crate) title: String,
    pub(crate) why: String,
    pub(crate) severity: Severity,
    pub(crate) references: Vec<String>,
    pub(crate) tools: &'static [ToolCategory],
    pub(crate) meaning: Meaning,
    pub(crate) notes: Vec<String>,
}

/// Texts of one rule are cut to this.
const TEXT_CHARS_MAX: usize = 400;

/// The rule's title, for telling of it even when it cannot be read.
pub(crate) fn title(document: &Node) -> Option<&str> {
    document.field("title").and_then(Node::text)
}

/// Reads a document.
///
/// # Errors
/// Why it is no rule that judges one text.
pub(crate) fn read(document: &Node) -> Result<SigmaRule, String> {
    for (field, what) in [
        (
            "correlation",
            "a correlation counts events, and a rule judges one text",
        ),
        ("filter", "a filter changes other rules, and is none itself"),
        (
            "action",
            "collections of rules that share parts are not read: give each rule whole",
        ),
    ] {
        if document.field(field).is_some() {
            return Err(what.to_owned());
        }
    }
    let title = title(document)
        .map(str::trim)
        .filter(|title| !title.is_empty());
    let title = title.ok_or("it has no `title`")?;
    let mut notes = Vec::new();
    match document.field("status").and_then(Node::text) {
        Some("unsupported") => return Err("its status is `unsupported`".to_owned()),
        Some("deprecated") => notes.push("its status is `deprecated`".to_owned()),
        _ => {}
    }
    let severity = match document.field("level").and_then(Node::text) {
        Some("informational" | "low") => Severity::Low,
        Some("medium") => Severity::Medium,
        Some("high") => Severity::High,
        Some("critical") => Severity::Critical,
        Some(other) => return Err(format!("the level `{other}` is none of Sigma's")),
        None => {
            notes.push("it has no `level`: medium is taken".to_owned());
            Severity::Medium
        }
    };
    let source = document.field("logsource").ok_or("it has no `logsource`")?;
    let part = |name| {
        source
            .field(name)
            .and_then(Node::text)
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let detection = document.field("detection").ok_or("it has no `detection`")?;
    let description = document
        .field("description")
        .and_then(Node::text)
        .unwrap_or(title);
    Ok(SigmaRule {
        title: one_line(title),
        why: one_line(description),
        severity,
        references: references(document),
        tools: source::tools(&part("category"), &part("product"), &part("service")),
        meaning: detected(detection)?,
        notes,
    })
}

/// The text on one line, within bounds.
fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars()
        .filter(|c| !c.is_control())
        .take(TEXT_CHARS_MAX)
        .collect()
}

/// The rule's own id, the techniques of its tags, its references.
fn references(document: &Node) -> Vec<String> {
    let id = document
        .field("id")
        .and_then(Node::text)
        .map(|id| format!("Sigma {id}"));
    let listed = |name| document.field(name).map(Node::texts).unwrap_or_default();
    let techniques = listed("tags").into_iter().filter_map(|tag| {
        let technique = tag.strip_prefix("attack.t")?;
        technique
            .starts_with(|c: char| c.is_ascii_digit())
            .then(|| format!("ATT&CK T{}", technique.to_uppercase()))
    });
    let all = id.into_iter().chain(techniques);
    all.chain(listed("references").into_iter().map(str::to_owned))
        .map(|text| one_line(&text))
        .collect()
}

fn detected(detection: &Node) -> Result<Meaning, String> {
    let Node::Map(fields) = detection else {
        return Err("its `detection` must be a map".to_owned());
    };
    if detection.field("timeframe").is_some() {
        return Err("a `timeframe` is about events in time, and a rule judges one text".to_owned());
    }
    let mut selections = Vec::new();
    for (name, value) in fields.iter().filter(|(name, _)| name != "condition") {
        selections.push((
            name.clone(),
            selection(value).map_err(|e| format!("`{name}`: {e}"))?,
        ));
    }
    let condition = detection
        .field("condition")
        .ok_or("its `detection` has no `condition`")?;
    let conditions = condition.texts();
    if conditions.is_empty() {
        return Err("its `condition` must be a text".to_owned());
    }
    let read: Result<Vec<Meaning>, String> = conditions
        .iter()
        .map(|text| condition::read(text, &selections))
        .collect();
    Ok(Meaning::Any(read?))
}

/// A map: all its fields; a list: one of its maps or texts; a text: itself.
fn selection(value: &Node) -> Result<Meaning, String> {
    match value {
        Node::Null => Err("it is empty".to_owned()),
        Node::Text(text) => Ok(Key::read("").meaning(Some(text))),
        Node::List(items) if items.is_empty() => Err("it is an empty list".to_owned()),
        Node::List(items) => {
            let each: Result<Vec<Meaning>, String> = items.iter().map(selection).collect();
            Ok(Meaning::Any(each?))
        }
        Node::Map(fields) if fields.is_empty() => Err("it is an empty map".to_owned()),
        Node::Map(fields) => {
            let each: Result<Vec<Meaning>, String> = fields
                .iter()
                .map(|(key, value)| field(&Key::read(key), key, value))
                .collect();
            Ok(Meaning::Every(each?))
        }
    }
}

fn field(key: &Key<'_>, name: &str, value: &Node) -> Result<Meaning, String> {
    let one = |value: &Node| match value {
        Node::Null => Ok(key.meaning(None)),
        Node::Text(text) => Ok(key.meaning(Some(text))),
        Node::List(_) | Node::Map(_) => Err(format!("a value of `{name}` must be a text")),
    };
    match value {
        Node::List(items) if items.is_empty() => Err(format!("`{name}` is an empty list")),
        Node::List(items) => {
            let each: Result<Vec<Meaning>, String> = items.iter().map(one).collect();
            Ok(if key.has("all") {
                Meaning::Every(each?)
            } else {
                Meaning::Any(each?)
            })
        }
        single => one(single),
    }
}
