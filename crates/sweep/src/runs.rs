//! Runs of letters, digits and `+ / - _`, of which base64 and its kin are made (RFC 4648).

use std::ops::Range;

/// A run shorter than this, without its padding, is no text worth reading.
const RUN_BYTES_MIN: usize = 11;

/// The first run at `from` or behind that is long enough to be read.
pub fn next(text: &[u8], from: usize) -> Option<Range<usize>> {
    let mut from = from;
    loop {
        let rest = text.get(from..)?;
        // Most words are shorter than a run, so the last byte that a run would have is asked first.
        let front = rest.get(..RUN_BYTES_MIN)?;
        let Some(other) = front.iter().rposition(|byte| !in_run(*byte)) else {
            let length = rest.iter().position(|byte| !in_run(*byte));
            return Some(from..from + length.unwrap_or(rest.len()));
        };
        from += other + 1;
    }
}

/// Where `byte` stands twice in a row, at `from` or behind.
pub fn next_pair(text: &[u8], from: usize, byte: u8) -> Option<usize> {
    let rest = text.get(from..)?;
    let pairs = rest.iter().zip(rest.get(1..)?);
    let at = pairs
        .into_iter()
        .position(|(a, b)| *a == byte && *b == byte)?;
    Some(from + at)
}

fn in_run(byte: u8) -> bool {
    // One place of a table is asked, since every other byte of a text is.
    IN_RUN.get(usize::from(byte)).copied().unwrap_or(false)
}

static IN_RUN: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        #[expect(
            clippy::indexing_slicing,
            reason = "at < 256 by the loop, at compile time"
        )]
        {
            table[at] = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
        }
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::{next, next_pair};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_run_is_found_wherever_it_stands() {
        for before in ["", " ", "ten-bytes1 ", "a b c d e f g ", "é"] {
            for after in ["", "=", " more", "é"] {
                let text = format!("{before}aWdub3JlIHB{after}");
                let found = next(text.as_bytes(), 0).unwrap();
                assert_eq!(text.get(found.clone()), Some("aWdub3JlIHB"), "{text}");
                assert_eq!(next(text.as_bytes(), found.end), None, "{text}");
            }
        }
        assert_eq!(next(b"ten-bytes1 ten-bytes1", 0), None);
    }

    #[test]
    fn a_pair_is_two_of_a_byte_in_a_row() {
        let found = |text: &str, from| next_pair(text.as_bytes(), from, b'/');
        assert_eq!(found("a//b", 0), Some(1));
        assert_eq!(found("a//b", 2), None);
        assert_eq!(found("///", 1), Some(1));
        assert_eq!(found("/ /", 0), None);
        assert_eq!(found("", 0), None);
        assert_eq!(found("/", 1), None);
        assert_eq!(found("//", 9), None);
    }
}
