//! How each provider tells a text and tool calls, whole or streamed, and what a client reads.

#![expect(
    clippy::indexing_slicing,
    reason = "what is not there is a failed promise"
)]

use serde_json::{Value, json};

/// A model's API as its provider speaks it and as a client hears it.
pub(super) struct Api {
    pub(super) path: &'static str,
    /// A request with this as its prompt.
    pub(super) request: fn(&str) -> Value,
    /// An answer with a text and calls, each a tool and its arguments in JSON.
    pub(super) answer: fn(&str, &[Call]) -> Value,
    /// The same as the events of a stream.
    pub(super) stream: fn(&str, &[Call]) -> Vec<Value>,
    /// What a client reads in an answer.
    pub(super) heard: fn(&Value) -> Heard,
    /// What a client reads in the events of a stream.
    pub(super) heard_streamed: fn(&[Value]) -> Heard,
}

pub(super) type Call = (&'static str, &'static str);

/// A text, and calls as tool and arguments.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Heard {
    pub(super) text: String,
    pub(super) calls: Vec<(String, Value)>,
    /// Why the answer ended, in the provider's word.
    pub(super) end: String,
}

impl Heard {
    fn call(&mut self, tool: &Value, arguments: &Value) {
        let arguments = match arguments {
            Value::String(text) => serde_json::from_str(text).unwrap(),
            value => value.clone(),
        };
        self.calls.push((text(tool), arguments));
    }
}

/// The data of a stream's events as one text; `[DONE]` is a JSON string here.
pub(super) fn written(events: &[Value]) -> String {
    events
        .iter()
        .map(|event| match event {
            Value::String(done) => format!("data: {done}\n\n"),
            event => match event.get("type") {
                Some(kind) => format!("event: {}\ndata: {event}\n\n", text(kind)),
                None => format!("data: {event}\n\n"),
            },
        })
        .collect()
}

/// The events of a written stream.
pub(super) fn events(stream: &str) -> Vec<Value> {
    let data = |event: &str| {
        let lines = event.lines().filter_map(|line| line.strip_prefix("data: "));
        lines.collect::<Vec<_>>().join("\n")
    };
    stream
        .split("\n\n")
        .map(data)
        .filter(|data| !data.is_empty())
        .map(|data| serde_json::from_str(&data).unwrap_or(Value::String(data)))
        .collect()
}

pub(super) const APIS: [Api; 4] = [
    Api {
        path: "/openai/v1/chat/completions",
        request: |prompt| json!({"model": "m", "messages": [{"role": "user", "content": prompt}]}),
        answer: chat,
        stream: chat_stream,
        heard: |answer| {
            let choice = &answer["choices"][0];
            let mut heard = Heard {
                text: text(&choice["message"]["content"]),
                end: text(&choice["finish_reason"]),
                ..Heard::default()
            };
            for call in list(&choice["message"]["tool_calls"]) {
                heard.call(&call["function"]["name"], &call["function"]["arguments"]);
            }
            heard
        },
        heard_streamed: |events| {
            let mut heard = Heard::default();
            let mut calls: Vec<(String, String)> = Vec::new();
            for choice in events.iter().flat_map(|event| list(&event["choices"])) {
                heard.text += &text(&choice["delta"]["content"]);
                for piece in list(&choice["delta"]["tool_calls"]) {
                    let index = usize::try_from(piece["index"].as_u64().unwrap()).unwrap();
                    calls.resize(calls.len().max(index + 1), Default::default());
                    calls[index].0 += &text(&piece["function"]["name"]);
                    calls[index].1 += &text(&piece["function"]["arguments"]);
                }
                heard.end += &text(&choice["finish_reason"]);
            }
            for (tool, arguments) in calls {
                heard.call(&tool.into(), &arguments.into());
            }
            heard
        },
    },
    Api {
        path: "/openai/v1/responses",
        request: |prompt| json!({"model": "m", "input": prompt}),
        answer: responses,
        stream: responses_stream,
        heard: |answer| {
            let mut heard = Heard::default();
            for item in list(&answer["output"]) {
                heard.text += &text(&item["content"][0]["text"]);
                if item["type"] == "function_call" {
                    heard.call(&item["name"], &item["arguments"]);
                }
            }
            heard
        },
        heard_streamed: |events| {
            let mut heard = Heard::default();
            for event in events {
                if event["type"] == "response.output_text.delta" {
                    heard.text += &text(&event["delta"]);
                }
                let item = &event["item"];
                if event["type"] == "response.output_item.done" && item["type"] == "function_call" {
                    heard.call(&item["name"], &item["arguments"]);
                }
            }
            heard
        },
    },
    Api {
        path: "/anthropic/v1/messages",
        request: |prompt| {
            let content = json!([{"type": "text", "text": prompt}]);
            json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": content}]})
        },
        answer: messages,
        stream: messages_stream,
        heard: |answer| {
            let mut heard = Heard {
                end: text(&answer["stop_reason"]),
                ..Heard::default()
            };
            for block in list(&answer["content"]) {
                heard.text += &text(&block["text"]);
                if block["type"] == "tool_use" {
                    heard.call(&block["name"], &block["input"]);
                }
            }
            heard
        },
        heard_streamed: |events| {
            let mut heard = Heard::default();
            let mut call = None;
            for event in events {
                if event["content_block"]["type"] == "tool_use" {
                    call = Some((text(&event["content_block"]["name"]), String::new()));
                }
                heard.text += &text(&event["delta"]["text"]);
                heard.end += &text(&event["delta"]["stop_reason"]);
                if let Some((_, input)) = &mut call {
                    *input += &text(&event["delta"]["partial_json"]);
                }
                if event["type"] == "content_block_stop"
                    && let Some((tool, input)) = call.take()
                {
                    heard.call(&tool.into(), &input.into());
                }
            }
            heard
        },
    },
    Api {
        path: "/gemini/v1beta/models/m:streamGenerateContent",
        request: |prompt| json!({"contents": [{"role": "user", "parts": [{"text": prompt}]}]}),
        answer: gemini,
        stream: gemini_stream,
        heard: |answer| gemini_heard(std::slice::from_ref(answer)),
        heard_streamed: gemini_heard,
    },
];

fn chat(text: &str, calls: &[Call]) -> Value {
    let calls: Vec<_> = calls
        .iter()
        .enumerate()
        .map(|(n, (tool, arguments))| {
            let function = json!({"name": tool, "arguments": arguments});
            json!({"id": format!("call_{n}"), "type": "function", "function": function})
        })
        .collect();
    // Some say `stop` though they call.
    let choice = json!({"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": text, "tool_calls": calls}});
    json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})
}

fn chat_stream(text: &str, calls: &[Call]) -> Vec<Value> {
    let event = |delta: Value, end: Value| {
        json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": end}]})
    };
    let mut events = vec![event(
        json!({"role": "assistant", "content": ""}),
        Value::Null,
    )];
    events.extend(pieces(text).map(|piece| event(json!({"content": piece}), Value::Null)));
    for (n, (tool, arguments)) in calls.iter().enumerate() {
        let begin = json!({"index": n, "id": format!("call_{n}"), "type": "function",
            "function": {"name": tool, "arguments": ""}});
        events.push(event(json!({"tool_calls": [begin]}), Value::Null));
        events.extend(pieces(arguments).map(|piece| {
            let piece = json!({"index": n, "function": {"arguments": piece}});
            event(json!({"tool_calls": [piece]}), Value::Null)
        }));
    }
    events.push(event(json!({}), "stop".into()));
    events.push("[DONE]".into());
    events
}

fn response_items(text: &str, calls: &[Call]) -> Vec<Value> {
    let part = json!({"type": "output_text", "text": text, "annotations": []});
    let message = json!({"type": "message", "id": "m", "role": "assistant", "content": [part]});
    let calls = calls.iter().enumerate().map(|(n, (tool, arguments))| {
        json!({"type": "function_call", "id": format!("fc_{n}"), "call_id": format!("call_{n}"),
            "name": tool, "arguments": arguments})
    });
    std::iter::once(message).chain(calls).collect()
}

fn responses(text: &str, calls: &[Call]) -> Value {
    json!({"id": "r", "object": "response", "output": response_items(text, calls)})
}

fn responses_stream(text: &str, calls: &[Call]) -> Vec<Value> {
    let begun = json!({"id": "r", "object": "response", "output": []});
    let mut events = vec![json!({"type": "response.created", "response": begun})];
    for (n, item) in response_items(text, calls).into_iter().enumerate() {
        let mut begun = item.clone();
        let (kind, said) = match item["arguments"].as_str() {
            Some(arguments) => ("function_call_arguments", arguments),
            None => ("output_text", text),
        };
        begun[if n == 0 { "content" } else { "arguments" }] =
            if n == 0 { json!([]) } else { json!("") };
        let event = |name: &str, key: &str, value: Value| json!({"type": format!("response.{name}"), "output_index": n, key: value});
        events.push(event("output_item.added", "item", begun));
        let delta = format!("{kind}.delta");
        events.extend(pieces(said).map(|piece| event(&delta, "delta", piece.into())));
        if n > 0 {
            events.push(event(&format!("{kind}.done"), "arguments", said.into()));
        }
        events.push(event("output_item.done", "item", item));
    }
    events.push(json!({"type": "response.completed", "response": responses(text, calls)}));
    events
}

fn messages(text: &str, calls: &[Call]) -> Value {
    let mut content = vec![json!({"type": "text", "text": text})];
    content.extend(calls.iter().enumerate().map(|(n, (tool, arguments))| {
        // What is no JSON cannot be told whole; nothing is as unreadable as this.
        let input = serde_json::from_str(arguments).unwrap_or(Value::Null);
        json!({"type": "tool_use", "id": format!("toolu_{n}"), "name": tool, "input": input})
    }));
    let end = if calls.is_empty() {
        "end_turn"
    } else {
        "tool_use"
    };
    json!({"type": "message", "id": "m", "role": "assistant", "content": content, "stop_reason": end})
}

fn messages_stream(text: &str, calls: &[Call]) -> Vec<Value> {
    let whole = messages(text, calls);
    let mut begun = whole.clone();
    begun["content"] = json!([]);
    begun["stop_reason"] = Value::Null;
    let mut events = vec![
        json!({"type": "message_start", "message": begun}),
        json!({"type": "ping"}),
    ];
    let block = |events: &mut Vec<Value>, n: usize, begin: Value, deltas: Vec<Value>| {
        let event =
            |kind: &str, key: &str, value: Value| json!({"type": kind, "index": n, key: value});
        events.push(event("content_block_start", "content_block", begin));
        events.extend(
            deltas
                .into_iter()
                .map(|d| event("content_block_delta", "delta", d)),
        );
        events.push(json!({"type": "content_block_stop", "index": n}));
    };
    let deltas = pieces(text).map(|piece| json!({"type": "text_delta", "text": piece}));
    block(
        &mut events,
        0,
        json!({"type": "text", "text": ""}),
        deltas.collect(),
    );
    for (n, (tool, arguments)) in calls.iter().enumerate() {
        let begin =
            json!({"type": "tool_use", "id": format!("toolu_{n}"), "name": tool, "input": {}});
        let delta = |piece| json!({"type": "input_json_delta", "partial_json": piece});
        block(
            &mut events,
            n + 1,
            begin,
            pieces(arguments).map(delta).collect(),
        );
    }
    let end = json!({"stop_reason": whole["stop_reason"]});
    events.push(json!({"type": "message_delta", "delta": end, "usage": {"output_tokens": 1}}));
    events.push(json!({"type": "message_stop"}));
    events
}

fn gemini_part((tool, arguments): &Call) -> Value {
    let args = serde_json::from_str(arguments).unwrap_or(json!("unreadable"));
    json!({"functionCall": {"name": tool, "args": args}})
}

fn gemini(text: &str, calls: &[Call]) -> Value {
    let mut parts = vec![json!({"text": text})];
    parts.extend(calls.iter().map(gemini_part));
    json!({"candidates": [{"index": 0, "finishReason": "STOP",
        "content": {"role": "model", "parts": parts}}]})
}

fn gemini_stream(text: &str, calls: &[Call]) -> Vec<Value> {
    let event = |part: Value| {
        json!({"candidates": [{"index": 0,
        "content": {"role": "model", "parts": [part]}}]})
    };
    let mut events: Vec<_> = pieces(text)
        .map(|piece| event(json!({"text": piece})))
        .collect();
    events.extend(calls.iter().map(|call| event(gemini_part(call))));
    events.push(json!({"candidates": [{"index": 0, "finishReason": "STOP"}]}));
    events
}

fn gemini_heard(answers: &[Value]) -> Heard {
    let mut heard = Heard::default();
    for candidate in answers
        .iter()
        .flat_map(|answer| list(&answer["candidates"]))
    {
        heard.end += &text(&candidate["finishReason"]);
        for part in list(&candidate["content"]["parts"]) {
            heard.text += &text(&part["text"]);
            let call = &part["functionCall"];
            if !call.is_null() {
                heard.call(&call["name"], &call["args"]);
            }
        }
    }
    heard
}

/// A text in pieces of a few letters, as models tell it.
fn pieces(text: &str) -> impl Iterator<Item = String> {
    let letters: Vec<char> = text.chars().collect();
    let pieces: Vec<String> = letters.chunks(7).map(String::from_iter).collect();
    pieces.into_iter()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
