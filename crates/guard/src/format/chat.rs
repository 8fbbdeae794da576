//! OpenAI Chat Completions.
//!
//! Source: the OpenAI API reference, Chat Completions, with the legacy `functions`.

use serde_json::Value;

use clampd_model::Surface;

use super::{Passage, arguments, join, members, set, unreadable, word};
use crate::Refusal;

pub(super) fn passages<'v>(key: &str, value: &'v Value, found: &mut Vec<Passage<'v>>) {
    match key {
        "tools" | "functions" => members(value).iter().for_each(|tool| {
            let function = tool.get("function").or(tool.get("custom")).unwrap_or(tool);
            match word(tool, "type") {
                "" | "function" | "custom" => {
                    found.push(Passage::Tool(word(function, "name"), tool));
                }
                hosted => found.push(Passage::Hosted(hosted.to_owned(), tool)),
            }
        }),
        // Offered by a field of its own, and run by the provider all the same.
        "web_search_options" if !value.is_null() => {
            found.push(Passage::Hosted("web_search".to_owned(), value));
        }
        "messages" => members(value)
            .iter()
            .for_each(|message| read_message(message, found)),
        _ => found.push(Passage::Said(Surface::Prompt, value)),
    }
}

fn read_message<'v>(message: &'v Value, found: &mut Vec<Passage<'v>>) {
    let surface = match word(message, "role") {
        "tool" | "function" => Surface::Response,
        _ => Surface::Prompt,
    };
    let Value::Object(fields) = message else {
        return found.push(Passage::Said(surface, message));
    };
    for (key, value) in fields {
        match key.as_str() {
            "tool_calls" => found.extend(members(value).iter().map(Passage::Earlier)),
            "function_call" => found.push(Passage::Earlier(value)),
            _ => found.push(Passage::Said(surface, value)),
        }
        join(surface, value, found);
    }
}

pub(super) fn items(turn: &mut Value) -> Vec<&mut Value> {
    let Some(Value::Object(message)) = turn.get_mut("message") else {
        return Vec::new();
    };
    let mut items = Vec::new();
    for (key, value) in message {
        match (key.as_str(), value) {
            (_, Value::Null) => {}
            ("tool_calls", Value::Array(calls)) => items.extend(calls),
            // A list that is none is one call that cannot be read.
            ("tool_calls" | "function_call", call) => items.push(call),
            _ => {}
        }
    }
    items
}

pub(super) fn call(item: &Value) -> Result<(String, Value), Refusal> {
    let inner = match (item.get("function"), item.get("custom")) {
        (Some(_), Some(_)) => return Err(unreadable("the call is of two kinds")),
        (Some(inner), None) | (None, Some(inner)) => inner,
        (None, None) => item,
    };
    let params = match (inner.get("arguments"), inner.get("input")) {
        (Some(Value::String(text)), None) => arguments(text)?,
        (None, Some(input @ Value::String(_))) => input.clone(),
        (None, None) => arguments("")?,
        _ => return Err(unreadable("the call's arguments must be one text")),
    };
    Ok((word(inner, "name").to_owned(), params))
}

pub(super) fn settle(turn: &mut Value, stopped: &[String]) {
    let mut is_calling = false;
    if let Some(Value::Object(message)) = turn.get_mut("message") {
        if let Some(Value::Array(calls)) = message.get_mut("tool_calls") {
            calls.retain(|call| !call.is_null());
        }
        message.retain(|key, value| match key.as_str() {
            "tool_calls" | "function_call" => {
                let is_empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
                is_calling |= !is_empty;
                !is_empty
            }
            _ => true,
        });
        let mut texts = Vec::from_iter(message.get("content").and_then(Value::as_str));
        texts.retain(|text| !text.is_empty());
        texts.extend(stopped.iter().map(String::as_str));
        let content = texts.join("\n");
        message.insert("content".to_owned(), content.into());
    }
    if !is_calling && is_for_calls(word(turn, "finish_reason")) {
        set(turn, "finish_reason", "stop".into());
    }
}

/// Whether a turn ended in order that its calls be made.
pub(crate) fn is_for_calls(finish_reason: &str) -> bool {
    matches!(finish_reason, "tool_calls" | "function_call")
}

pub(super) fn withhold(turn: &mut Value, words: &str) {
    if let Value::Object(turn) = turn {
        turn.remove("logprobs");
        if let Some(Value::Object(message)) = turn.get_mut("message") {
            message
                .retain(|key, _| matches!(key.as_str(), "role" | "tool_calls" | "function_call"));
            message.insert("content".to_owned(), words.into());
        }
    }
}
