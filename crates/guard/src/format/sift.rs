//! What may stay of an answer: each call by itself, and each turn's text by itself, so that the
//! verdict is the same whether an answer came whole or in pieces.

use serde_json::Value;

use super::{Format, Judge, gemini};

/// What stands in the place of a call while the text is judged: a call is no text.
const EMPTY: Value = Value::Bool(false);

/// What was taken from a turn, in the words that stand there now.
#[derive(Debug, Default)]
pub(crate) struct Sifted {
    /// For each call that was stopped.
    pub(crate) stopped: Vec<String>,
    /// For the text, if it was withheld.
    pub(crate) withheld: Option<String>,
}

impl Sifted {
    /// Whether the turn is another than it was.
    pub(crate) fn is_changed(&self) -> bool {
        !self.stopped.is_empty() || self.withheld.is_some()
    }
}

/// Sifts every turn of a whole answer; says whether it is another than it was.
pub(crate) fn sift(format: Format, answer: &mut Value, judge: &mut dyn Judge) -> bool {
    let mut is_changed = false;
    for turn in format.turns(answer) {
        let sifted = sift_turn(format, turn, judge);
        is_changed |= sifted.is_changed();
    }
    is_changed
}

/// Sifts one turn: stopped calls give way to words, and a text that must be withheld too.
pub(crate) fn sift_turn(format: Format, turn: &mut Value, judge: &mut dyn Judge) -> Sifted {
    let mut sifted = Sifted::default();
    let mut calls = Vec::new();
    for item in format.items(turn) {
        if !format.is_call(item) && *item != EMPTY {
            continue;
        }
        let item = std::mem::replace(item, EMPTY);
        let words = format.is_call(&item).then(|| judge.call(&item)).flatten();
        calls.push(match words {
            None => item,
            Some(words) => {
                let instead = format.in_place_of(&item, &words);
                sifted.stopped.push(words);
                instead
            }
        });
    }
    sifted.withheld = format
        .told(turn)
        .and_then(|told| judge.text(&in_one_piece(format, told)));
    let places = format
        .items(turn)
        .into_iter()
        .filter(|item| **item == EMPTY);
    places.zip(calls).for_each(|(place, call)| *place = call);
    if let Some(words) = &sifted.withheld {
        format.withhold(turn, words);
    }
    if sifted.is_changed() {
        format.settle(turn, &sifted.stopped);
    }
    sifted
}

/// The text of a turn, not as a stream may have cut it.
fn in_one_piece(format: Format, told: &Value) -> Value {
    let mut told = told.clone();
    if format == Format::Gemini
        && let Some(Value::Array(parts)) = told.get_mut("parts")
    {
        gemini::merge_texts(parts);
    }
    told
}
