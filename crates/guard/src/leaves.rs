//! The texts inside a JSON value.

use std::borrow::Cow;

use clampd_detect::Leaf;
use clampd_token::sorted_fields;
use serde_json::Value;

/// The most texts that one call may have; a body of the size that is read cannot honestly hold
/// more.
pub const LEAVES_MAX: usize = 65_536;

/// Numbers with this many digits may be identifiers, so they are looked at as text.
const NUMBER_DIGITS_MIN: usize = 9;

/// A list of at most this many texts may be one text in pieces, such as the arguments of a command.
const PIECES_MAX: usize = 32;

/// The longest text that pieces are put together to, in bytes.
const PIECED_BYTES_MAX: usize = 1_024;

/// Every string in `value` with the name of the field it stands in, long numbers as text, keys
/// that are no plain names, and short lists as one text too. Keys are visited in order, so that
/// the order in the body does not matter.
pub fn leaves_of(value: &Value) -> Leaves<'_> {
    let mut leaves = Leaves::default();
    leaves.collect("", value);
    leaves
}

/// The same of what a model told, without the probabilities of its words: they are its text again,
/// cut small.
pub(crate) fn leaves_told(told: &Value) -> Leaves<'_> {
    let mut leaves = Leaves {
        left_out: "logprobs",
        ..Leaves::default()
    };
    leaves.collect("", told);
    leaves
}

/// Texts with their names.
#[derive(Debug, Default)]
pub struct Leaves<'v> {
    texts: Vec<(&'v str, Cow<'v, str>)>,
    /// A key whose value is not looked at; none has the empty name.
    left_out: &'static str,
}

impl<'v> Leaves<'v> {
    /// A single text.
    pub fn text(text: &'v str) -> Self {
        Self {
            texts: vec![("", Cow::Borrowed(text))],
            ..Self::default()
        }
    }

    /// Whether there were more than [`LEAVES_MAX`].
    pub fn too_many(&self) -> bool {
        self.texts.len() > LEAVES_MAX
    }

    /// The texts.
    pub fn iter(&self) -> impl Iterator<Item = Leaf<'_>> {
        self.texts.iter().map(|(name, text)| Leaf {
            name,
            text: text.as_ref(),
        })
    }

    // The depth is bounded by `json::JSON_DEPTH_MAX`.
    fn collect(&mut self, name: &'v str, value: &'v Value) {
        if self.too_many() {
            return;
        }
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) => {
                let text = number.to_string();
                if text.len() >= NUMBER_DIGITS_MIN {
                    self.texts.push((name, Cow::Owned(text)));
                }
            }
            Value::String(text) => {
                if !text.is_empty() {
                    self.texts.push((name, Cow::Borrowed(text)));
                }
            }
            Value::Array(items) => {
                items.iter().for_each(|item| self.collect(name, item));
                if let Some(whole) = put_together(items) {
                    self.texts.push((name, Cow::Owned(whole)));
                }
            }
            Value::Object(fields) => {
                for (key, value) in sorted_fields(fields) {
                    if !key.is_empty() && key == self.left_out {
                        continue;
                    }
                    if key.starts_with('$') {
                        if let Some(operator) = telling_operator(key, value) {
                            let field = if names_a_login(name) { name } else { "" };
                            self.texts.push((field, Cow::Owned(operator)));
                        }
                        self.collect(name, value);
                        continue;
                    }
                    if !is_plain(key) {
                        self.texts.push(("", Cow::Borrowed(key)));
                    }
                    self.collect(key, value);
                }
            }
        }
    }
}

/// The items of a list as one text, where they may be one in pieces.
fn put_together(items: &[Value]) -> Option<String> {
    if !(2..=PIECES_MAX).contains(&items.len()) {
        return None;
    }
    let pieces: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
    let pieces = pieces?;
    let bytes: usize = pieces.iter().map(|piece| piece.len() + 1).sum();
    (bytes <= PIECED_BYTES_MAX).then(|| pieces.join(" "))
}

/// An operator of a document database (CWE-943) as a text that rules can read, where its operand
/// makes it hold for everything or run code. Honest filters compare with something.
fn telling_operator(key: &str, operand: &Value) -> Option<String> {
    let vacuous = match operand {
        Value::Null | Value::Bool(_) => true,
        Value::String(text) => matches!(text.as_str(), "" | ".*" | "^" | ".+" | "^.*" | "."),
        Value::Array(items) => items.is_empty(),
        Value::Number(_) | Value::Object(_) => false,
    };
    let runs = matches!(key, "$where" | "$function" | "$accumulator" | "$expr");
    (vacuous || runs).then(|| format!("{key}:"))
}

/// Whether a field holds who logs in or what proves it.
fn names_a_login(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "user", "login", "name", "mail", "pass", "pwd", "token", "pin", "secret",
    ]
    .iter()
    .any(|word| name.contains(word))
}

fn is_plain(key: &str) -> bool {
    key.len() <= 64
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::leaves_of;

    #[test]
    fn a_list_is_read_as_one_text_too() {
        let value = json!({"args": ["rm", "-rf", "/"]});
        let leaves = leaves_of(&value);
        let got: Vec<_> = leaves.iter().map(|l| (l.name, l.text)).collect();
        assert_eq!(
            got,
            [
                ("args", "rm"),
                ("args", "-rf"),
                ("args", "/"),
                ("args", "rm -rf /")
            ]
        );
    }

    #[test]
    fn operators_that_hold_for_everything_are_seen() {
        let value = json!({"name": {"$ne": null}, "f": {"age": {"$gt": 5}}, "gone": {"$ne": null}});
        let leaves = leaves_of(&value);
        let got: Vec<_> = leaves.iter().map(|l| (l.name, l.text)).collect();
        assert_eq!(got, [("", "$ne:"), ("name", "$ne:")]);
    }

    #[test]
    fn every_text_is_seen_with_its_name() {
        let value = json!({
            "sql": "SELECT 1",
            "nested": {"list": ["a", {"deep": "b"}]},
            "x' OR 1=1 --": true,
            "card": 4111111111111111_u64,
            "n": 5,
        });
        let leaves = leaves_of(&value);
        let got: Vec<_> = leaves.iter().map(|l| (l.name, l.text)).collect();
        assert_eq!(
            got,
            [
                ("card", "4111111111111111"),
                ("list", "a"),
                ("deep", "b"),
                ("sql", "SELECT 1"),
                ("", "x' OR 1=1 --"),
            ]
        );
    }
}
