//! Parameters of a call, found by their path when a policy asks for one.

use clampd_model::ParameterKind;
use serde_json::Value as Json;

use crate::value::Value;

/// Ten-thousandths in one: decimals have four places, as Cedar's.
const UNIT_DIGITS: i64 = 4;

/// The parameter at `path`, where it is there and of that kind. A step is a field's name, or an
/// item's place in a list, from 0.
pub(crate) fn parameter<'a>(
    parameters: &'a Json,
    kind: ParameterKind,
    path: &[String],
) -> Option<Value<'a>> {
    let mut at = parameters;
    for step in path {
        at = match at {
            Json::Object(fields) => fields.get(step)?,
            Json::Array(items) => items.get(place(step)?)?,
            _ => return None,
        };
    }
    match (kind, at) {
        (ParameterKind::Text, Json::String(text)) => Some(Value::Text(text)),
        (ParameterKind::Flag, Json::Bool(flag)) => Some(Value::Bool(*flag)),
        (ParameterKind::Number, Json::Number(number)) => {
            decimal(&number.to_string()).map(Value::Decimal)
        }
        (ParameterKind::Number, Json::String(text)) => decimal(text).map(Value::Decimal),
        _ => None,
    }
}

/// A place in a list is spelt in one way.
fn place(step: &str) -> Option<usize> {
    let is_plain = step == "0" || !step.starts_with(['0', '+']);
    step.parse().ok().filter(|_| is_plain)
}

/// The number that `text` spells (RFC 8259 section 6), in ten-thousandths. What has more places is
/// rounded away from zero and what is too large is the largest, so that a number that is over a
/// limit never looks like one that is not.
fn decimal(text: &str) -> Option<i64> {
    let (is_negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, fraction),
        None => (mantissa, "0"),
    };
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let has_leading_zero = whole.len() > 1 && whole.starts_with('0');
    if !is_number(whole) || !is_number(fraction) || has_leading_zero {
        return None;
    }
    // How many of the digits count: those down to the fourth place.
    let kept = (whole.len() as i64)
        .saturating_add(exponent)
        .saturating_add(UNIT_DIGITS);
    let (mut value, mut is_inexact, mut seen) = (0_i64, false, 0_i64);
    for digit in whole.bytes().chain(fraction.bytes()) {
        let digit = i64::from(digit - b'0');
        if seen < kept {
            value = value.saturating_mul(10).saturating_add(digit);
        } else {
            is_inexact |= digit != 0;
        }
        seen += 1;
    }
    // Twenty more zeros are past the largest number, whatever stands before them.
    for _ in 0..kept.saturating_sub(seen).clamp(0, 20) {
        value = value.saturating_mul(10);
    }
    let value = value.saturating_add(i64::from(is_inexact));
    Some(if is_negative { -value } else { value })
}

fn exponent_of(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let size = digits.parse::<i32>().unwrap_or(i32::MAX);
    let is_negative = text.starts_with('-');
    Some(i64::from(if is_negative { -size } else { size }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::{ParameterKind, Value, decimal, parameter};

    #[test]
    fn a_number_over_a_limit_never_looks_like_one_that_is_not() {
        for (text, wanted) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("1.1", Some(11_000)),
            ("500.0", Some(5_000_000)),
            ("500.00001", Some(5_000_001)),
            ("-0.00001", Some(-1)),
            ("5e2", Some(5_000_000)),
            ("5E+2", Some(5_000_000)),
            ("1.5e-3", Some(15)),
            ("1e-400", Some(1)),
            ("0e400", Some(0)),
            ("1e300", Some(i64::MAX)),
            ("99999999999999999999999", Some(i64::MAX)),
            ("-1e99999999999999999999", Some(-i64::MAX)),
            ("", None),
            ("-", None),
            (".5", None),
            ("5.", None),
            ("05", None),
            ("+5", None),
            (" 5", None),
            ("5e", None),
            ("0x10", None),
            ("1_000", None),
            ("٥", None),
            ("NaN", None),
        ] {
            assert_eq!(decimal(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_parameter_is_found_by_its_path_and_is_of_its_kind() {
        let parameters = json!({
            "to": "a@b", "amount": "12.5", "dry": false, "": 1,
            "list": [{"n": 7}, "x"], "a.b": "dotted",
        });
        #[track_caller]
        fn check(parameters: &serde_json::Value, kind: ParameterKind, path: &[&str], found: bool) {
            let path: Vec<String> = path.iter().map(|step| (*step).to_owned()).collect();
            assert_eq!(parameter(parameters, kind, &path).is_some(), found);
        }
        use ParameterKind::{Flag, Number, Text};
        for (kind, path, found) in [
            (Text, &["to"][..], true),
            (Number, &["to"], false),
            (Text, &["amount"], true),
            (Number, &["amount"], true),
            (Flag, &["dry"], true),
            (Text, &["dry"], false),
            (Number, &[""], true),
            (Number, &["list", "0", "n"], true),
            (Text, &["list", "1"], true),
            (Text, &["list", "01"], false),
            (Text, &["list", "+1"], false),
            (Text, &["list", "2"], false),
            (Text, &["a.b"], true),
            (Text, &["a", "b"], false),
            (Text, &["to", "x"], false),
        ] {
            check(&parameters, kind, path, found);
        }
        assert!(matches!(
            parameter(&json!({"n": 2}), Number, &["n".to_owned()]),
            Some(Value::Decimal(20_000))
        ));
    }
}
