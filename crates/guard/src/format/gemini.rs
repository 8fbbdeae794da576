//! Gemini `generateContent` and `streamGenerateContent`.
//!
//! Source: the Gemini API reference. Google's JSON readers take `camelCase` and `snake_case` alike
//! (Protocol Buffers, ProtoJSON format), so both are read here.

use serde_json::Value;

use clampd_model::Surface;

use super::{Passage, join, list_at, members, unreadable, word};
use crate::Refusal;

pub(super) fn passages<'v>(key: &str, value: &'v Value, found: &mut Vec<Passage<'v>>) {
    match key {
        "tools" => members(value)
            .iter()
            .for_each(|tool| read_tool(tool, found)),
        "contents" => members(value)
            .iter()
            .for_each(|content| read_content(content, found)),
        _ => {
            found.push(Passage::Said(Surface::Prompt, value));
            if let Some(parts) = value.get("parts") {
                join(Surface::Prompt, parts, found);
            }
        }
    }
}

fn read_tool<'v>(tool: &'v Value, found: &mut Vec<Passage<'v>>) {
    let Value::Object(kinds) = tool else {
        return found.push(Passage::Tool("", tool));
    };
    for (kind, value) in kinds {
        match kind.as_str() {
            "functionDeclarations" | "function_declarations" => found.extend(
                members(value)
                    .iter()
                    .map(|function| Passage::Tool(word(function, "name"), function)),
            ),
            _ if value.is_null() => {}
            hosted => found.push(Passage::Hosted(snake_case(hosted), value)),
        }
    }
}

fn read_content<'v>(content: &'v Value, found: &mut Vec<Passage<'v>>) {
    let Some(parts) = content.get("parts") else {
        return found.push(Passage::Said(Surface::Prompt, content));
    };
    for part in members(parts) {
        if is_call(part) {
            found.push(Passage::Earlier(part));
            continue;
        }
        let is_result = [
            "functionResponse",
            "function_response",
            "codeExecutionResult",
        ]
        .iter()
        .any(|key| part.get(key).is_some());
        let surface = if is_result {
            Surface::Response
        } else {
            Surface::Prompt
        };
        found.push(Passage::Said(surface, part));
    }
    join(Surface::Prompt, parts, found);
}

/// The candidates of an answer, or of each of the answers in a list.
pub(super) fn turns(answer: &mut Value) -> Vec<&mut Value> {
    match answer {
        Value::Array(answers) => answers
            .iter_mut()
            .flat_map(|answer| list_at(answer, "/candidates"))
            .collect(),
        answer => list_at(answer, "/candidates"),
    }
}

const CALLS: [&str; 4] = [
    "functionCall",
    "function_call",
    "executableCode",
    "executable_code",
];

pub(super) fn is_call(part: &Value) -> bool {
    CALLS.iter().any(|key| part.get(key).is_some())
}

pub(super) fn call(part: &Value) -> Result<(String, Value), Refusal> {
    let mut calls = CALLS.iter().filter_map(|key| Some((*key, part.get(key)?)));
    let (Some((key, call)), None) = (calls.next(), calls.next()) else {
        return Err(unreadable("the part must be one call"));
    };
    if key.starts_with("exec") {
        return Ok(("code_execution".to_owned(), call.clone()));
    }
    let told_in_pieces = [
        "partialArgs",
        "partial_args",
        "willContinue",
        "will_continue",
    ]
    .iter()
    .any(|key| call.get(key).is_some_and(|value| value != false));
    match call.get("args") {
        _ if told_in_pieces => Err(unreadable("arguments that come in pieces are not read")),
        None | Some(Value::Null) => Ok((
            word(call, "name").to_owned(),
            Value::Object(Default::default()),
        )),
        Some(args @ Value::Object(_)) => Ok((word(call, "name").to_owned(), args.clone())),
        Some(_) => Err(unreadable("the call's args must be an object")),
    }
}

/// Makes one part of text parts that follow each other: a stream cuts one text into many.
pub(super) fn merge_texts(parts: &mut Vec<Value>) {
    let mut merged: Vec<Value> = Vec::new();
    for part in parts.drain(..) {
        if let (Some(Value::Object(before)), Some(text)) = (merged.last_mut(), plain_text(&part))
            && before.get("thought") == part.get("thought")
            && let Some(Value::String(start)) = before.get_mut("text")
        {
            start.push_str(text);
            continue;
        }
        merged.push(part);
    }
    *parts = merged;
}

fn plain_text(part: &Value) -> Option<&str> {
    let is_plain = |key: &String| matches!(key.as_str(), "text" | "thought" | "thoughtSignature");
    let fields = part
        .as_object()
        .filter(|fields| fields.keys().all(is_plain))?;
    fields.get("text")?.as_str()
}

/// `google.rpc.Code` of an HTTP status.
pub(super) fn status(http: u16) -> &'static str {
    match http {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        500.. => "UNAVAILABLE",
        _ => "INVALID_ARGUMENT",
    }
}

fn snake_case(name: &str) -> String {
    name.chars().fold(String::new(), |mut snake, letter| {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
        snake
    })
}
