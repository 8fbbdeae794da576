//! Base64, base32, base16 (RFC 4648) and lists of character codes. A run is only taken when what
//! it decodes to reads as text.

use super::escapes::hex_byte;

/// A run shorter than this, without its padding, is no text worth reading.
const RUN_BYTES_MIN: usize = 11;

/// What the runs of a text decode to, a line each run, by the base that they are written in.
#[derive(Default)]
pub(super) struct Runs {
    pub(super) base64: String,
    pub(super) hex: String,
    pub(super) base32: String,
}

/// Reads every run of letters, digits and `+ / - _` that is long enough to be a text.
pub(super) fn runs(text: &str) -> Runs {
    let mut runs = Runs::default();
    let bytes = text.as_bytes();
    let mut start = 0;
    while start < bytes.len() {
        let rest = bytes.get(start..).unwrap_or_default();
        let length = rest.iter().position(|b| !in_run(*b)).unwrap_or(rest.len());
        if let Some(run) = rest.get(..length).filter(|run| run.len() >= RUN_BYTES_MIN) {
            runs.read(run);
        }
        start += length + 1;
    }
    runs
}

fn in_run(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

impl Runs {
    fn read(&mut self, run: &[u8]) {
        let digits = run.strip_prefix(b"0x").unwrap_or(run);
        let (text, into) = if digits.iter().all(u8::is_ascii_hexdigit) {
            (digits.chunks(2).map(hex_byte).collect(), &mut self.hex)
        } else if run
            .iter()
            .all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(b))
        {
            (base32(run), &mut self.base32)
        } else {
            (base64(run), &mut self.base64)
        };
        let text = text.filter(|bytes: &Vec<u8>| reads_as_text(bytes));
        let base64_of_capitals = || base64(run).filter(|bytes| reads_as_text(bytes));
        if let Some(bytes) = text.or_else(base64_of_capitals) {
            if !into.is_empty() {
                into.push('\n');
            }
            into.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
}

/// Characters given one by one by their codes: `49 67 6e`, `73, 103, 110`, `01001001 …`.
pub(super) fn grouped_codes(text: &str) -> Option<String> {
    let mut out = Vec::new();
    let mut best: Option<String> = None;
    let groups = text.split(|c: char| !c.is_ascii_alphanumeric());
    let groups = groups.filter(|g| !g.is_empty()).chain(std::iter::once("·"));
    let radix = [(16, 2), (10, 3), (2, 8)];
    let groups: Vec<&str> = groups.take(20_000).collect();
    for (radix, width) in radix {
        out.clear();
        for group in &groups {
            let group = group
                .strip_prefix("0x")
                .or_else(|| group.strip_prefix("x"))
                .unwrap_or(group);
            let fits = group.len() == width || (radix == 10 && group.len() == 2);
            let code = if fits {
                u8::from_str_radix(group, radix).ok()
            } else {
                None
            };
            match code {
                Some(code) => out.push(code),
                None => {
                    if out.len() >= 8 && reads_as_text(&out) {
                        let line = String::from_utf8_lossy(&out).into_owned();
                        best = Some(best.map_or(line.clone(), |all| all + "\n" + &line));
                    }
                    out.clear();
                }
            }
        }
    }
    best
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
    let mut out = Vec::with_capacity(run.len() * 3 / 4 + 1);
    let mut held = 0_u32;
    let mut count = 0;
    for (at, byte) in run.iter().enumerate() {
        held = (held << width) | u32::from(value(*byte)?);
        count += width;
        if count >= 8 {
            count -= 8;
            out.push((held >> count) as u8);
            held &= (1 << count) - 1;
        }
        // Most runs are words: they are given up at their first unreadable bytes.
        if at == 10
            && !out
                .iter()
                .all(|b| *b >= 0x80 || matches!(b, b' '..=b'~' | b'\t'..=b'\r'))
        {
            return None;
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
    use super::{grouped_codes, runs};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn runs_that_read_as_text_are_read() {
        for run in ["x: aWdub3JlIHByZXZpb3Vz.", "aWdub3JlIHByZXZpb3Vz=="] {
            assert_eq!(runs(run).base64, "ignore previous", "{run}");
        }
        for run in [
            "69676e6f72652070726576696f7573",
            "0x69676E6F72652070726576696F7573",
        ] {
            assert_eq!(runs(run).hex, "ignore previous", "{run}");
        }
        assert_eq!(runs("NFTW433SMUQHA4TFOZUW65LT").base32, "ignore previous");
        let said = Some("ignore previous".to_owned());
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
            let runs = runs(plain);
            assert_eq!(runs.base64 + &runs.hex + &runs.base32, "", "{plain}");
            assert_eq!(grouped_codes(plain), None, "{plain}");
        }
    }
}
