//! Anthropic Messages.
//!
//! Source: the Anthropic API reference, Messages. Every content block whose type ends in
//! `tool_use` is a tool call, whoever runs it.

use serde_json::Value;

use clampd_model::Surface;

use super::{Passage, join, members, set, unreadable, word};
use crate::Refusal;

/// How the types of tools begin that the caller runs; the provider runs all others.
const RUN_BY_CALLER: [&str; 4] = ["bash_", "text_editor_", "computer_", "memory_"];

pub(super) fn passages<'v>(key: &str, value: &'v Value, found: &mut Vec<Passage<'v>>) {
    match key {
        "tools" => members(value).iter().for_each(|tool| {
            let (kind, name) = (word(tool, "type"), word(tool, "name"));
            let by_caller = matches!(kind, "" | "custom")
                || RUN_BY_CALLER.iter().any(|begin| kind.starts_with(begin));
            if by_caller {
                found.push(Passage::Tool(name, tool));
            } else {
                let hosted = if name.is_empty() { kind } else { name };
                found.push(Passage::Hosted(hosted.to_owned(), tool));
            }
        }),
        "mcp_servers" => found.extend(
            members(value)
                .iter()
                .map(|server| Passage::Hosted("mcp".to_owned(), server)),
        ),
        "messages" => members(value)
            .iter()
            .for_each(|message| read_message(message, found)),
        _ => {
            found.push(Passage::Said(Surface::Prompt, value));
            join(Surface::Prompt, value, found);
        }
    }
}

fn read_message<'v>(message: &'v Value, found: &mut Vec<Passage<'v>>) {
    let Some(content) = message.get("content") else {
        return found.push(Passage::Said(Surface::Prompt, message));
    };
    for block in members(content) {
        if is_call(block) {
            found.push(Passage::Earlier(block));
        } else if word(block, "type").ends_with("tool_result") {
            found.push(Passage::Said(Surface::Response, block));
            if let Some(parts) = block.get("content") {
                join(Surface::Response, parts, found);
            }
        } else {
            found.push(Passage::Said(Surface::Prompt, block));
        }
    }
    join(Surface::Prompt, content, found);
}

pub(super) fn is_call(item: &Value) -> bool {
    word(item, "type").ends_with("tool_use")
}

pub(super) fn call(item: &Value) -> Result<(String, Value), Refusal> {
    match item.get("input") {
        Some(input @ Value::Object(_)) => Ok((word(item, "name").to_owned(), input.clone())),
        _ => Err(unreadable("the call's input must be an object")),
    }
}

pub(super) fn settle(turn: &mut Value) {
    let content = turn.get("content").and_then(Value::as_array);
    let is_calling = content.is_some_and(|blocks| blocks.iter().any(is_call));
    if !is_calling && word(turn, "stop_reason") == "tool_use" {
        set(turn, "stop_reason", "end_turn".into());
    }
}
