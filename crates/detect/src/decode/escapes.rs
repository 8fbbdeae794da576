//! Escapes of single characters: percent (RFC 3986 section 2.1), HTML character references
//! (WHATWG HTML section 13.5), `\x` `\u` and octal (ECMA-262 section 12.9.4), quoted-printable
//! (RFC 2045 section 6.7).

use clampd_model::{Decoding, Decodings};

/// Every escape in the text resolved once; `None` when there is none.
pub(super) fn unescaped(text: &str) -> Option<(String, Decodings)> {
    let bytes = text.as_bytes();
    let mut out: Vec<u8> = Vec::new();
    let mut steps = Decodings::NONE;
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = bytes
        .get(at..)
        .and_then(|rest| rest.iter().position(|b| opens(*b)))
    {
        let start = at + found;
        let rest = bytes.get(start..).unwrap_or_default();
        let (read, step) = match rest.first() {
            Some(b'%') => (percent(rest), Decoding::Percent),
            Some(b'&') => (reference(rest), Decoding::HtmlEntity),
            _ => (backslash(rest), Decoding::Escape),
        };
        match read {
            Some((unit, taken)) => {
                steps = steps.with(step);
                out.extend_from_slice(bytes.get(copied..start).unwrap_or_default());
                unit.write(&mut out);
                at = start + taken;
                copied = at;
            }
            None => at = start + 1,
        }
    }
    if steps.is_empty() {
        return None;
    }
    // A plus that was written is a blank (WHATWG URL section 5.1); one that was escaped is a plus.
    if steps.contains(Decoding::Percent) && text.contains('+') && !text.contains(' ') {
        return unescaped(&text.replace('+', " "));
    }
    out.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    Some((text_of(&out), steps))
}

fn opens(byte: u8) -> bool {
    matches!(byte, b'%' | b'&' | b'\\')
}

/// Soft line breaks gone and `=XX` resolved, when there are at least three escapes.
pub(super) fn quoted_printable(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let byte = |at: usize| {
        let [b'=', digits @ ..] = bytes.get(at..at + 3)? else {
            return None;
        };
        hex_byte(digits)
    };
    // A value behind an equals sign is no escape: those stand for signs that are written, or for
    // the bytes of one character side by side.
    let is_part = |at: usize| byte(at).is_some_and(|value| !value.is_ascii());
    let escape = |at: usize| {
        byte(at).filter(|value| match value {
            b' '..=b'~' | b'\t' | b'\n' | b'\r' => true,
            0x80.. => is_part(at + 3) || at.checked_sub(3).is_some_and(is_part),
            _ => false,
        })
    };
    let signs = || {
        bytes
            .iter()
            .enumerate()
            .filter(|(_, b)| **b == b'=')
            .map(|(at, _)| at)
    };
    if signs().filter(|at| escape(*at).is_some()).take(3).count() < 3 {
        return None;
    }
    // A text in this encoding has no other equals signs (RFC 2045 section 6.7); where more than a fourth
    // are such, they are names and values.
    let others = signs()
        .filter(|at| escape(*at).is_none() && bytes.get(at + 1) != Some(&b'\n'))
        .count();
    if others * 4 > signs().count() {
        return None;
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut copied = 0;
    for at in signs() {
        let (value, length) = match escape(at) {
            Some(value) => (Some(value), 3),
            None if bytes.get(at + 1) == Some(&b'\n') => (None, 2),
            None => continue,
        };
        if at >= copied {
            out.extend_from_slice(bytes.get(copied..at).unwrap_or_default());
            out.extend(value);
            copied = at + length;
        }
    }
    out.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    // Identifiers in hexadecimal decode to any byte; a soft hyphen among them hides nothing.
    Some(text_of(&out).replace('\u{ad}', ""))
}

/// The text of bytes as lenient readers see it: overlong UTF-8 resolved, stray bytes as Latin-1.
pub(super) fn text_of(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        let mut stray = chunk.invalid();
        while let [lead, rest @ ..] = stray {
            let next = rest.first().copied().unwrap_or(0);
            match (*lead, next) {
                (0xc0 | 0xc1, _) => text.push('\u{fffd}'),
                _ => text.push(char::from(*lead)),
            }
            stray = rest;
        }
    }
    text
}

/// What one escape stands for.
#[derive(Clone, Copy)]
enum Unit {
    Byte(u8),
    Char(char),
}

impl Unit {
    fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Byte(byte) => out.push(byte),
            Self::Char(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

fn unit(code: u32) -> Option<Unit> {
    char::from_u32(code).map(Unit::Char)
}

/// A sign, `u` and four digits; two of them where they are one character in UTF-16 (RFC 2781
/// section 2.2).
fn utf16(rest: &[u8], sign: u8) -> Option<(Unit, usize)> {
    let first = hex_number(rest.get(2..6)?)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Some((unit(first)?, 6));
    }
    let [s, b'u' | b'U', digits @ ..] = rest.get(6..12)? else {
        return None;
    };
    let second = hex_number(digits).filter(|second| (0xdc00..0xe000).contains(second));
    let second = second.filter(|_| *s == sign)?;
    let code = 0x1_0000 + ((first & 0x3ff) << 10) + (second & 0x3ff);
    Some((unit(code)?, 12))
}

/// `%41`, `%u0041`, and the overlong `%c0%ae`.
fn percent(rest: &[u8]) -> Option<(Unit, usize)> {
    if matches!(rest.get(1), Some(b'u' | b'U')) {
        return utf16(rest, b'%');
    }
    let value = hex_byte(rest.get(1..3)?)?;
    let (value, taken) = overlong(value, rest).unwrap_or((value, 3));
    Some((Unit::Byte(value), taken))
}

/// An ASCII character in more bytes than it needs (CWE-176), percent-encoded: the character and
/// how long it is written. Broken continuations count, as lenient readers let them.
fn overlong(lead: u8, rest: &[u8]) -> Option<(u8, usize)> {
    let length = match lead {
        0xc0 | 0xc1 => 2,
        0xe0 => 3,
        0xf0 => 4,
        0xf8 => 5,
        0xfc => 6,
        _ => return None,
    };
    let mut value = u32::from(if length == 2 { lead & 1 } else { 0 });
    for nth in 1..length {
        let triple = rest.get(nth * 3..nth * 3 + 3)?;
        let [b'%', digits @ ..] = triple else {
            return None;
        };
        value = (value << 6) | (u32::from(hex_byte(digits)?) & 0x3f);
    }
    let c = u8::try_from(value).ok().filter(u8::is_ascii)?;
    Some((c, length * 3))
}

/// `&#65;` `&#x41;` with the semicolon optional, and the names that hide markup.
fn reference(rest: &[u8]) -> Option<(Unit, usize)> {
    if rest.get(1) == Some(&b'#') {
        let (digits_at, radix) = if matches!(rest.get(2), Some(b'x' | b'X')) {
            (3, 16)
        } else {
            (2, 10)
        };
        let digits = rest.get(digits_at..)?;
        let zeros = zeros(digits);
        let length = zeros
            + digits
                .iter()
                .skip(zeros)
                .take(8)
                .take_while(|b| char::from(**b).is_digit(radix))
                .count();
        let digits =
            std::str::from_utf8(digits.get(zeros.min(length.saturating_sub(1))..length)?).ok()?;
        let unit = unit(u32::from_str_radix(digits, radix).ok()?)?;
        let end = digits_at + length;
        return Some((unit, end + usize::from(rest.get(end) == Some(&b';'))));
    }
    let length = rest
        .iter()
        .skip(1)
        .take(12)
        .take_while(|b| b.is_ascii_alphabetic())
        .count();
    let name = rest.get(1..=length)?;
    let (_, value) = REFERENCES.iter().find(|(known, _)| {
        known.len() == name.len() && name.eq_ignore_ascii_case(known.as_bytes())
    })?;
    let closed = rest.get(length + 1) == Some(&b';');
    if !closed && !matches!(*value, '<' | '>' | '"' | '&') {
        return None;
    }
    Some((Unit::Char(*value), length + 1 + usize::from(closed)))
}

const REFERENCES: &[(&str, char)] = &[
    ("lt", '<'),
    ("gt", '>'),
    ("amp", '&'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("tab", '\t'),
    ("newline", '\n'),
    ("colon", ':'),
    ("semi", ';'),
    ("lpar", '('),
    ("rpar", ')'),
    ("sol", '/'),
    ("bsol", '\\'),
    ("lbrace", '{'),
    ("lcub", '{'),
    ("rbrace", '}'),
    ("rcub", '}'),
    ("lsqb", '['),
    ("rsqb", ']'),
    ("period", '.'),
    ("comma", ','),
    ("equals", '='),
    ("dollar", '$'),
    ("num", '#'),
    ("percnt", '%'),
    ("excl", '!'),
    ("grave", '`'),
];

/// `\x41`, `\u0041`, `\u{41}`, `\101`.
fn backslash(rest: &[u8]) -> Option<(Unit, usize)> {
    match rest.get(1)? {
        b'x' | b'X' => Some((Unit::Byte(hex_byte(rest.get(2..4)?)?), 4)),
        b'u' | b'U' if rest.get(2) == Some(&b'{') => {
            let digits = rest.get(3..)?;
            let zeros = zeros(digits);
            let length = zeros
                + digits
                    .iter()
                    .skip(zeros)
                    .take(6)
                    .take_while(|b| b.is_ascii_hexdigit())
                    .count();
            let unit = unit(hex_number(
                digits.get(zeros.min(length.saturating_sub(1))..length)?,
            )?)?;
            (digits.get(length) == Some(&b'}')).then_some((unit, 4 + length))
        }
        b'u' | b'U' => utf16(rest, b'\\'),
        b'0'..=b'3' => {
            let octal = std::str::from_utf8(rest.get(1..4)?).ok()?;
            Some((Unit::Byte(u8::from_str_radix(octal, 8).ok()?), 4))
        }
        _ => None,
    }
}

/// How many zeros a number begins with: there may be any number of them.
fn zeros(digits: &[u8]) -> usize {
    digits.iter().take_while(|b| **b == b'0').count()
}

pub(super) fn hex_byte(pair: &[u8]) -> Option<u8> {
    u8::try_from(hex_number(pair)?).ok()
}

fn hex_number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::{quoted_printable, unescaped};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn escapes_say_what_they_hide() {
        for (written, said) in [
            ("..%2f..%2Fetc", "../../etc"),
            ("%252e", "%2e"),
            ("%c0%ae%c0%af", "./"),
            ("%e0%80%af%f0%80%80%ae", "/."),
            ("%u003cscript%u003e", "<script>"),
            ("&#60;script&#x3e;", "<script>"),
            ("&#000000000000060;&#x0000000000003e;", "<>"),
            (r"\u{00000000041}\u{0}", "A\0"),
            ("&lt;b&gt &colon;", "<b> :"),
            (r"\x3cb\u003e \u{41}\101", "<b> AA"),
            (r"\ud83d\uDD13 %ud83d%udd13 \ud83d\u0041", r"🔓 🔓 \ud83dA"),
            ("a%20b+c%21", "a b c!"),
            ("chmod%20u%2Bs+x", "chmod u+s x"),
        ] {
            assert_eq!(
                unescaped(written).map(|(text, _)| text).as_deref(),
                Some(said)
            );
        }
    }

    #[test]
    fn plain_text_is_left_alone() {
        for plain in [
            "100% sure",
            "R&D",
            r"C:\users",
            "AT&T; x",
            "50%zz",
            "&x",
            "%",
            "&#",
            r"\u{",
        ] {
            assert_eq!(unescaped(plain), None, "{plain}");
        }
    }

    #[test]
    fn quoted_printable_is_read() {
        let said = quoted_printable("=69=67=6Eore=\n all").unwrap();
        assert_eq!(said, "ignore all");
        assert_eq!(quoted_printable("a=1&b=22"), None);
        assert_eq!(quoted_printable("a=ab1 b=9c c=0f1 d=e4"), None);
        let said = quoted_printable("=C3=A9t=C3=A9 x=ab").unwrap();
        assert_eq!(said, "été x=ab");
    }
}
