//! Numbers of people that hold letters: IBAN and national codes.

use super::super::{Signal, Signals};
use super::checksums;

/// Notes the code that `rest` begins with. Its first word is `length` long and stands at `at`.
pub(super) fn recognise(rest: &[u8], length: usize, at: usize, signals: &mut Signals) {
    let Some(word) = rest.get(..length) else {
        return;
    };
    if length >= 4 && is_iban_start(word) && iban(rest) {
        signals.put(Signal::Iban, at);
    } else if matches!(length, 9 | 10 | 16 | 18)
        && let Some(signal) = of_word(word)
    {
        signals.put(signal, at);
    }
}

/// Notes the code whose two letters stand, with a blank behind them, before the word at `at` and
/// not before `from`.
pub(super) fn recognise_behind(text: &[u8], from: usize, at: usize, signals: &mut Signals) {
    let Some(start) = at.checked_sub(3).filter(|start| *start >= from) else {
        return;
    };
    let joined = super::before(text, start).is_some_and(super::joins);
    if !joined && text.get(start..).is_some_and(spaced_nino) {
        signals.put(Signal::UkNino, start);
    }
}

fn of_word(word: &[u8]) -> Option<Signal> {
    let letters = word.iter().filter(|b| b.is_ascii_lowercase()).count();
    if letters == 0 {
        return None;
    }
    let found = match word.len() {
        9 if letters == 2 && checksums::singapore_nric(word) => Signal::Nric,
        9 if letters == 1 && checksums::spanish_dni(word) => Signal::SpanishId,
        9 if letters == 2 && checksums::spanish_nie(word) => Signal::SpanishId,
        9 if letters == 3 && is_nino(word) => Signal::UkNino,
        10 if letters == 6 && is_india_pan(word) => Signal::IndiaPan,
        16 if checksums::italian_tax_code(word) => Signal::ItalianTaxCode,
        18 if letters == 1 && word.ends_with(b"x") => {
            let digits: Vec<u8> = word.iter().take(17).map(|b| b.wrapping_sub(b'0')).collect();
            return checksums::china_id(&digits, Some(10)).then_some(Signal::ChinaId);
        }
        18 if letters >= 10 && is_curp(word) => Signal::MexicoCurp,
        _ => return None,
    };
    Some(found)
}

fn matches_shape(word: &[u8], shape: &[u8]) -> bool {
    word.len() == shape.len()
        && word.iter().zip(shape).all(|(byte, wanted)| match wanted {
            b'a' => byte.is_ascii_lowercase(),
            b'9' => byte.is_ascii_digit(),
            _ => byte == wanted,
        })
}

/// Five letters, four digits, a letter; the fourth letter says whose it is (Income Tax Rules,
/// rule 114).
fn is_india_pan(word: &[u8]) -> bool {
    matches_shape(word, b"aaaaa9999a") && word.get(3).is_some_and(|b| b"abcfghljpt".contains(b))
}

/// Two letters, six digits, A to D (HMRC NIM39110: letters never used, prefixes never given).
fn is_nino(word: &[u8]) -> bool {
    let [a, b, ..] = word else { return false };
    matches_shape(word, b"aa999999a")
        && word.last().is_some_and(|last| b"abcd".contains(last))
        && !b"dfiquv".contains(a)
        && !b"dfiquvo".contains(b)
        && ![b"bg", b"gb", b"nk", b"kn", b"tn", b"nt", b"zz"].contains(&&[*a, *b])
}

/// `ab 12 34 56 c`.
fn spaced_nino(rest: &[u8]) -> bool {
    let Some(written) = rest.get(..13) else {
        return false;
    };
    let compact: Vec<u8> = written.iter().copied().filter(|b| *b != b' ').collect();
    matches_shape(written, b"aa 99 99 99 a")
        && is_nino(&compact)
        && !rest.get(13).is_some_and(u8::is_ascii_alphanumeric)
}

/// Clave Única de Registro de Población: letters, date, sex, state, consonants, check.
fn is_curp(word: &[u8]) -> bool {
    word.get(..16)
        .is_some_and(|front| matches_shape(front, b"aaaa999999aaaaaa"))
        && word.get(10).is_some_and(|sex| b"hmx".contains(sex))
        && word.last().is_some_and(u8::is_ascii_digit)
}

fn is_iban_start(word: &[u8]) -> bool {
    matches!(word, [a, b, c, d, ..] if a.is_ascii_lowercase() && b.is_ascii_lowercase()
        && c.is_ascii_digit() && d.is_ascii_digit())
}

/// An IBAN written together or in groups of four.
fn iban(rest: &[u8]) -> bool {
    let mut compact = Vec::with_capacity(34);
    for (at, byte) in rest.iter().enumerate() {
        if byte.is_ascii_alphanumeric() && compact.len() < 34 {
            compact.push(*byte);
            let ends = !rest.get(at + 1).is_some_and(u8::is_ascii_alphanumeric);
            if ends && checksums::is_iban(&compact) {
                return true;
            }
        } else if !(matches!(byte, b' ' | b'-') && compact.len().is_multiple_of(4)) {
            return false;
        }
    }
    false
}
