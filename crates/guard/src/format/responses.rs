//! OpenAI Responses.
//!
//! Source: the OpenAI API reference, Responses. Every item whose type ends in `_call` is a tool
//! call, whoever runs it.

use serde_json::Value;

use clampd_model::Surface;

use super::{Passage, arguments, join, members, parsed, quoted, unreadable, word};
use crate::Refusal;

/// Tools that the caller runs; the provider runs all others.
const RUN_BY_CALLER: [&str; 8] = [
    "",
    "function",
    "custom",
    "local_shell",
    "shell",
    "apply_patch",
    "computer_use_preview",
    "computer",
];

pub(super) fn passages<'v>(key: &str, value: &'v Value, found: &mut Vec<Passage<'v>>) {
    match key {
        "tools" => members(value).iter().for_each(|tool| {
            let kind = word(tool, "type");
            if RUN_BY_CALLER.contains(&kind) {
                found.push(Passage::Tool(word(tool, "name"), tool));
            } else {
                found.push(Passage::Hosted(kind.to_owned(), tool));
            }
        }),
        "input" => members(value)
            .iter()
            .for_each(|item| read_item(item, found)),
        _ => found.push(Passage::Said(Surface::Prompt, value)),
    }
}

fn read_item<'v>(item: &'v Value, found: &mut Vec<Passage<'v>>) {
    if is_call(item) {
        return found.push(Passage::Earlier(item));
    }
    let surface = if word(item, "type").ends_with("_output") {
        Surface::Response
    } else {
        Surface::Prompt
    };
    found.push(Passage::Said(surface, item));
    for key in ["content", "output"] {
        if let Some(parts) = item.get(key) {
            join(surface, parts, found);
        }
    }
}

pub(super) fn is_call(item: &Value) -> bool {
    let kind = word(item, "type");
    kind.ends_with("_call") || kind == "mcp_approval_request"
}

pub(super) fn call(item: &Value) -> Result<(String, Value), Refusal> {
    let kind = word(item, "type");
    let name = match item.get("name") {
        Some(Value::String(name)) => name,
        Some(_) => return Err(unreadable("the call's name must be a text")),
        None => kind.trim_end_matches("_call"),
    };
    let params = match (raw_arguments(item), kind) {
        (Some(raw), "function_call" | "mcp_call" | "mcp_approval_request") => arguments(raw)?,
        (Some(raw), _) => Value::from(raw),
        // What else a call says, without what only names it.
        (None, _) => {
            let mut rest = item.clone();
            if let Value::Object(fields) = &mut rest {
                fields.retain(|key, _| !matches!(key.as_str(), "type" | "id" | "call_id"));
            }
            rest
        }
    };
    Ok((name.to_owned(), params))
}

/// The parameters as the text that a stream gives in pieces.
pub(crate) fn raw_arguments(item: &Value) -> Option<&str> {
    ["arguments", "input", "code"]
        .iter()
        .find_map(|key| item.get(key)?.as_str())
}

/// A message of the model's that says `words`.
pub(super) fn message(item: &Value, words: &str) -> Value {
    let (id, words) = (quoted(&format!("msg_{}", word(item, "id"))), quoted(words));
    parsed(&format!(
        r#"{{"type":"message","id":{id},"role":"assistant","status":"completed","content":[{{"type":"output_text","text":{words},"annotations":[]}}]}}"#
    ))
}
