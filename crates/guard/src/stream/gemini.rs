//! Streams of Gemini: each event is an answer of its own, and its calls are whole.

use serde_json::Value;

use super::{ByIndex, Room, Told, index_of, merge, tell_other, write_own};
use crate::{
    Refusal,
    format::{Format, Judge, parsed, quoted, set, sift::sift_turn},
};

/// A stream so far.
#[derive(Debug, Default)]
pub(super) struct Gemini {
    candidates: ByIndex<Candidate>,
}

#[derive(Debug, Default)]
struct Candidate {
    /// The parts told so far, calls left out.
    parts: Vec<Value>,
    is_told: bool,
}

/// Passes calls on to the judge and keeps texts for later.
struct CallsOnly<'j>(&'j mut dyn Judge);

impl Judge for CallsOnly<'_> {
    fn call(&mut self, item: &Value) -> Option<String> {
        self.0.call(item)
    }

    fn text(&mut self, _: &Value) -> Option<String> {
        None
    }
}

impl Gemini {
    pub(super) fn push(
        &mut self,
        mut told: Told,
        judge: &mut dyn Judge,
        room: &mut Room,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let mut is_changed = false;
        let turns = Format::Gemini.turns(&mut told.value);
        if turns.is_empty() {
            return tell_other(&told, judge, out);
        }
        for turn in turns {
            let index = index_of(turn, "index");
            let candidate = self.candidates.entry(index)?;
            candidate.hear(turn, room)?;
            let sifted = sift_turn(Format::Gemini, turn, &mut CallsOnly(judge));
            is_changed |= sifted.is_changed();
            if turn.get("finishReason").is_some_and(|why| !why.is_null())
                && let Some(words) = candidate.end(judge)
            {
                add_part(turn, &words);
                is_changed = true;
            }
        }
        if is_changed {
            told.rewrite(out);
        } else {
            told.write(out);
        }
        Ok(())
    }

    pub(super) fn end(&mut self, judge: &mut dyn Judge, out: &mut Vec<u8>) {
        for (index, candidate) in &mut self.candidates.0 {
            if let Some(words) = candidate.end(judge) {
                let content = content_of(&words);
                let event =
                    format!(r#"{{"candidates":[{{"index":{index},"content":{content}}}]}}"#);
                write_own("", event, out);
            }
        }
    }
}

impl Candidate {
    fn hear(&mut self, turn: &Value, room: &mut Room) -> Result<(), Refusal> {
        let parts = turn.pointer("/content/parts").and_then(Value::as_array);
        for part in parts.into_iter().flatten() {
            if Format::Gemini.is_call(part) {
                continue;
            }
            self.is_told = false;
            let mut heard = Value::Null;
            merge(&mut heard, part, room)?;
            self.parts.push(heard);
        }
        Ok(())
    }

    /// Judges the text; once is enough.
    fn end(&mut self, judge: &mut dyn Judge) -> Option<String> {
        if std::mem::replace(&mut self.is_told, true) || self.parts.is_empty() {
            return None;
        }
        let parts = std::mem::take(&mut self.parts);
        let mut turn = parsed(r#"{"content":{}}"#);
        if let Some(content) = turn.get_mut("content") {
            set(content, "parts", Value::Array(parts));
        }
        sift_turn(Format::Gemini, &mut turn, judge).withheld
    }
}

fn add_part(turn: &mut Value, words: &str) {
    if let Some(Value::Array(parts)) = turn.pointer_mut("/content/parts") {
        return parts.push(Format::Gemini.in_place_of(&Value::Null, words));
    }
    set(turn, "content", parsed(&content_of(words)));
}

fn content_of(words: &str) -> String {
    format!(
        r#"{{"role":"model","parts":[{{"text":{}}}]}}"#,
        quoted(words)
    )
}
