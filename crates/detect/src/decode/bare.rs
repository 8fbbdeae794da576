//! A text in which encodings are hidden by what folding undoes: percent signs in full width,
//! base64 with invisible characters in it. Folding is too late for these, since it also undoes
//! case, and base64 needs it.

use crate::fold::is_invisible;

/// The text without invisible characters and with full-width letters, digits and signs as plain
/// ones, case kept; `None` where no letter, digit or sign of an encoding was hidden so.
pub(super) fn bare(text: &str) -> Option<String> {
    if !hides(text) {
        return None;
    }
    let mut hidden = false;
    let mut out = String::with_capacity(text.len());
    let mut after_ascii = false;
    for c in text.chars() {
        if is_invisible(c) {
            hidden |= after_ascii;
            continue;
        }
        let plain = narrow(c);
        after_ascii = plain.is_ascii_graphic();
        // Full-width punctuation is how Chinese and Japanese are written.
        let encodes = plain.is_ascii_alphanumeric() || matches!(plain, '%' | '&' | '\\' | '=');
        hidden |= plain != c && encodes;
        out.push(plain);
    }
    hidden.then_some(out)
}

/// Whether a character stands in the text that is left out or narrowed. All of these begin with
/// one of few bytes in UTF-8, so that most texts are only looked at for those.
fn hides(text: &str) -> bool {
    text.bytes().enumerate().any(|(at, byte)| {
        matches!(byte, 0xc2 | 0xcd | 0xd8 | 0xe1..=0xe3 | 0xef | 0xf3) && {
            let c = text.get(at..).and_then(|rest| rest.chars().next());
            c.is_some_and(|c| is_invisible(c) || narrow(c) != c)
        }
    })
}

/// A full-width character as a plain one.
fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::bare;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn what_hides_an_encoding_is_taken_away() {
        for (written, plain) in [
            ("％３Ｃb％３E", "%3Cb%3E"),
            ("aW\u{200b}du", "aWdu"),
            ("%\u{2069}3c", "%3c"),
        ] {
            assert_eq!(bare(written).as_deref(), Some(plain), "{written}");
        }
        for text in ["你好，世界！", "می\u{200c}خواهم", "👨\u{200d}👩", "é"] {
            assert_eq!(bare(text), None, "{text}");
        }
    }
}
