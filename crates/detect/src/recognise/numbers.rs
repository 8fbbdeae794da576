//! Numbers that belong to people, told from other numbers by their shape, their checksum and,
//! where these prove little, by the name that stands before them.

mod checksums;
mod codes;
mod kinds;

use std::ops::{Deref, DerefMut};

use clampd_sweep::{Survey, Traits};

use super::Signals;

use kinds::KINDS;

/// Notes every number in folded text that passes its kind's checks.
pub(super) fn recognise(text: &str, survey: &Survey, signals: &mut Signals) {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(digit) = survey.next(bytes, from, Traits::DIGIT) {
        let in_front = bytes.get(from..digit).unwrap_or_default();
        let in_front = in_front
            .iter()
            .rev()
            .take_while(|b| b.is_ascii_alphanumeric());
        let at = digit - in_front.count();
        codes::recognise_behind(bytes, from, at, signals);
        let inside = before(bytes, at).is_some_and(joins);
        let word = bytes.get(at..).unwrap_or_default();
        let length = word
            .iter()
            .take_while(|b| b.is_ascii_alphanumeric())
            .count();
        if !inside {
            codes::recognise(word, length, at, signals);
        }
        if at == digit && !inside {
            let number = Number::read(bytes, at);
            if number.digits.len() >= DIGITS_MIN {
                judge(&number, text, signals);
            }
            from = number.end.max(at + 1);
        } else {
            from = at + length.max(1);
        }
    }
}

/// The shortest number that is read, in digits.
const DIGITS_MIN: usize = 7;
/// The longest number that is read, in digits.
const DIGITS_MAX: usize = 20;

/// The most groups that a number is read in.
const GROUPS_MAX: usize = 8;

/// Digits with single separators between groups of them.
#[derive(Debug)]
pub(super) struct Number {
    pub(super) digits: Few<u8, { DIGITS_MAX + 1 }>,
    /// Lengths of the groups of digits.
    groups: Few<usize, { GROUPS_MAX + 1 }>,
    /// The separators, each once.
    separators: Few<u8, 4>,
    start: usize,
    end: usize,
}

impl Number {
    fn read(bytes: &[u8], start: usize) -> Self {
        let mut number = Self {
            digits: Few::default(),
            groups: Few::default(),
            separators: Few::default(),
            start,
            end: start,
        };
        number.groups.push(0);
        let mut at = start;
        while let Some(byte) = bytes.get(at) {
            let next_digit = bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
            if byte.is_ascii_digit() {
                number.digits.push(byte - b'0');
                if let Some(last) = number.groups.last_mut() {
                    *last += 1;
                }
            } else if matches!(byte, b' ' | b'-' | b'.' | b'/') && next_digit {
                if !number.separators.contains(byte) {
                    number.separators.push(*byte);
                }
                number.groups.push(0);
            } else {
                break;
            }
            if number.digits.len() > DIGITS_MAX || number.groups.len() > GROUPS_MAX {
                break;
            }
            at += 1;
        }
        // Runs longer than any kind, and what goes on as a word, are something else.
        let rest = bytes.get(at..).unwrap_or_default();
        let goes_on = rest
            .first()
            .is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_');
        if number.digits.len() > DIGITS_MAX || number.groups.len() > GROUPS_MAX || goes_on {
            let skipped = rest
                .iter()
                .take_while(|b| b.is_ascii_alphanumeric())
                .count();
            number.digits.clear();
            number.end = at + skipped.max(1);
        } else {
            number.end = at;
        }
        number
    }

    /// Whether it is written in groups of these lengths with one of these separators.
    fn is_grouped(&self, groups: &[usize], separators: &[u8]) -> bool {
        *self.groups == *groups && self.separators.iter().all(|s| separators.contains(s))
    }

    /// Whether it is bare, or a hyphen stands among its separators.
    fn ends_dashed(&self) -> bool {
        self.is_bare() || self.separators.contains(&b'-')
    }

    fn is_bare(&self) -> bool {
        self.groups.len() == 1
    }

    /// The digits from `from` to `to` as a number.
    pub(super) fn value(&self, from: usize, to: usize) -> u32 {
        let digits = self.digits.iter().take(to).skip(from);
        digits.fold(0_u32, |value, digit| {
            value.wrapping_mul(10).wrapping_add(u32::from(*digit))
        })
    }
}

/// A list of at most `N` items that needs no memory of its own; more are left out.
#[derive(Debug)]
pub(super) struct Few<T, const N: usize> {
    items: [T; N],
    count: usize,
}

impl<T: Copy + Default, const N: usize> Default for Few<T, N> {
    fn default() -> Self {
        Self {
            items: [T::default(); N],
            count: 0,
        }
    }
}

impl<T, const N: usize> Few<T, N> {
    fn push(&mut self, item: T) {
        if let Some(place) = self.items.get_mut(self.count) {
            *place = item;
            self.count += 1;
        }
    }

    fn clear(&mut self) {
        self.count = 0;
    }
}

impl<T, const N: usize> Deref for Few<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.items.get(..self.count).unwrap_or_default()
    }
}

impl<T, const N: usize> DerefMut for Few<T, N> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.items.get_mut(..self.count).unwrap_or_default()
    }
}

fn before(bytes: &[u8], at: usize) -> Option<&u8> {
    at.checked_sub(1).and_then(|at| bytes.get(at))
}

/// Bytes that make a number part of what stands before it.
fn joins(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'/')
}

/// The bytes before a number in which its name is looked for.
const NAME_BYTES: usize = 72;

/// The text right before a number.
fn name_before(text: &str, at: usize) -> &str {
    let mut from = at.saturating_sub(NAME_BYTES);
    while from > 0 && !text.is_char_boundary(from) {
        from -= 1;
    }
    text.get(from..at).unwrap_or_default()
}

fn judge(number: &Number, text: &str, signals: &mut Signals) {
    for kind in KINDS {
        if !kind.lengths.contains(&number.digits.len()) {
            continue;
        }
        let distinct = kind
            .written
            .iter()
            .any(|(groups, separators)| number.is_grouped(groups, separators));
        let plain =
            number.is_bare() || kind.grouped.iter().any(|groups| *number.groups == **groups);
        if !(distinct || plain) || !(kind.sound)(number) {
            continue;
        }
        let named = || {
            let before = name_before(text, number.start);
            kind.names.iter().any(|name| holds_word(before, name))
        };
        if distinct || named() {
            signals.put(kind.signal, number.start);
            // One number is one kind of thing; the kinds stand from the surest on.
            return;
        }
    }
}

/// Whether `name` stands in `text` and no Latin letter stands on either side of it.
fn holds_word(text: &str, name: &str) -> bool {
    let bytes = text.as_bytes();
    text.match_indices(name).any(|(at, _)| {
        let letter = |at: Option<&u8>| at.is_some_and(u8::is_ascii_lowercase);
        !letter(before(bytes, at))
            && (!letter(bytes.get(at + name.len())) || bytes.get(at + name.len()) == Some(&b's'))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Signal, Signals};
    use super::{Survey, recognise};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn check(text: &str, expected: Option<Signal>) {
        let mut signals = Signals::default();
        recognise(text, &Survey::of(text), &mut signals);
        assert_eq!(
            signals.iter().next().map(|(signal, _)| signal),
            expected,
            "{text}"
        );
    }

    #[test]
    fn numbers_of_people_are_told_from_other_numbers() {
        for (text, signal) in [
            ("ssn: 536-22-1234", Signal::UsSsn),
            ("his ssn 536221234", Signal::UsSsn),
            ("536-22-1234", Signal::UsSsn),
            ("4111 1111 1111 1111", Signal::CreditCard),
            ("4111111111111111", Signal::CreditCard),
            ("3782-822463-10005", Signal::CreditCard),
            ("gb82 west 1234 5698 7654 32", Signal::Iban),
            ("de89370400440532013000", Signal::Iban),
            ("aadhaar 234123412346", Signal::Aadhaar),
            ("2341 2341 2346", Signal::Aadhaar),
            ("nric s1234567d", Signal::Nric),
            ("cpf 111.444.777-35", Signal::BrazilCpf),
            ("529.982.247-25", Signal::BrazilCpf),
            ("11.222.333/0001-81", Signal::BrazilCnpj),
            ("11010519491231002x", Signal::ChinaId),
            ("nhs number 943 476 5919", Signal::UkNhs),
            ("steuer-id 86095742719", Signal::GermanTaxId),
            ("2 55 08 14 168 025 38", Signal::FrenchInsee),
            ("12345678z", Signal::SpanishId),
            ("x1234567l", Signal::SpanishId),
            ("rssmra85t10a562s", Signal::ItalianTaxCode),
            ("my number 123456789018", Signal::JapanMyNumber),
            ("tfn 123 456 782", Signal::AustraliaTfn),
            ("sin 046 454 286", Signal::CanadaSin),
            ("bsn 111222333", Signal::DutchBsn),
            ("pesel 44051401359", Signal::PolishPesel),
            ("811228-9874", Signal::SwedishId),
            ("tc kimlik 10000000146", Signal::TurkishId),
            ("756.9217.0769.85", Signal::SwissAhv),
            ("abcpe1234f", Signal::IndiaPan),
        ] {
            check(text, Some(signal));
        }
    }

    #[test]
    fn other_numbers_are_left_alone() {
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
            "order 536221234",
            "+1 415 555 2671",
            "1700000000",
            "2023-01-02 10:20:30",
            "3.14159265358979",
            "192.168.100.200",
            "isbn 978-3-16-148410-0",
            "pan 1234",
            "20231130123456",
        ] {
            check(other, None);
        }
    }
}
