//! The words of a text, and the texts of an answer in its bytes.

use serde_json::{Map, Value};

use super::MASK;
use crate::{format::quoted, json::parse_strict};

/// How many words are looked at together, and how many further the next are.
const WINDOW_WORDS: usize = 64;
const STEP_WORDS: usize = 32;

/// A text as its words: runs of what numbers, names and keys are written with.
pub(super) struct Words<'t> {
    text: &'t str,
    spans: Vec<(usize, usize)>,
}

impl<'t> Words<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let mut spans: Vec<(usize, usize)> = Vec::new();
        let mut is_inside = false;
        for (at, c) in text.char_indices() {
            let is_part = !c.is_ascii() || c.is_ascii_alphanumeric() || "-_./+~@%".contains(c);
            if is_part {
                let end = at + c.len_utf8();
                match spans.last_mut().filter(|_| is_inside) {
                    Some(last) => last.1 = end,
                    None => spans.push((at, end)),
                }
            }
            is_inside = is_part;
        }
        Self { text, spans }
    }

    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// The word behind the last of those that are looked at together with `from`.
    pub(super) fn window(&self, from: usize) -> usize {
        self.len().min(from + WINDOW_WORDS)
    }

    /// The first word of those that are looked at together next.
    pub(super) fn next_window(&self, from: usize) -> usize {
        if self.window(from) == self.len() {
            self.len()
        } else {
            from + STEP_WORDS
        }
    }

    /// The first word that begins at `at` or behind it.
    pub(super) fn behind(&self, at: usize) -> usize {
        self.spans.partition_point(|(start, _)| *start < at)
    }

    /// The text of some words and of what stands between them.
    pub(super) fn text(&self, from: usize, to: usize) -> &'t str {
        let (start, end) = self.span(from, to);
        self.text.get(start..end).unwrap_or_default()
    }

    /// Where, among these words, the value is that tells something: from the first word with a digit, since what
    /// stands before it is its name, to the end of what could be a secret.
    pub(super) fn telling(&self, from: usize, to: usize) -> (usize, usize) {
        let mut words = from..to;
        let first = words.find(|at| self.text(*at, at + 1).bytes().any(|b| b.is_ascii_digit()));
        let (start, end) = self.span(first.unwrap_or(from), to);
        let is_number = self.text(to - 1, to).bytes().all(|b| b.is_ascii_digit());
        if is_number {
            return (start, end);
        }
        let rest = self.text.get(end..).unwrap_or_default();
        let ends = |b: u8| b.is_ascii_whitespace() || b"\"'`<>,;()[]{}\\".contains(&b);
        (
            start,
            end + rest.bytes().position(ends).unwrap_or(rest.len()),
        )
    }

    fn span(&self, from: usize, to: usize) -> (usize, usize) {
        let start = self.spans.get(from).map_or(self.text.len(), |span| span.0);
        let last = to.checked_sub(1).and_then(|at| self.spans.get(at));
        (start, last.map_or(start, |span| span.1.max(start)))
    }
}

/// Whether a place in a text of JSON is inside a string; told by what stands before it.
#[derive(Debug, Default)]
pub(super) struct Quotes {
    is_inside: bool,
    is_escaped: bool,
}

impl Quotes {
    /// Goes on over more of the text; says whether what follows is in no string.
    pub(super) fn are_closed_behind(&mut self, text: &str) -> bool {
        for byte in text.bytes() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.is_inside = !self.is_inside,
                _ => {}
            }
        }
        !self.is_inside
    }
}

/// An answer in JSON with masks in the place of its texts and numbers, and all else as it is.
pub(super) fn put_back(body: &[u8], masks: &Map<String, Value>) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    let mut keys = 0;
    while let Some(first) = rest.first() {
        let length = match first {
            b'"' => string_length(rest),
            b'-' | b'0'..=b'9' => number_length(rest),
            _ => 1,
        };
        let (token, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        rest = behind;
        match mask_of(token, masks) {
            // No two keys of an object may be the same.
            Some(_) if behind.trim_ascii_start().starts_with(b":") => {
                keys += 1;
                out.extend_from_slice(quoted(&format!("{MASK} {keys}")).as_bytes());
            }
            Some(mask) => out.extend_from_slice(mask.to_string().as_bytes()),
            None => out.extend_from_slice(token),
        }
    }
    out
}

fn mask_of<'m>(token: &[u8], masks: &'m Map<String, Value>) -> Option<&'m Value> {
    if token.len() == 1 {
        return None;
    }
    match parse_strict(token) {
        Ok(Value::String(text)) => masks.get(&text),
        // As texts of an answer are told apart.
        Ok(Value::Number(number)) => masks.get(&number.to_string()),
        _ => None,
    }
}

/// How long the string is that begins here, with its quotes.
fn string_length(json: &[u8]) -> usize {
    let mut is_escaped = false;
    let end = json.iter().skip(1).position(|byte| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    });
    end.map_or(json.len(), |end| end + 2)
}

fn number_length(json: &[u8]) -> usize {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    json.iter().take_while(is_part).count().max(1)
}
