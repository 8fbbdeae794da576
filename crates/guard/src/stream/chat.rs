//! Streams of OpenAI Chat Completions: `chat.completion.chunk` events, ended by `[DONE]`.

use serde_json::{Map, Value};

use super::{ByIndex, Room, Told, index_of, merge, tell_other, write_own};
use crate::{
    Refusal,
    format::{
        Format, Judge, is_for_calls, parsed, set,
        sift::{Sifted, sift_turn},
        word,
    },
};

/// A stream so far.
#[derive(Debug, Default)]
pub(super) struct Chat {
    /// What every chunk says beside its choices.
    envelope: Map<String, Value>,
    choices: ByIndex<Choice>,
}

#[derive(Debug, Default)]
struct Choice {
    /// What was told so far and not judged.
    message: Value,
    /// How many calls went on.
    calls: u64,
    is_told: bool,
}

/// What is told of a choice when it ends.
struct Ending {
    delta: Option<Value>,
    is_calling: bool,
}

impl Chat {
    pub(super) fn push(
        &mut self,
        mut told: Told,
        judge: &mut dyn Judge,
        room: &mut Room,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        self.remember_envelope(&told.value, room)?;
        let Some(Value::Array(choices)) = told.value.get_mut("choices") else {
            return tell_other(&told, judge, out);
        };
        let had_choices = !choices.is_empty();
        let mut is_changed = false;
        let mut kept = Vec::new();
        for mut piece in std::mem::take(choices) {
            let index = index_of(&piece, "index");
            let choice = self.choices.entry(index)?;
            let held = choice.hold(&mut piece, room)?;
            is_changed |= held;
            if piece.get("finish_reason").is_some_and(|why| !why.is_null()) {
                let ending = choice.end(judge);
                if !ending.is_calling && is_for_calls(word(&piece, "finish_reason")) {
                    set(&mut piece, "finish_reason", "stop".into());
                    is_changed = true;
                }
                write_delta(&self.envelope, index, ending.delta, out);
                kept.push(piece);
            } else if !(held && says_nothing(&piece)) {
                kept.push(piece);
            }
        }
        let is_empty = had_choices && kept.is_empty();
        let tells_usage = told
            .value
            .get("usage")
            .is_some_and(|usage| !usage.is_null());
        set(&mut told.value, "choices", Value::Array(kept));
        if is_changed && is_empty && !tells_usage {
            return Ok(());
        }
        if is_changed {
            told.rewrite(out);
        } else {
            told.write(out);
        }
        Ok(())
    }

    pub(super) fn end(&mut self, judge: &mut dyn Judge, out: &mut Vec<u8>) {
        for (index, choice) in &mut self.choices.0 {
            let ending = choice.end(judge);
            write_delta(&self.envelope, *index, ending.delta, out);
        }
    }

    fn remember_envelope(&mut self, value: &Value, room: &mut Room) -> Result<(), Refusal> {
        if !self.envelope.is_empty() {
            return Ok(());
        }
        for key in ["id", "object", "created", "model", "system_fingerprint"] {
            if let Some(known) = value.get(key) {
                room.take(known.as_str().map_or(0, str::len))?;
                self.envelope.insert(key.to_owned(), known.clone());
            }
        }
        Ok(())
    }
}

impl Choice {
    /// Takes what a piece tells; what belongs to calls is taken off it. Says whether it is another
    /// piece now.
    fn hold(&mut self, piece: &mut Value, room: &mut Room) -> Result<bool, Refusal> {
        let Value::Object(fields) = piece else {
            return Ok(false);
        };
        // A whole message has no place in a piece; who reads it there would read it unjudged.
        let had_message = fields.remove("message").is_some();
        let Some(delta @ Value::Object(_)) = fields.get_mut("delta") else {
            return Ok(had_message);
        };
        if self.message.is_null() {
            self.message = Value::Object(Map::new());
        }
        merge(&mut self.message, delta, room)?;
        let mut had_calls = false;
        if let Value::Object(delta) = delta {
            for key in ["tool_calls", "function_call"] {
                had_calls |= delta.remove(key).is_some_and(|value| !value.is_null());
            }
        }
        self.is_told = false;
        Ok(had_message || had_calls)
    }

    /// Judges what was told; once is enough.
    fn end(&mut self, judge: &mut dyn Judge) -> Ending {
        if std::mem::replace(&mut self.is_told, true) || self.message.is_null() {
            return Ending {
                delta: None,
                is_calling: self.calls > 0,
            };
        }
        let had_text = !word(&self.message, "content").is_empty();
        let mut turn = Value::Object(Map::new());
        set(&mut turn, "message", std::mem::take(&mut self.message));
        let Sifted { stopped, withheld } = sift_turn(Format::Chat, &mut turn, judge);
        let mut delta = Map::new();
        for key in ["tool_calls", "function_call"] {
            let Some(mut calls) = turn
                .pointer_mut(&format!("/message/{key}"))
                .map(Value::take)
            else {
                continue;
            };
            if calls.is_null() {
                continue;
            }
            if let Value::Array(calls) = &mut calls {
                calls.retain(|call| !call.is_null());
                for call in calls {
                    set(call, "index", self.calls.into());
                    self.calls += 1;
                }
            } else {
                self.calls += 1;
            }
            delta.insert(key.to_owned(), calls);
        }
        let words: Vec<String> = withheld.into_iter().chain(stopped).collect();
        if !words.is_empty() {
            let start = if had_text { "\n" } else { "" };
            delta.insert(
                "content".to_owned(),
                (start.to_owned() + &words.join("\n")).into(),
            );
        }
        Ending {
            delta: (!delta.is_empty()).then_some(Value::Object(delta)),
            is_calling: self.calls > 0,
        }
    }
}

/// Whether nothing is left of a piece.
fn says_nothing(piece: &Value) -> bool {
    piece
        .get("delta")
        .and_then(Value::as_object)
        .is_none_or(Map::is_empty)
}

fn write_delta(envelope: &Map<String, Value>, index: u64, delta: Option<Value>, out: &mut Vec<u8>) {
    if let Some(delta) = delta {
        let choice = format!(r#"[{{"index":{index},"delta":{delta},"finish_reason":null}}]"#);
        let mut event = Value::Object(envelope.clone());
        set(&mut event, "choices", parsed(&choice));
        write_own("", event.to_string(), out);
    }
}
