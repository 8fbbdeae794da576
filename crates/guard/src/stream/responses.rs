//! Streams of OpenAI Responses: typed events about output items, ended by an event that holds the
//! whole response.

use serde_json::Value;

use super::{ByIndex, Room, Told, index_of, write_own};
use crate::{
    Refusal,
    format::{Format, Judge, quoted, raw_arguments, set, sift::sift_turn, word},
};

/// A stream so far.
#[derive(Debug, Default)]
pub(super) struct Responses {
    /// Calls that are not whole: the events about each.
    held: ByIndex<Vec<Told>>,
    /// The other items that are whole.
    items: Vec<Value>,
    /// Text of items that are not.
    loose: String,
    /// Where an item of our own can stand: behind all others.
    next: u64,
    is_told: bool,
}

impl Responses {
    pub(super) fn push(
        &mut self,
        mut told: Told,
        judge: &mut dyn Judge,
        room: &mut Room,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let kind = word(&told.value, "type").to_owned();
        let index = index_of(&told.value, "output_index");
        self.next = self.next.max(index.saturating_add(1));
        if let Some(response) = told.value.get_mut("response") {
            return self.whole(&kind, response.take(), told, judge, out);
        }
        let item = told.value.get("item").unwrap_or(&Value::Null);
        let is_call = Format::Responses.is_call(item);
        match kind.as_str() {
            "response.output_item.done" if is_call => {
                let held = self.held.remove(index).unwrap_or_default();
                done(index, held, told, judge, out);
            }
            "response.output_item.done" => {
                self.held.remove(index);
                room.take(told.event.data.as_ref().map_or(0, String::len))?;
                self.items.push(item.clone());
                self.loose.clear();
                told.write(out);
            }
            _ if is_call || self.held.has(index) => self.hold(index, told, room)?,
            // About a call that never began.
            _ if kind.contains("_call") => {}
            _ => {
                let delta = word(&told.value, "delta");
                room.take(delta.len())?;
                self.loose.push_str(delta);
                told.write(out);
            }
        }
        Ok(())
    }

    /// Judges the text where no event told the whole response.
    pub(super) fn end(&mut self, judge: &mut dyn Judge) {
        if std::mem::replace(&mut self.is_told, true) {
            return;
        }
        let mut items = std::mem::take(&mut self.items);
        items.push(std::mem::take(&mut self.loose).into());
        // Nobody waits for words any more; the verdict is for the record.
        judge.text(&Value::Array(items));
    }

    fn hold(&mut self, index: u64, told: Told, room: &mut Room) -> Result<(), Refusal> {
        let held = self.held.entry(index)?;
        let piece = word(&told.value, "delta");
        if let Some(last) = held.last_mut()
            && !piece.is_empty()
            && word(&last.value, "type") == word(&told.value, "type")
        {
            room.take(piece.len())?;
            if let Some(Value::String(before)) = last.value.get_mut("delta") {
                before.push_str(piece);
            }
            return Ok(());
        }
        room.take(told.event.data.as_ref().map_or(0, String::len))?;
        held.push(told);
        Ok(())
    }

    /// An event that tells the whole response, as far as it is.
    fn whole(
        &mut self,
        kind: &str,
        mut response: Value,
        mut told: Told,
        judge: &mut dyn Judge,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let is_begun = response.pointer("/output/0").is_some();
        let mut is_changed = false;
        if is_begun {
            let sifted = sift_turn(Format::Responses, &mut response, judge);
            is_changed = sifted.is_changed();
            // Who reads only what is new must be told as well.
            if let Some(words) = sifted.withheld {
                let message = Format::Responses.in_place_of(&Value::Null, &words);
                let number = told.value.get("sequence_number");
                say(self.next, &message, &words, number, out);
            }
        }
        let is_last = matches!(
            kind,
            "response.completed" | "response.incomplete" | "response.failed"
        );
        if is_last && is_begun {
            self.is_told = true;
        }
        set(&mut told.value, "response", response);
        if is_changed {
            told.rewrite(out);
        } else {
            told.write(out);
        }
        Ok(())
    }
}

/// A held call is whole: it goes on as it came, or a message goes in its place.
fn done(index: u64, held: Vec<Told>, done: Told, judge: &mut dyn Judge, out: &mut Vec<u8>) {
    let mut item = done.value.get("item").cloned().unwrap_or_default();
    if !held.iter().all(|told| agrees(&told.value, &item)) {
        // Told in two ways: what cannot be read in one is no call.
        set(&mut item, "name", Value::Null);
    }
    let Some(words) = judge.call(&item) else {
        held.into_iter().for_each(|told| told.rewrite(out));
        return done.write(out);
    };
    let message = Format::Responses.in_place_of(&item, &words);
    say(
        index,
        &message,
        &words,
        done.value.get("sequence_number"),
        out,
    );
}

/// Tells a message of our own, from its beginning to its end.
fn say(index: u64, message: &Value, words: &str, number: Option<&Value>, out: &mut Vec<u8>) {
    let number = number.and_then(Value::as_u64).unwrap_or(0);
    let (id, said) = (quoted(word(message, "id")), quoted(words));
    let begun = format!(
        r#""item":{{"type":"message","id":{id},"role":"assistant","status":"in_progress","content":[]}}"#
    );
    let part =
        |text: &str| format!(r#""part":{{"type":"output_text","text":{text},"annotations":[]}}"#);
    for (kind, more) in [
        ("output_item.added", begun),
        ("content_part.added", part("\"\"")),
        (
            "output_text.delta",
            format!(r#""logprobs":[],"delta":{said}"#),
        ),
        (
            "output_text.done",
            format!(r#""logprobs":[],"text":{said}"#),
        ),
        ("content_part.done", part(&said)),
        ("output_item.done", format!(r#""item":{message}"#)),
    ] {
        let kind = format!("response.{kind}");
        let event = format!(
            r#"{{"type":"{kind}","sequence_number":{number},"output_index":{index},"item_id":{id},"content_index":0,{more}}}"#
        );
        write_own(&kind, event, out);
    }
}

/// Whether an event about a call says what the whole call says.
fn agrees(event: &Value, item: &Value) -> bool {
    let raw = raw_arguments(item);
    let same_text = |said: Option<&Value>| match said.and_then(Value::as_str) {
        Some(said) => raw == Some(said),
        None => true,
    };
    let begun = event.get("item");
    let same_field = |key: &str| match begun.and_then(|begun| begun.get(key)) {
        Some(said) => Some(said) == item.get(key),
        None => true,
    };
    let begun_with = begun.and_then(raw_arguments).unwrap_or_default();
    same_text(event.get("delta"))
        && ["arguments", "input", "code"]
            .iter()
            .all(|key| same_text(event.get(*key)))
        && ["type", "name", "call_id"]
            .iter()
            .all(|key| same_field(key))
        && (begun_with.is_empty() || raw == Some(begun_with))
}
