//! MCP over streamable HTTP, and A2A: JSON-RPC 2.0 messages, one or a batch, and refusals in its
//! language.
//!
//! Source: the Model Context Protocol specification, transports and tools; the Agent2Agent protocol
//! specification, JSON-RPC transport; JSON-RPC 2.0.

use serde_json::{Map, Value, json};

use clampd_detect::Place;
use clampd_model::{Surface, ToolCategory};

use crate::{
    Decision, ErrorCode, Guard, McpDenial, Refusal, Reply, Snapshot,
    decide::judge_text,
    identity::Caller,
    json::parse_strict,
    leaves::leaves_of,
    tool_call::{ToolCall, tool_name},
};

/// The most messages in one batch.
const BATCH_MESSAGES_MAX: usize = 50;
/// The longest method name, in bytes.
const METHOD_BYTES_MAX: usize = 128;
/// What a message may say that counts.
const FIELDS: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];
/// What the parameters of `tools/call` may say that counts.
const PARAMS: [&str; 4] = ["name", "arguments", "_meta", "task"];
/// JSON-RPC error code of a refusal, from the range that servers may define.
const REFUSED: i64 = -32_001;

/// What a client posted.
#[derive(Debug)]
pub(crate) struct Post {
    protocol: Protocol,
    messages: Vec<Message>,
    is_batch: bool,
}

/// What is spoken over JSON-RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// To a server of tools; how a blocked call is answered.
    Mcp(McpDenial),
    /// To another agent: what is sent is a prompt, and there are no tool calls.
    A2a,
}

#[derive(Debug)]
enum Message {
    /// `tools/call`, and what it says beside the call.
    Call {
        id: Option<Value>,
        call: ToolCall,
        beside: Value,
    },
    /// Any other request or notification.
    Other {
        id: Option<Value>,
        method: String,
        params: Value,
    },
    /// What the client answers to a request of the server's.
    Response { result: Value },
}

/// What a denial is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The call: it was not executed.
    Call,
    /// The answer: it is withheld.
    Answer,
}

/// Says no in a way that the client understands.
#[derive(Debug)]
pub(crate) struct Denier {
    /// The requests that wait for an answer, and whether each is a tool call.
    waiting: Vec<(Value, bool)>,
    is_batch: bool,
    mode: McpDenial,
}

impl Post {
    /// Reads a body and holds it against the `Mcp-Method` and `Mcp-Name` headers.
    pub(crate) fn read(
        protocol: Protocol,
        body: &[u8],
        names: &(Option<String>, Option<String>),
    ) -> Result<Self, Refusal> {
        let body = parse_strict(body).map_err(|e| ErrorCode::InvalidBody.because(e))?;
        let (messages, is_batch) = match body {
            Value::Array(items) if (1..=BATCH_MESSAGES_MAX).contains(&items.len()) => (items, true),
            Value::Array(_) => return Err(invalid("a batch must have 1 to 50 messages")),
            message => (vec![message], false),
        };
        let messages = messages
            .into_iter()
            .map(|message| Message::read(protocol, message))
            .collect::<Result<Vec<_>, _>>()?;
        let post = Self {
            protocol,
            messages,
            is_batch,
        };
        post.agrees_with(names)?;
        Ok(post)
    }

    /// The one tool call, if there is one.
    ///
    /// # Errors
    /// More than one call: each needs a token of its own, and a request carries one.
    pub(crate) fn call(&self) -> Result<Option<&ToolCall>, Refusal> {
        let mut calls = self.messages.iter().filter_map(|message| match message {
            Message::Call { call, .. } => Some(call),
            _ => None,
        });
        match (calls.next(), calls.next()) {
            (call, None) => Ok(call),
            _ => Err(ErrorCode::InvalidBody.because("a batch must have at most one tools/call")),
        }
    }

    /// What the audit trail calls it: the method of the first message.
    pub(crate) fn action(&self) -> &str {
        match self.messages.first() {
            Some(Message::Call { .. }) => "tools/call",
            Some(Message::Other { method, .. }) => method,
            _ => "response",
        }
    }

    pub(crate) fn denier(&self) -> Denier {
        let mode = match self.protocol {
            Protocol::Mcp(mode) => mode,
            Protocol::A2a => McpDenial::Error,
        };
        let waiting = self
            .messages
            .iter()
            .filter_map(|message| match message {
                Message::Call { id, .. } => id.clone().map(|id| (id, true)),
                Message::Other { id, .. } => id.clone().map(|id| (id, false)),
                Message::Response { .. } => None,
            })
            .collect();
        Denier {
            waiting,
            is_batch: self.is_batch,
            mode,
        }
    }

    fn agrees_with(&self, names: &(Option<String>, Option<String>)) -> Result<(), Refusal> {
        let (method, name) = names;
        if method.is_none() && name.is_none() {
            return Ok(());
        }
        let [message] = self.messages.as_slice() else {
            return Err(invalid("Mcp-Method and Mcp-Name do not go with a batch"));
        };
        let (said_method, said_name) = match message {
            Message::Call { call, .. } => ("tools/call", Some(call.tool.as_str())),
            Message::Other { method, params, .. } => {
                let name = params.get("name").or_else(|| params.get("uri"));
                (method.as_str(), name.and_then(Value::as_str))
            }
            Message::Response { .. } => ("", None),
        };
        let method_agrees = method.as_deref().is_none_or(|m| m == said_method);
        let name_agrees = name.as_deref().is_none_or(|n| Some(n) == said_name);
        if method_agrees && name_agrees {
            Ok(())
        } else {
            Err(invalid(
                "Mcp-Method or Mcp-Name says something else than the body",
            ))
        }
    }
}

impl Message {
    fn read(protocol: Protocol, message: Value) -> Result<Self, Refusal> {
        let Value::Object(mut fields) = message else {
            return Err(invalid("a message must be an object"));
        };
        spelt_plainly(&fields, &FIELDS)?;
        if fields.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Err(invalid("`jsonrpc` must be \"2.0\""));
        }
        let id = match fields.remove("id") {
            None => None,
            Some(id @ (Value::String(_) | Value::Number(_) | Value::Null)) => Some(id),
            Some(_) => return Err(invalid("`id` must be a string or a number")),
        };
        let method = match fields.remove("method") {
            None => {
                return Ok(Self::Response {
                    result: Value::Object(fields),
                });
            }
            Some(Value::String(method)) if method.len() <= METHOD_BYTES_MAX => method,
            Some(_) => return Err(invalid("`method` must be a short string")),
        };
        if fields.contains_key("result") || fields.contains_key("error") {
            return Err(invalid("it is a request and an answer"));
        }
        let params = fields
            .remove("params")
            .unwrap_or_else(|| Value::Object(Map::new()));
        if method != "tools/call" || protocol == Protocol::A2a {
            return Ok(Self::Other { id, method, params });
        }
        let Value::Object(mut params) = params else {
            return Err(invalid("`params` of tools/call must be an object"));
        };
        spelt_plainly(&params, &PARAMS)?;
        let Some(Value::String(tool)) = params.remove("name") else {
            return Err(invalid("`params.name` must be a string"));
        };
        let arguments = params
            .remove("arguments")
            .unwrap_or_else(|| Value::Object(Map::new()));
        let call = ToolCall {
            tool: tool_name(tool)?,
            params: arguments,
            prompt: None,
            descriptor: vec![],
        };
        let beside = Value::Array(vec![fields.into(), params.into()]);
        Ok(Self::Call { id, call, beside })
    }
}

impl Guard {
    /// Judges what is no tool call: the parameters of other methods, what stands beside a call, and
    /// what the client answers.
    /// Gives the decision on the first that must be stopped, and adds to `marks` what was found
    /// and did not count.
    pub(crate) fn judge_other_messages(
        &self,
        snapshot: &Snapshot,
        caller: &Caller,
        post: &Post,
        marks: &mut Vec<String>,
    ) -> Result<Option<Decision>, Refusal> {
        for message in &post.messages {
            let (surface, tool, value) = match message {
                Message::Call { call, beside, .. } => (Surface::Params, call.tool.as_str(), beside),
                Message::Other { params, .. } if post.protocol == Protocol::A2a => {
                    (Surface::Prompt, "", params)
                }
                Message::Other { method, params, .. } => (Surface::Params, method.as_str(), params),
                Message::Response { result } => (Surface::Response, "", result),
            };
            let place = Place {
                surface,
                tool,
                category: ToolCategory::Other,
            };
            let found = self.find(snapshot, &place, &leaves_of(value))?;
            let decision = judge_text(snapshot.settings(), &caller.subject(None), &found);
            marks.extend(decision.marks.iter().cloned());
            if !decision.verdict.lets_pass() {
                return Ok(Some(decision));
            }
        }
        Ok(None)
    }
}

impl Stage {
    fn words(self) -> &'static str {
        match self {
            Self::Call => "The call was not executed; do not retry it unchanged.",
            Self::Answer => "The answer is withheld.",
        }
    }

    /// What is said where `decision` stops something.
    pub(crate) fn denied(self, decision: &Decision, request_id: &str) -> String {
        let why = decision.denial_reason.as_deref().unwrap_or("not allowed");
        let rules = decision.matched_rules.join(", ");
        format!(
            "Blocked by Clampd: {why}. Rules: {}. {} Request {request_id}.",
            if rules.is_empty() { "none" } else { &rules },
            self.words(),
        )
    }

    /// What is said where something is refused before or after it was judged.
    pub(crate) fn refused(self, refusal: &Refusal, request_id: &str) -> String {
        format!(
            "Refused by Clampd: {} ({}). {} Request {request_id}.",
            refusal.message,
            refusal.code.as_str(),
            self.words(),
        )
    }
}

impl Denier {
    /// For an exchange in which no request waits.
    pub(crate) fn for_nobody(mode: McpDenial) -> Self {
        Self {
            waiting: Vec::new(),
            is_batch: false,
            mode,
        }
    }

    /// Whether anybody waits for an answer.
    pub(crate) fn is_for_nobody(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The answer to a call that was judged dangerous.
    pub(crate) fn deny(&self, stage: Stage, decision: &Decision, request_id: &str) -> Reply {
        let text = stage.denied(decision, request_id);
        self.answer(&text, &decision.refusal(), request_id)
    }

    /// The answer to a call that was refused before or after it was judged.
    pub(crate) fn refuse(&self, stage: Stage, refusal: &Refusal, request_id: &str) -> Reply {
        self.answer(&stage.refused(refusal, request_id), refusal, request_id)
    }

    fn answer(&self, text: &str, refusal: &Refusal, request_id: &str) -> Reply {
        if self.mode == McpDenial::Http || self.waiting.is_empty() {
            return refusal.reply(request_id);
        }
        let mut answers: Vec<Value> = self
            .waiting
            .iter()
            .map(|(id, is_call)| {
                if *is_call && self.mode == McpDenial::Result {
                    let content = json!([{"type": "text", "text": text}]);
                    json!({"jsonrpc": "2.0", "id": id, "result": {
                        "content": content, "isError": true, "resultType": "complete",
                    }})
                } else {
                    let data =
                        json!({"error_code": refusal.code.as_str(), "request_id": request_id});
                    let error = json!({"code": REFUSED, "message": text, "data": data});
                    json!({"jsonrpc": "2.0", "id": id, "error": error})
                }
            })
            .collect();
        match (self.is_batch, answers.len()) {
            (false, 1) => Reply::json(200, &answers.swap_remove(0)),
            _ => Reply::json(200, &answers),
        }
    }
}

/// Refuses a field that is one of `known` but for its letters: some readers, Go's among them, take
/// `Method` and `paramſ` for `method` and `params`, and the last of them wins.
fn spelt_plainly(fields: &Map<String, Value>, known: &[&str]) -> Result<(), Refusal> {
    let folded = |key: &str| {
        let plain = key.replace('\u{17f}', "s").replace('\u{212a}', "k");
        plain.to_ascii_lowercase()
    };
    let is_plain =
        |key: &String| known.contains(&key.as_str()) || !known.contains(&folded(key).as_str());
    if fields.keys().all(is_plain) {
        Ok(())
    } else {
        Err(invalid("a field is spelt almost like one that is read"))
    }
}

fn invalid(what: &str) -> Refusal {
    ErrorCode::InvalidBody.because(format!("MCP message: {what}"))
}
