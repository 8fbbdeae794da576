//! Models' answers that come as streams of events: put together as they come, judged when a part
//! is whole, and told on.
//!
//! Text goes on at once. What belongs to a tool call is held until the call is whole and judged; then
//! it goes on in one piece, or words go in its place, and the stream ends as any other does. What is
//! held and put together is bounded by `body_bytes_max`.

mod chat;
mod gemini;
mod messages;
mod responses;

use serde_json::{Map, Value};

use crate::{
    ErrorCode, Refusal,
    format::{CALLS_MAX, Format, Judge},
    json::parse_strict,
    sse::Event,
};

/// A stream in one of the formats.
#[derive(Debug)]
pub(crate) struct ModelStream {
    kind: Kind,
    room: Room,
}

#[derive(Debug)]
enum Kind {
    Chat(chat::Chat),
    Responses(responses::Responses),
    Messages(messages::Messages),
    Gemini(gemini::Gemini),
}

/// What is told of several things, each by its index.
#[derive(Debug)]
struct ByIndex<T>(Vec<(u64, T)>);

impl<T> Default for ByIndex<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Default> ByIndex<T> {
    /// What has this index; a new one where nothing has, within the limit.
    fn entry(&mut self, index: u64) -> Result<&mut T, Refusal> {
        let at = match self.0.iter().position(|(known, _)| *known == index) {
            Some(at) => at,
            None if self.0.len() < INDEXES_MAX => {
                self.0.push((index, T::default()));
                self.0.len() - 1
            }
            None => return Err(too_much()),
        };
        let entry = self.0.get_mut(at).map(|(_, thing)| thing);
        entry.ok_or_else(too_much)
    }

    fn has(&self, index: u64) -> bool {
        self.0.iter().any(|(known, _)| *known == index)
    }

    fn remove(&mut self, index: u64) -> Option<T> {
        let at = self.0.iter().position(|(known, _)| *known == index)?;
        Some(self.0.remove(at).1)
    }
}

/// The most things that one stream tells of at a time.
const INDEXES_MAX: usize = 1_024;

/// How much more may be held, in bytes.
#[derive(Debug)]
pub(crate) struct Room(usize);

/// What every value costs beside its text: no number of empty ones is free.
const VALUE_BYTES: usize = 16;

impl Room {
    /// Takes up room for a text.
    fn take(&mut self, bytes: usize) -> Result<(), Refusal> {
        match self.0.checked_sub(bytes) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => Err(too_much()),
        }
    }
}

impl ModelStream {
    /// A stream that holds at most `bytes_max`.
    pub(crate) fn new(format: Format, bytes_max: usize) -> Self {
        let kind = match format {
            Format::Chat => Kind::Chat(chat::Chat::default()),
            Format::Responses => Kind::Responses(responses::Responses::default()),
            Format::Messages => Kind::Messages(messages::Messages::default()),
            Format::Gemini => Kind::Gemini(gemini::Gemini::default()),
        };
        Self {
            kind,
            room: Room(bytes_max),
        }
    }

    /// Takes an event and tells on what may be told.
    ///
    /// # Errors
    /// The stream cannot be read on, and must end here.
    pub(crate) fn push(
        &mut self,
        event: Event,
        judge: &mut dyn Judge,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let Some(data) = event.data.as_deref().filter(|data| !data.is_empty()) else {
            event.write(out);
            return Ok(());
        };
        if data == "[DONE]" {
            self.end(judge, out);
            event.write(out);
            return Ok(());
        }
        let value = parse_strict(data.as_bytes()).ok().filter(Value::is_object);
        let value = value.ok_or_else(|| {
            ErrorCode::InvalidBody.because("the model's stream has an event that is no JSON object")
        })?;
        let told = Told { event, value };
        match &mut self.kind {
            Kind::Chat(stream) => stream.push(told, judge, &mut self.room, out),
            Kind::Responses(stream) => stream.push(told, judge, &mut self.room, out),
            Kind::Messages(stream) => stream.push(told, judge, &mut self.room, out),
            Kind::Gemini(stream) => stream.push(told, judge, &mut self.room, out),
        }
    }

    /// No more events come: what was held and is whole goes on, what is not never does.
    pub(crate) fn end(&mut self, judge: &mut dyn Judge, out: &mut Vec<u8>) {
        match &mut self.kind {
            Kind::Chat(stream) => stream.end(judge, out),
            Kind::Responses(stream) => stream.end(judge),
            Kind::Messages(stream) => stream.end(judge, out),
            Kind::Gemini(stream) => stream.end(judge, out),
        }
    }
}

/// An event and what it says.
#[derive(Debug, Default)]
struct Told {
    event: Event,
    value: Value,
}

impl Told {
    /// Tells it on as it came.
    fn write(&self, out: &mut Vec<u8>) {
        self.event.write(out);
    }

    /// Tells it on as its value says now.
    fn rewrite(self, out: &mut Vec<u8>) {
        Event {
            data: Some(self.value.to_string()),
            ..self.event
        }
        .write(out);
    }
}

/// Tells on what has none of the format's shapes, unless its texts must not be told.
fn tell_other(told: &Told, judge: &mut dyn Judge, out: &mut Vec<u8>) -> Result<(), Refusal> {
    if judge.text(&told.value).is_some() {
        return Err(ErrorCode::ContentBlocked.because("the answer is withheld"));
    }
    told.write(out);
    Ok(())
}

/// Writes an event of our own; `kind` is empty where the format gives its events no names.
fn write_own(kind: &str, json: String, out: &mut Vec<u8>) {
    Event {
        kind: kind.to_owned(),
        data: Some(json),
        ..Event::default()
    }
    .write(out);
}

/// Adds a piece to what came before, as clients do: texts grow, lists are told apart by `index`.
fn merge(into: &mut Value, piece: &Value, room: &mut Room) -> Result<(), Refusal> {
    match (into, piece) {
        (_, Value::Null) => Ok(()),
        (Value::Object(into), Value::Object(piece)) => {
            for (key, value) in piece {
                merge_field(into, key, value, room)?;
            }
            Ok(())
        }
        (Value::Array(into), Value::Array(pieces)) => {
            for piece in pieces {
                merge_member(into, piece, room)?;
            }
            Ok(())
        }
        (Value::String(into), Value::String(piece)) => {
            room.take(piece.len())?;
            into.push_str(piece);
            Ok(())
        }
        (into, Value::Object(_)) => {
            *into = Value::Object(Map::new());
            merge(into, piece, room)
        }
        (into, Value::Array(_)) => {
            *into = Value::Array(Vec::new());
            merge(into, piece, room)
        }
        (into, plain) => {
            room.take(plain.as_str().map_or(0, str::len))?;
            *into = plain.clone();
            Ok(())
        }
    }
}

fn merge_field(
    into: &mut Map<String, Value>,
    key: &str,
    piece: &Value,
    room: &mut Room,
) -> Result<(), Refusal> {
    // Said again with every piece by some, and never said in pieces.
    let is_label = matches!(key, "id" | "type" | "role" | "index");
    match into.get_mut(key) {
        Some(known) if is_label && !piece.is_null() => {
            *known = piece.clone();
            Ok(())
        }
        Some(known) => merge(known, piece, room),
        None => {
            room.take(key.len().saturating_add(VALUE_BYTES))?;
            let known = into.entry(key.to_owned()).or_insert(Value::Null);
            merge(known, piece, room)
        }
    }
}

fn merge_member(into: &mut Vec<Value>, piece: &Value, room: &mut Room) -> Result<(), Refusal> {
    if let Some(index) = piece.get("index") {
        if let Some(known) = into.iter_mut().find(|k| k.get("index") == Some(index)) {
            return merge(known, piece, room);
        }
        if into.len() >= CALLS_MAX {
            return Err(too_much());
        }
    }
    room.take(VALUE_BYTES)?;
    let mut fresh = Value::Null;
    merge(&mut fresh, piece, room)?;
    into.push(fresh);
    Ok(())
}

fn too_much() -> Refusal {
    ErrorCode::PayloadTooLarge.because("the model's stream holds more than is read")
}

fn index_of(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or(0)
}
