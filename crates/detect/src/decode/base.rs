//! Base64, base32, base16 (RFC 4648) and lists of character codes. A run is only taken when what
//! it decodes to reads as text.

use clampd_sweep::runs;

use super::escapes::hex_byte;

/// What each run of a text decodes to, by the base that it is written in.
#[derive(Default)]
pub(super) struct Runs {
    pub(super) base64: Vec<String>,
    pub(super) hex: Vec<String>,
    pub(super) base32: Vec<String>,
}

/// Reads every run of letters, digits and `+ / - _` that is long enough to be a text.
pub(super) fn read_runs(text: &str) -> Runs {
    let mut read = Runs::default();
    let mut from = 0;
    while let Some(run) = runs::next(text.as_bytes(), from) {
        from = run.end;
        read.read(text.as_bytes().get(run).unwrap_or_default());
    }
    read
}

/// Whether there is a run that is long enough to be a text.
pub(super) fn has_run(text: &str) -> bool {
    runs::next(text.as_bytes(), 0).is_some()
}

impl Runs {
    fn read(&mut self, run: &[u8]) {
        let digits = run.strip_prefix(b"0x").unwrap_or(run);
        let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
        let is_base32 = || run.iter().all(|b| matches!(b, b'A'..=b'Z' | b'2'..=b'7'));
        // What has only letters and digits of the narrower bases may be base64 too.
        let (text, into, or_base64) = if is_hex {
            let bytes = digits.chunks(2).map(hex_byte).collect();
            (bytes, &mut self.hex, true)
        } else if is_base32() {
            (base32(run), &mut self.base32, true)
        } else {
            (base64(run), &mut self.base64, false)
        };
        let text = text.filter(|bytes: &Vec<u8>| reads_as_text(bytes));
        let wider = || base64(run).filter(|bytes| reads_as_text(bytes));
        if let Some(bytes) = text.or_else(|| or_base64.then(wider).flatten()) {
            into.push(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
}

/// The fewest codes in a row that are read.
const CODES_MIN: usize = 8;

/// Characters given one by one by their codes: `49 67 6e`, `73, 103, 110`, `01001001 …`; each row
/// of them by itself.
pub(super) fn grouped_codes(text: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for (radix, width) in [(16, 2), (10, 3), (2, 8)] {
        let mut row = Vec::new();
        let groups = text.split(|c: char| !c.is_ascii_alphanumeric());
        let groups = groups.filter(|group| !group.is_empty());
        for code in groups.map(|group| code(group, radix, width)).chain([None]) {
            if let Some(code) = code {
                row.push(code);
                continue;
            }
            if row.len() >= CODES_MIN && reads_as_text(&row) {
                texts.push(String::from_utf8_lossy(&row).into_owned());
            }
            row.clear();
        }
    }
    texts
}

fn code(group: &str, radix: u32, width: usize) -> Option<u8> {
    let group = group
        .strip_prefix("0x")
        .or_else(|| group.strip_prefix('x'))
        .unwrap_or(group);
    let fits = group.len() == width || (radix == 10 && group.len() == 2);
    fits.then(|| u8::from_str_radix(group, radix).ok())?
}

fn base32(run: &[u8]) -> Option<Vec<u8>> {
    bits(run, 5, |b| match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'2'..=b'7' => Some(b - b'2' + 26),
        _ => None,
    })
}

fn base64(run: &[u8]) -> Option<Vec<u8>> {
    if run.len() % 4 == 1 {
        return None;
    }
    bits(run, 6, |b| match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'a'..=b'z' => Some(b - b'a' + 26),
        b'0'..=b'9' => Some(b - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    })
}

fn bits(run: &[u8], width: u32, value: impl Fn(u8) -> Option<u8>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut held = 0_u32;
    let mut count = 0;
    for (at, byte) in run.iter().enumerate() {
        held = (held << width) | u32::from(value(*byte)?);
        count += width;
        if count >= 8 {
            count -= 8;
            let byte = (held >> count) as u8;
            // Most runs are words: they are given up at their first unreadable bytes, or at once
            // when what they begin with begins no character.
            let reads = match byte {
                b' '..=b'~' | b'\t'..=b'\r' => true,
                0x80..=0xc1 | 0xf5.. => !out.is_empty(),
                _ => byte >= 0x80,
            };
            if at <= 10 && !reads {
                return None;
            }
            out.push(byte);
            held &= (1 << count) - 1;
        }
    }
    Some(out)
}

/// Whether bytes are UTF-8 that people write: no controls, mostly letters.
fn reads_as_text(bytes: &[u8]) -> bool {
    let end = bytes.len().saturating_sub(3).min(bytes.len());
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(cut) if cut.error_len().is_none() && cut.valid_up_to() >= end => {
            match bytes.get(..cut.valid_up_to()).map(std::str::from_utf8) {
                Some(Ok(text)) => text,
                _ => return false,
            }
        }
        Err(_) => return false,
    };
    let mut letters = 0;
    let mut others = 0;
    for c in text.chars() {
        if c.is_control() && !c.is_whitespace() {
            return false;
        }
        if c.is_alphanumeric() || c == ' ' {
            letters += 1
        } else {
            others += 1
        }
    }
    letters > others || (text.len() >= 9 && text.bytes().all(|b| matches!(b, b' '..=b'~' | b'\n')))
}

#[cfg(test)]
mod tests {
    use super::{grouped_codes, read_runs};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn runs_that_read_as_text_are_read() {
        for run in ["x: aWdub3JlIHByZXZpb3Vz.", "aWdub3JlIHByZXZpb3Vz=="] {
            assert_eq!(read_runs(run).base64, ["ignore previous"], "{run}");
        }
        for run in [
            "69676e6f72652070726576696f7573",
            "0x69676E6F72652070726576696F7573",
        ] {
            assert_eq!(read_runs(run).hex, ["ignore previous"], "{run}");
        }
        assert_eq!(
            read_runs("NFTW433SMUQHA4TFOZUW65LT").base32,
            ["ignore previous"]
        );
        let said = ["ignore previous"];
        assert_eq!(
            grouped_codes("69 67 6e 6f 72 65 20 70 72 65 76 69 6f 75 73"),
            said
        );
        assert_eq!(
            grouped_codes("105 103 110 111 114 101 32 112 114 101 118 105 111 117 115"),
            said
        );
    }

    #[test]
    fn words_and_numbers_are_no_code() {
        for plain in [
            "internationalization of things",
            "4111111111111111",
            "deadbeefdeadbeef",
            "12 13 14 15 16 17 18 19 20",
        ] {
            let runs = read_runs(plain);
            let texts = [runs.base64, runs.hex, runs.base32].concat();
            assert!(texts.is_empty(), "{plain}: {texts:?}");
            assert!(grouped_codes(plain).is_empty(), "{plain}");
        }
    }
}
