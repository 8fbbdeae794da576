//! Reading JSON in one way only.
//!
//! Two readers that disagree on a body are a way round any filter, so what they could disagree on
//! is refused: an object with the same key twice (RFC 8259 section 4 leaves it open), bytes after
//! the value, a byte order mark, another encoding than UTF-8.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How deep arrays and objects may stand in each other; serde_json's own limit.
pub const JSON_DEPTH_MAX: usize = 128;

/// Reads one JSON value that every reader reads alike.
///
/// # Errors
/// A description without anything of the body in it but line and column.
pub fn parse_strict(body: &[u8]) -> Result<Value, String> {
    match serde_json::from_slice::<Strict>(body) {
        Ok(Strict(value)) => Ok(value),
        Err(error) => {
            let what = match error.classify() {
                serde_json::error::Category::Data => "has the same key twice in one object",
                serde_json::error::Category::Eof => "ends too early",
                _ => "is not JSON",
            };
            Err(format!(
                "body {what} (line {}, column {})",
                error.line(),
                error.column()
            ))
        }
    }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let Strict(value) = map.next_value()?;
            if object.insert(key, value).is_some() {
                return Err(A::Error::custom("duplicate key"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::parse_strict;

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for bad in [
            &br#"{"tool":"a","tool":"b"}"#[..],
            br#"{"a":{"b":1,"b":1}}"#,
            br#"{"a":1,"\u0061":2}"#,
            b"{} {}",
            b"{}\0",
            b"\xef\xbb\xbf{}",
            b"{\x00\"\x00a\x00\"\x00:\x001\x00}\x00",
            b"{\"a\":\"\xff\"}",
            b"",
            b"NaN",
            b"1e999",
            b"{'a':1}",
            b"[1,]",
        ] {
            assert!(
                parse_strict(bad).is_err(),
                "{}",
                String::from_utf8_lossy(bad)
            );
        }
        assert!(parse_strict(&b"[".repeat(100_000)).is_err());
    }

    #[test]
    fn honest_json_is_read_whole() {
        let got = parse_strict(br#" {"a":[1,-2,3.5,true,null,"\u00e9"],"b":{}} "#);
        assert_eq!(
            got.unwrap(),
            json!({"a": [1, -2, 3.5, true, null, "é"], "b": {}})
        );
    }

    #[test]
    fn an_error_says_where_and_nothing_of_what_it_read() {
        let error = parse_strict(b"{\"password\": hunter2}").unwrap_err();
        assert!(
            !error.contains("hunter2") && error.contains("line 1"),
            "{error}"
        );
    }
}
