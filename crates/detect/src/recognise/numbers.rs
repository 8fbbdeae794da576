//! Numbers that belong to people, told from other numbers by their shape and checksum.

mod checksums;

use super::{Signal, Signals};

/// Notes every number in folded text that passes its kind's checks.
pub(super) fn recognise(text: &str, signals: &mut Signals) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if byte.is_ascii_digit() && !before(bytes, at).is_some_and(joins) {
            let token = Token::read(bytes, at);
            judge(&token, text, signals);
            at = token.end.max(at + 1);
        } else if byte.is_ascii_lowercase()
            && !before(bytes, at).is_some_and(u8::is_ascii_alphanumeric)
        {
            let end = iban(bytes, at, signals);
            at = end.max(at + 1);
        } else {
            at += 1;
        }
    }
}

/// A run of digits with single spaces, dots or hyphens between them.
struct Token {
    digits: Vec<u8>,
    /// Lengths of the groups of digits.
    groups: Vec<usize>,
    separator: Option<u8>,
    start: usize,
    end: usize,
}

/// The longest number that is read, in digits.
const DIGITS_MAX: usize = 24;

impl Token {
    fn read(bytes: &[u8], start: usize) -> Self {
        let mut token = Self {
            digits: Vec::new(),
            groups: vec![0],
            separator: None,
            start,
            end: start,
        };
        let mut at = start;
        while let Some(byte) = bytes.get(at) {
            let next_digit = bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
            if byte.is_ascii_digit() {
                if token.digits.len() < DIGITS_MAX {
                    token.digits.push(byte - b'0');
                }
                if let Some(last) = token.groups.last_mut() {
                    *last += 1;
                }
            } else if matches!(byte, b' ' | b'-' | b'.')
                && next_digit
                && token.separator.is_none_or(|s| s == *byte)
                && token.groups.len() < 8
            {
                token.separator = Some(*byte);
                token.groups.push(0);
            } else {
                break;
            }
            at += 1;
        }
        token.end = at;
        // A letter right behind makes it part of another token, such as a UUID.
        if bytes
            .get(at)
            .is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
        {
            token.digits.clear();
        }
        token
    }
}

fn before(bytes: &[u8], at: usize) -> Option<&u8> {
    at.checked_sub(1).and_then(|at| bytes.get(at))
}

fn joins(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

fn judge(token: &Token, text: &str, signals: &mut Signals) {
    if is_ssn(token, text) {
        signals.put(Signal::UsSsn, token.start);
    }
    let grouped = token.groups.len() == 1
        || matches!(
            token.groups.as_slice(),
            [4, 4, 4, 4] | [4, 6, 5] | [4, 4, 4, 4, 3] | [4, 6, 4]
        );
    if grouped && checksums::is_card(&token.digits) {
        signals.put(Signal::CreditCard, token.start);
    }
}

/// Area 001–899 without 666, group and serial not zero (SSA, POMS RM 10201.035).
fn is_ssn(token: &Token, text: &str) -> bool {
    let value = |digits: &[u8]| digits.iter().fold(0_u32, |v, d| v * 10 + u32::from(*d));
    let [area @ .., _, _, _, _, _, _] = token.digits.as_slice() else {
        return false;
    };
    let (Some(group), Some(serial)) = (token.digits.get(3..5), token.digits.get(5..9)) else {
        return false;
    };
    let sound = token.digits.len() == 9
        && !matches!(value(area), 0 | 666 | 900..)
        && value(group) != 0
        && value(serial) != 0
        && !matches!(token.digits.as_slice(), [0, 7, 8, 0, 5, 1, 1, 2, 0]);
    let written = token.groups == [3, 2, 4] && matches!(token.separator, Some(b'-' | b' '));
    sound && (written && token.separator == Some(b'-') || named(text, token.start, SSN_NAMES))
}

const SSN_NAMES: &[&str] = &[
    "ssn",
    "social security",
    "social-security",
    "social_security",
];

/// Whether one of `names` stands in the 48 bytes before `at`.
fn named(text: &str, at: usize, names: &[&str]) -> bool {
    let mut from = at.saturating_sub(48);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text.get(from..at)
        .is_some_and(|before| names.iter().any(|name| before.contains(name)))
}

/// Reads a possible IBAN at `at`; gives where to go on.
fn iban(bytes: &[u8], at: usize, signals: &mut Signals) -> usize {
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let word_end = at
        + bytes
            .iter()
            .skip(at)
            .take_while(|b| b.is_ascii_alphanumeric())
            .count();
    if !(bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase) && digit(at + 2) && digit(at + 3)) {
        return word_end;
    }
    let mut compact = Vec::with_capacity(34);
    let mut end = at;
    while let Some(byte) = bytes.get(end) {
        if byte.is_ascii_alphanumeric() && compact.len() < 34 {
            compact.push(*byte);
        } else if !(*byte == b' '
            && compact.len() % 4 == 0
            && bytes.get(end + 1).is_some_and(u8::is_ascii_alphanumeric))
        {
            break;
        }
        if checksums::is_iban(&compact)
            && !bytes.get(end + 1).is_some_and(u8::is_ascii_alphanumeric)
        {
            signals.put(Signal::Iban, at);
            return end + 1;
        }
        end += 1;
    }
    word_end
}

#[cfg(test)]
mod tests {
    use super::super::{Signal, Signals};
    use super::recognise;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn check(text: &str, expected: Option<Signal>) {
        let mut signals = Signals::default();
        recognise(text, &mut signals);
        assert_eq!(
            signals.iter().next().map(|(signal, _)| signal),
            expected,
            "{text}"
        );
    }

    #[test]
    fn numbers_of_people_are_told_from_other_numbers() {
        for ssn in ["ssn: 536-22-1234", "his ssn 536221234", "536-22-1234"] {
            check(ssn, Some(Signal::UsSsn));
        }
        for card in [
            "4111 1111 1111 1111",
            "4111111111111111",
            "3782-822463-10005",
        ] {
            check(card, Some(Signal::CreditCard));
        }
        for iban in ["gb82 west 1234 5698 7654 32", "de89370400440532013000"] {
            check(iban, Some(Signal::Iban));
        }
        for other in [
            "666-22-1234",
            "000-12-3456",
            "536-00-1234",
            "4111 1111 1111 1112",
            "2023-01-02",
            "de89370400440532013001",
            "call 555-010-1234",
            "a1b2-536-22-1234",
            "1234567890123456",
        ] {
            check(other, None);
        }
    }
}
