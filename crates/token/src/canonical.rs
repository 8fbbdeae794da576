//! One spelling for one JSON value, and the hashes that bind tokens to it.

use std::io::Write as _;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// SHA-256 (FIPS 180-4).
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-256 (FIPS 180-4) as 64 characters of lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&sha256(bytes))
}

/// Bytes as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(if half < 10 { b'0' } else { b'a' - 10 } + half);
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

/// JSON with sorted keys, `,` and `:` without spaces, non-ASCII characters kept.
///
/// Python's `json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)` gives
/// the same text for strings, booleans, null and integers of up to 64 bits.
pub fn canonical_json(value: &Value) -> String {
    String::from_utf8(canonical_bytes(value)).unwrap_or_default()
}

fn canonical_bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write_sorted(value, &mut out);
    out
}

/// The fields of an object by their keys. serde_json keeps them in order or as they came, by how it
/// was built.
pub fn sorted_fields(fields: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_unstable_by_key(|(key, _)| *key);
    fields
}

/// Writes `value`; its depth is bounded by whoever parsed it.
fn write_sorted(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(fields) => {
            out.push(b'{');
            for (nth, (key, value)) in sorted_fields(fields).into_iter().enumerate() {
                if nth > 0 {
                    out.push(b',');
                }
                write_string(key, out);
                out.push(b':');
                write_sorted(value, out);
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (nth, item) in items.iter().enumerate() {
                if nth > 0 {
                    out.push(b',');
                }
                write_sorted(item, out);
            }
            out.push(b']');
        }
        Value::String(text) => write_string(text, out),
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

/// Writes a string (RFC 8259, section 7).
fn write_string(text: &str, out: &mut Vec<u8>) {
    // Memory takes all that is written.
    let _ = serde_json::to_writer(out, text);
}

/// What a micro-token is bound to: `sha256_hex` of the canonical `{"params":…,"tool":…}`.
pub fn call_binding(tool: &str, params: &Value) -> String {
    let mut call = b"{\"params\":".to_vec();
    write_sorted(params, &mut call);
    call.extend_from_slice(b",\"tool\":");
    write_string(tool, &mut call);
    call.push(b'}');
    sha256_hex(&call)
}

/// What a micro-token's tool is bound to: `sha256_hex` of the descriptor's canonical JSON.
pub fn tool_binding(descriptor: &Value) -> String {
    sha256_hex(&canonical_bytes(descriptor))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::{call_binding, canonical_json, sha256_hex};

    #[test]
    fn canonical_json_sorts_keys_and_keeps_letters() {
        let value = json!({"z": [1, 2.5, null], "a": {"é": "ü\n\"", "b": true}});
        assert_eq!(
            canonical_json(&value),
            r#"{"a":{"b":true,"é":"ü\n\""},"z":[1,2.5,null]}"#
        );
    }

    #[test]
    fn the_call_binding_is_the_hash_of_tool_and_params() {
        let text = r#"{"params":{"sql":"SELECT 1"},"tool":"database.query"}"#;
        let binding = call_binding("database.query", &json!({"sql": "SELECT 1"}));
        assert_eq!(binding, sha256_hex(text.as_bytes()));
    }
}
