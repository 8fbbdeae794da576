//! The formats in which models are spoken to: where texts stand and which items are tool calls.
//!
//! Each format is one file under `format/`, and each speaks of the same few things: the passages
//! of a request, the turns of an answer, the items of a turn, the call in an item. What follows
//! from them is the same for all and stands in [`sift`]; streams are put together again in
//! `stream/`; the decisions are a [`Judge`]'s.

mod chat;
mod gemini;
mod messages;
mod responses;
pub(crate) mod sift;

pub(crate) use chat::is_for_calls;
pub(crate) use responses::raw_arguments;

use serde_json::{Map, Value};

use clampd_model::Surface;

use crate::{Refusal, Reply, json::parse_strict, tool_call::ToolCall};

/// The most tool calls of one answer.
pub(crate) const CALLS_MAX: usize = 128;

/// A format of a model's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// OpenAI Chat Completions, which many others speak too.
    Chat,
    /// OpenAI Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
    /// Gemini `generateContent` and `streamGenerateContent`.
    Gemini,
}

/// A part of a request, as the model will read it.
#[derive(Debug)]
pub(crate) enum Passage<'v> {
    /// Texts.
    Said(Surface, &'v Value),
    /// The parts of one message, which the model reads as one text.
    Joined(Surface, String),
    /// The definition of a tool that the caller runs.
    Tool(&'v str, &'v Value),
    /// A tool that the model's provider runs by itself: no call of it could be stopped later.
    Hosted(String, &'v Value),
    /// A call that the model made earlier in the conversation.
    Earlier(&'v Value),
}

/// Decides on what stands in an answer. The words are for the model and its user.
pub(crate) trait Judge {
    /// Whether a call must be stopped; the words to put in its place.
    fn call(&mut self, item: &Value) -> Option<String>;

    /// Whether texts must be withheld; the words to put in their place.
    fn text(&mut self, told: &Value) -> Option<String>;
}

impl Format {
    /// The format that a path asks for, if it is one of a model's API. Paths are compared by
    /// their ends: what stands before is the provider's or a proxy's own.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let mut segments = path.rsplit('/');
        let last = segments.next().unwrap_or_default();
        let before = segments.next().unwrap_or_default();
        match (before, last) {
            ("chat", "completions") => Some(Self::Chat),
            (_, "responses") => Some(Self::Responses),
            (_, "messages") | ("messages", "count_tokens") => Some(Self::Messages),
            (_, model) => match model.rsplit_once(':')?.1 {
                "generateContent" | "streamGenerateContent" | "countTokens" => Some(Self::Gemini),
                _ => None,
            },
        }
    }

    /// The passages of a request.
    pub(crate) fn passages(self, request: &Map<String, Value>) -> Vec<Passage<'_>> {
        let mut passages = Vec::new();
        for (key, value) in request {
            match self {
                Self::Chat => chat::passages(key, value, &mut passages),
                Self::Responses => responses::passages(key, value, &mut passages),
                Self::Messages => messages::passages(key, value, &mut passages),
                Self::Gemini => gemini::passages(key, value, &mut passages),
            }
        }
        passages
    }

    /// The turns of an answer: what stands beside each other for the caller to choose from.
    pub(crate) fn turns(self, answer: &mut Value) -> Vec<&mut Value> {
        match self {
            Self::Chat => list_at(answer, "/choices"),
            Self::Responses => Vec::from_iter(answer.get("output").is_some().then_some(answer)),
            Self::Messages => Vec::from_iter(answer.get("content").is_some().then_some(answer)),
            Self::Gemini => gemini::turns(answer),
        }
    }

    /// The places of a turn in which a call may stand.
    fn items(self, turn: &mut Value) -> Vec<&mut Value> {
        match self {
            Self::Chat => chat::items(turn),
            Self::Responses => list_at(turn, "/output"),
            Self::Messages => list_at(turn, "/content"),
            Self::Gemini => list_at(turn, "/content/parts"),
        }
    }

    /// What of a turn is told to the user.
    fn told(self, turn: &mut Value) -> Option<&mut Value> {
        turn.get_mut(match self {
            Self::Chat => "message",
            Self::Responses => "output",
            Self::Messages | Self::Gemini => "content",
        })
    }

    /// Whether an item is a call.
    pub(crate) fn is_call(self, item: &Value) -> bool {
        match self {
            Self::Chat => true,
            Self::Responses => responses::is_call(item),
            Self::Messages => messages::is_call(item),
            Self::Gemini => gemini::is_call(item),
        }
    }

    /// The call in an item that is one.
    ///
    /// # Errors
    /// A refusal where it cannot be read, or be read in more than one way.
    pub(crate) fn call(self, item: &Value) -> Result<ToolCall, Refusal> {
        let (tool, params) = match self {
            Self::Chat => chat::call(item),
            Self::Responses => responses::call(item),
            Self::Messages => messages::call(item),
            Self::Gemini => gemini::call(item),
        }?;
        Ok(ToolCall {
            tool: crate::tool_call::tool_name(tool)?,
            params,
            prompt: None,
            descriptor: Vec::new(),
        })
    }

    /// The item that stands in the place of a stopped call.
    pub(crate) fn in_place_of(self, item: &Value, words: &str) -> Value {
        match self {
            Self::Chat => Value::Null,
            Self::Responses => responses::message(item, words),
            Self::Messages => parsed(&format!(r#"{{"type":"text","text":{}}}"#, quoted(words))),
            Self::Gemini => parsed(&format!(r#"{{"text":{}}}"#, quoted(words))),
        }
    }

    /// Makes a turn whole again from which calls were taken.
    fn settle(self, turn: &mut Value, stopped: &[String]) {
        match self {
            Self::Chat => chat::settle(turn, stopped),
            Self::Messages => messages::settle(turn),
            Self::Responses | Self::Gemini => {}
        }
    }

    /// Puts words in the place of all that a turn tells; its calls stay.
    fn withhold(self, turn: &mut Value, words: &str) {
        if self == Self::Chat {
            return chat::withhold(turn, words);
        }
        let first = self.in_place_of(&Value::Null, words);
        let list = match self {
            Self::Gemini => turn.pointer_mut("/content/parts"),
            _ => self.told(turn),
        };
        if let Some(items) = list.and_then(Value::as_array_mut) {
            items.retain(|item| self.is_call(item));
            items.insert(0, first);
        }
        if let Value::Object(fields) = turn
            && self == Self::Gemini
        {
            // What the text was founded on would tell it again.
            fields.retain(|key, _| matches!(key.as_str(), "content" | "finishReason" | "index"));
        }
    }

    /// A refusal as the provider itself would word it.
    pub(crate) fn error(self, refusal: &Refusal, request_id: &str) -> Reply {
        let status = refusal.code.status();
        let code = refusal.code.as_str();
        let message = format!("{} (Clampd, request {request_id})", refusal.message);
        let kind = match status {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        };
        let message = quoted(&message);
        let body = match self {
            Self::Chat | Self::Responses => format!(
                r#"{{"error":{{"message":{message},"type":"{kind}","param":null,"code":"{code}"}}}}"#
            ),
            Self::Messages => format!(
                r#"{{"type":"error","request_id":"{request_id}","error":{{"type":"{kind}","message":{message},"code":"{code}"}}}}"#
            ),
            Self::Gemini => format!(
                r#"{{"error":{{"code":{status},"message":{message},"status":"{}","details":[{{"@type":"clampd","reason":"{code}"}}]}}}}"#,
                gemini::status(status)
            ),
        };
        Reply {
            status,
            ..Reply::json_bytes(body.into_bytes())
        }
    }
}

/// The members of a list, or the value itself where it is none: nothing goes unseen because it has
/// another shape than the format says.
fn members(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        other => std::slice::from_ref(other),
    }
}

fn list_at<'v>(value: &'v mut Value, pointer: &str) -> Vec<&'v mut Value> {
    let list = value.pointer_mut(pointer).and_then(Value::as_array_mut);
    list.map(|items| items.iter_mut().collect())
        .unwrap_or_default()
}

pub(crate) fn word<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The value that a text of JSON of our own making says.
pub(crate) fn parsed(json: &str) -> Value {
    parse_strict(json.as_bytes()).unwrap_or_default()
}

/// Sets a field of an object.
pub(crate) fn set(value: &mut Value, key: &str, to: Value) {
    if let Value::Object(fields) = value {
        fields.insert(key.to_owned(), to);
    }
}

/// Adds the parts of a message as one text, where there are several.
fn join<'v>(surface: Surface, parts: &Value, passages: &mut Vec<Passage<'v>>) {
    let Value::Array(parts) = parts else {
        return;
    };
    let texts: Vec<&str> = parts
        .iter()
        .filter_map(|part| part.get("text")?.as_str())
        .collect();
    if texts.len() > 1 {
        passages.push(Passage::Joined(surface, texts.concat()));
    }
}

/// The parameters that a call gives as a text of JSON; none for an empty one.
fn arguments(text: &str) -> Result<Value, Refusal> {
    if text.trim().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    parse_strict(text.as_bytes())
        .map_err(|_| unreadable("the call's arguments are not JSON that can be read in one way"))
}

fn unreadable(why: &str) -> Refusal {
    crate::ErrorCode::InvalidBody.because(why)
}
