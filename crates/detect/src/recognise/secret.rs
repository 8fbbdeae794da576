//! A value given to something that is named like a secret: `api_token = "…"`, `password: …`,
//! `Authorization: Bearer …`. Shape of the assignment after detect-secrets' keyword detector and
//! gitleaks' generic rule; what is no secret is told by placeholders, length and mixture.

/// What finding one value costs, in bytes looked at again; judging it costs its bytes once more.
pub(super) const VALUE_COST_BYTES: usize = 128;
/// The longest rest of a name behind the word that it is known by.
const NAME_BYTES_MAX: usize = 32;
/// Bytes of a value that are looked at.
const VALUE_BYTES_MAX: usize = 256;
/// The shortest value that counts.
const VALUE_BYTES_MIN: usize = 8;
/// From this length on letters alone may be a secret, if they are mixed enough.
const LONG_VALUE_BYTES: usize = 20;
/// Bits a byte, over lower-case text, that words of a language stay below at such lengths.
const LONG_VALUE_ENTROPY: f64 = 3.6;

/// The value that is assigned to the name that ends at `end`.
pub(super) fn assigned(text: &str, end: usize) -> Option<&str> {
    let rest = text.get(end..).unwrap_or_default();
    let name_end = rest
        .bytes()
        .take(NAME_BYTES_MAX + 1)
        .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')))
        .unwrap_or(rest.len());
    if name_end > NAME_BYTES_MAX {
        return None;
    }
    let rest = rest.get(name_end..).unwrap_or_default();
    let rest = rest.trim_start_matches([' ', '"', '\'', '`', ']', ')']);
    let rest = strip_operator(rest)?;
    let rest = rest.trim_start_matches([' ', '"', '\'', '`', '(', '{']);
    let scheme = ["bearer ", "basic ", "token ", "apikey ", "key "];
    let rest = scheme
        .iter()
        .find_map(|scheme| rest.strip_prefix(scheme))
        .unwrap_or(rest);
    let rest = floor(rest, VALUE_BYTES_MAX);
    let value_end = rest
        .bytes()
        .position(|b| b.is_ascii_whitespace() || b"\"'`<>,;".contains(&b))
        .unwrap_or(rest.len());
    rest.get(..value_end)
}

/// The beginning of a text, at most so many bytes long.
fn floor(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn strip_operator(rest: &str) -> Option<&str> {
    [":=", "=>", "||:", "==", "=", ":", "->"]
        .iter()
        .find_map(|op| rest.strip_prefix(op))
}

/// Whether a value is mixed as secrets are and is no placeholder.
pub(super) fn is_secret(value: &str) -> bool {
    const PLACEHOLDERS: &[&str] = &[
        "example",
        "://",
        "xxxx",
        "your",
        "changeme",
        "change_me",
        "placeholder",
        "redacted",
        "****",
        "process.env",
        "os.environ",
        "getenv",
        "${",
        "$(",
        "{{",
        "<",
        "dummy",
        "sample",
        "null",
        "undefined",
        "secrets.",
        "var.",
        "config.",
        "settings.",
        "env.",
        "self.",
        "this.",
    ];
    value.len() >= VALUE_BYTES_MIN
        && is_mixed(value)
        && !PLACEHOLDERS.iter().any(|p| value.contains(p))
}

/// Whether letters and digits stand together as they do in no word.
fn is_mixed(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.bytes().filter(u8::is_ascii_lowercase).count();
    let others = value.len() - digits - letters;
    let wordlike = value
        .bytes()
        .filter(|b| matches!(b, b'/' | b'.' | b'(' | b')'))
        .count()
        > 2;
    if digits >= 1 && letters >= 2 && others <= value.len() / 3 && !wordlike && !is_date(value) {
        return digits >= 2 || value.len() >= 12;
    }
    value.len() >= LONG_VALUE_BYTES && digits + others > 0 && entropy(value) >= LONG_VALUE_ENTROPY
}

fn is_date(value: &str) -> bool {
    value.starts_with("20") && value.get(4..5) == Some("-") && value.get(7..8) == Some("-")
}

/// Shannon entropy in bits a byte.
fn entropy(value: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in value.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let total = value.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .fold(0.0, |bits, count| {
            let share = f64::from(*count) / total;
            bits - share * share.log2()
        })
}

#[cfg(test)]
mod tests {
    use super::{assigned, is_secret};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn check(text: &str, expected: bool) {
        let end = ["token", "secret", "password", "authorization"]
            .iter()
            .find_map(|name| text.find(name).map(|at| at + name.len()))
            .unwrap();
        assert_eq!(
            assigned(text, end).is_some_and(is_secret),
            expected,
            "{text}"
        );
    }

    #[test]
    fn a_value_given_to_a_secret_name_is_a_secret() {
        for text in [
            r#"service_token = "8f3k2j9d0s8a7f6g""#,
            "client_secret: q8w7e6r5t4y3u2i1",
            "password=hunter2hunter2",
            "authorization: bearer abcdef1234567890",
            r#""secret_key": "k9j8h7g6f5d4s3a2""#,
        ] {
            check(text, true);
        }
    }

    #[test]
    fn names_without_values_are_no_secrets() {
        for text in [
            "the token is expired",
            "password: ",
            "secret = os.environ['x']",
            "token = your_token_here_1",
            "password must be 12 characters",
            "token: 2023-01-02t10:00",
            "secret santa 2023",
        ] {
            check(text, false);
        }
    }
}
