//! Streams of Anthropic Messages: named events about content blocks, ended by `message_stop`.

use serde_json::{Map, Value};

use super::{ByIndex, Room, Told, index_of, merge, tell_other, write_own};
use crate::{
    Refusal,
    format::{Format, Judge, quoted, set, sift::sift_turn, word},
    json::parse_strict,
};

/// A stream so far.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// Calls that are not whole.
    held: ByIndex<Held>,
    /// The other blocks.
    blocks: ByIndex<Value>,
    /// How many calls went on.
    calls: usize,
    is_told: bool,
}

#[derive(Debug, Default)]
struct Held {
    start: Told,
    input: String,
    is_whole: bool,
    /// It was told in a way that clients read differently.
    is_odd: bool,
}

impl Messages {
    pub(super) fn push(
        &mut self,
        mut told: Told,
        judge: &mut dyn Judge,
        room: &mut Room,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let index = index_of(&told.value, "index");
        match word(&told.value, "type") {
            "message_start" => {
                if let Some(message) = told.value.get_mut("message")
                    && message.pointer("/content/0").is_some()
                {
                    sift_turn(Format::Messages, message, judge);
                    told.rewrite(out);
                    return Ok(());
                }
                told.write(out);
            }
            "content_block_start" => self.start(index, told, room, out)?,
            "content_block_delta" => self.delta(index, &told, room, out)?,
            "content_block_stop" => match self.held.remove(index) {
                Some(held) => self.stop(index, held, &told, judge, out),
                None => told.write(out),
            },
            "message_delta" => {
                self.end(judge, out);
                let reason = told.value.pointer("/delta/stop_reason");
                let is_for_calls = reason.and_then(Value::as_str) == Some("tool_use");
                if is_for_calls
                    && self.calls == 0
                    && let Some(delta) = told.value.get_mut("delta")
                {
                    set(delta, "stop_reason", "end_turn".into());
                    told.rewrite(out);
                } else {
                    told.write(out);
                }
            }
            "message_stop" => {
                self.end(judge, out);
                told.write(out);
            }
            _ => return tell_other(&told, judge, out),
        }
        Ok(())
    }

    /// Judges the text; once is enough.
    pub(super) fn end(&mut self, judge: &mut dyn Judge, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.is_told, true) {
            return;
        }
        let blocks = std::mem::take(&mut self.blocks).0;
        let last = blocks.iter().map(|(index, _)| *index).max();
        let next = last.map_or(0, |index| index.saturating_add(1));
        let told = Value::Array(blocks.into_iter().map(|(_, block)| block).collect());
        if let Some(words) = judge.text(&told) {
            write_words(next, &words, out);
        }
    }

    fn start(
        &mut self,
        index: u64,
        told: Told,
        room: &mut Room,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        self.is_told = false;
        let block = told.value.get("content_block").unwrap_or(&Value::Null);
        if Format::Messages.is_call(block) {
            room.take(told.event.data.as_ref().map_or(0, String::len))?;
            // Where the call is whole at once, no pieces may follow.
            let whole = block.get("input").filter(|input| !is_empty(input));
            let held = Held {
                is_odd: self.held.has(index),
                input: whole.map(Value::to_string).unwrap_or_default(),
                is_whole: whole.is_some(),
                start: told,
            };
            *self.held.entry(index)? = held;
            // What is told after this comes behind it.
            *self.blocks.entry(index)? = Value::Bool(false);
            return Ok(());
        }
        let known = self.blocks.entry(index)?;
        merge(known, block, room)?;
        told.write(out);
        Ok(())
    }

    fn delta(
        &mut self,
        index: u64,
        told: &Told,
        room: &mut Room,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let delta = told.value.get("delta").unwrap_or(&Value::Null);
        let is_input = word(delta, "type") == "input_json_delta";
        if self.held.has(index) {
            let held = self.held.entry(index)?;
            let piece = word(delta, "partial_json");
            room.take(piece.len())?;
            held.is_odd |= !is_input || held.is_whole;
            held.input.push_str(piece);
            return Ok(());
        }
        if is_input {
            // Pieces of a call that never began.
            return Ok(());
        }
        self.is_told = false;
        let mut delta = delta.clone();
        if let Value::Object(fields) = &mut delta {
            fields.remove("type");
        }
        let known = self.blocks.entry(index)?;
        merge(known, &delta, room)?;
        told.write(out);
        Ok(())
    }

    /// A held call is whole.
    fn stop(
        &mut self,
        index: u64,
        held: Held,
        stop: &Told,
        judge: &mut dyn Judge,
        out: &mut Vec<u8>,
    ) {
        let Held {
            mut start,
            input,
            is_odd,
            ..
        } = held;
        let mut item = start
            .value
            .get("content_block")
            .cloned()
            .unwrap_or_default();
        let parsed = match (is_odd, input.is_empty()) {
            (true, _) => Value::Null,
            (false, true) => Value::Object(Map::new()),
            // What cannot be read is no object, and no call.
            (false, false) => parse_strict(input.as_bytes()).unwrap_or_default(),
        };
        set(&mut item, "input", parsed);
        if let Some(words) = judge.call(&item) {
            return write_words(index, &words, out);
        }
        self.calls += 1;
        if let Some(block) = start.value.get_mut("content_block") {
            set(block, "input", Value::Object(Map::new()));
        }
        start.rewrite(out);
        if !input.is_empty() {
            let piece = quoted(&input);
            let delta = format!(r#"{{"type":"input_json_delta","partial_json":{piece}}}"#);
            write_own(
                "content_block_delta",
                format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}}}"#),
                out,
            );
        }
        stop.write(out);
    }
}

/// Whether an input is still to come in pieces.
fn is_empty(input: &Value) -> bool {
    input.is_null() || input.as_object().is_some_and(serde_json::Map::is_empty)
}

/// A text block of its own.
fn write_words(index: u64, words: &str, out: &mut Vec<u8>) {
    let words = quoted(words);
    for (kind, more) in [
        ("start", r#","content_block":{"type":"text","text":""}"#),
        (
            "delta",
            &format!(r#","delta":{{"type":"text_delta","text":{words}}}"#),
        ),
        ("stop", ""),
    ] {
        let kind = format!("content_block_{kind}");
        let event = format!(r#"{{"type":"{kind}","index":{index}{more}}}"#);
        write_own(&kind, event, out);
    }
}
