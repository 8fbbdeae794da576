//! One text in the form that rules are written for: lower case, compatibility forms and
//! look-alike letters resolved, invisible characters gone, each run of white space one character.
//!
//! What hides a whole text (percent signs, base64 …) is `decode`'s.

mod letters;

use clampd_model::{Decoding, Decodings};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

use letters::{base_letter, is_bidi_control, is_invisible, lookalike};

/// A folded text and what was needed to get there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Folded {
    /// The text.
    pub(crate) text: String,
    /// Steps beyond case and white space that changed it.
    pub(crate) decodings: Decodings,
}

/// The form of `text` that literals and patterns are matched against.
pub fn fold(text: &str) -> String {
    fold_text(text).text
}

/// [`fold`], with the steps that it took.
pub(crate) fn fold_text(text: &str) -> Folded {
    let mut folded = Folded {
        text: String::with_capacity(text.len()),
        ..Folded::default()
    };
    if text.is_ascii() {
        fold_ascii(text, &mut folded.text);
    } else {
        fold_unicode(text, &mut folded);
    }
    folded
}

/// What stands in folded text for the controls that terminals obey.
const ESCAPE: char = '\u{241b}';

fn fold_ascii(text: &str, out: &mut String) {
    let mut space = Space::default();
    for byte in text.bytes() {
        match byte {
            b' ' | b'\t' | 0x0b | 0x0c => space.seen = true,
            b'\n' | b'\r' => space.line = true,
            0x1b => {
                space.end(out);
                out.push(ESCAPE);
            }
            0..=0x1f | 0x7f => {}
            _ => {
                space.end(out);
                out.push(char::from(byte.to_ascii_lowercase()));
            }
        }
    }
    space.end(out);
}

/// White space seen since the last letter.
#[derive(Default)]
struct Space {
    seen: bool,
    line: bool,
}

impl Space {
    fn end(&mut self, out: &mut String) {
        if self.line {
            out.push('\n');
        } else if self.seen {
            out.push(' ');
        }
        *self = Self::default();
    }
}

fn fold_unicode(text: &str, folded: &mut Folded) {
    let mut scripts = Scripts::default();
    if is_nfkc_quick(text.chars()) == IsNormalized::Yes {
        fold_chars(text.chars(), folded, &mut scripts);
    } else {
        fold_chars(text.nfkc(), folded, &mut scripts);
        if !text.bytes().zip(folded.text.bytes()).all(|_| true) || compatibility_changed(text) {
            folded.decodings = folded.decodings.with(Decoding::Compatibility);
        }
    }
    if scripts.lookalike {
        resolve_lookalikes(folded, &scripts);
    }
}

/// Whether some letter of `text` is a compatibility form of an ASCII one, full-width above all.
fn compatibility_changed(text: &str) -> bool {
    text.chars().any(|c| {
        !c.is_ascii() && std::iter::once(c).nfkc().all(|n| n.is_ascii_graphic()) && c != '\u{a0}'
    })
}

#[derive(Default)]
struct Scripts {
    /// ASCII letters stand in it.
    latin: bool,
    /// Letters stand in it that look like Latin ones.
    lookalike: bool,
    /// Cyrillic or Greek letters stand in it that look like no Latin one.
    other: bool,
}

fn fold_chars(chars: impl Iterator<Item = char>, folded: &mut Folded, scripts: &mut Scripts) {
    let mut space = Space::default();
    let mut after_ascii = false;
    for c in chars {
        match c {
            '\n' | '\r' | '\u{2028}' | '\u{2029}' | '\u{85}' => space.line = true,
            _ if c.is_whitespace() => space.seen = true,
            '\u{1b}' | '\u{80}'..='\u{9f}' => {
                space.end(&mut folded.text);
                folded.text.push(ESCAPE);
            }
            '\0'..='\u{1f}' | '\u{7f}' => {}
            _ if is_invisible(c) => {
                if after_ascii {
                    folded.decodings = folded.decodings.with(if is_bidi_control(c) {
                        Decoding::Bidi
                    } else {
                        Decoding::ZeroWidth
                    });
                }
            }
            _ => {
                space.end(&mut folded.text);
                fold_char(c, &mut folded.text, scripts);
                after_ascii = c.is_ascii_alphanumeric();
            }
        }
    }
    space.end(&mut folded.text);
}

fn fold_char(c: char, out: &mut String, scripts: &mut Scripts) {
    if c.is_ascii() {
        let lower = c.to_ascii_lowercase();
        scripts.latin |= lower.is_ascii_lowercase();
        out.push(lower);
        return;
    }
    if let Some(base) = base_letter(c) {
        out.push_str(base);
        return;
    }
    for lower in c.to_lowercase() {
        if matches!(lower, '\u{300}'..='\u{36f}' | '\u{64b}'..='\u{652}' | '\u{640}') {
            continue;
        }
        if lookalike(lower).is_some() {
            scripts.lookalike = true;
        } else if matches!(lower, '\u{370}'..='\u{52f}') {
            scripts.other = true;
        }
        out.push(lower);
    }
}

/// Turns look-alikes into the Latin letters they look like: in words that also hold ASCII
/// letters, and everywhere when nothing else of their script stands in the text (UTS #39).
fn resolve_lookalikes(folded: &mut Folded, scripts: &Scripts) {
    if !scripts.latin && scripts.other {
        return;
    }
    let everywhere = scripts.latin && !scripts.other;
    let mut out = String::with_capacity(folded.text.len());
    let mut changed = false;
    for word in folded.text.split_inclusive(|c: char| !c.is_alphanumeric()) {
        let mixed = everywhere || word.bytes().any(|b| b.is_ascii_lowercase());
        if mixed && !word.is_ascii() {
            for c in word.chars() {
                let latin = lookalike(c);
                changed |= latin.is_some();
                out.push(latin.unwrap_or(c));
            }
        } else {
            out.push_str(word);
        }
    }
    folded.text = out;
    if changed {
        folded.decodings = folded.decodings.with(Decoding::Homoglyph);
    }
}

#[cfg(test)]
mod tests {
    use clampd_model::{Decoding, Decodings};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::{fold, fold_text};

    #[test]
    fn what_looks_the_same_folds_the_same() {
        for (written, folded) in [
            ("dRoP\t\tTABLE  a", "drop table a"),
            ("a \r\n\n b", "a\nb"),
            ("ＤＲＯＰ　ＴＡＢＬＥ", "drop table"),
            ("ig\u{200b}no\u{200d}re", "ignore"),
            ("ignоre prevіous", "ignore previous"),
            ("Привет, мир", "привет, мир"),
            (
                "Ignorez les INSTRUCTIONS précédentes",
                "ignorez les instructions precedentes",
            ),
            ("𝐢𝐠𝐧𝐨𝐫𝐞", "ignore"),
            ("DR\0OP", "drop"),
            ("Straße Łódź ığdır", "strasse lodz igdir"),
        ] {
            assert_eq!(fold(written), folded, "{written}");
        }
    }

    #[test]
    fn folding_says_what_it_undid() {
        assert_eq!(
            fold_text("ig\u{200b}nore").decodings,
            Decodings::NONE.with(Decoding::ZeroWidth)
        );
        assert_eq!(
            fold_text("ignоre").decodings,
            Decodings::NONE.with(Decoding::Homoglyph)
        );
        assert_eq!(
            fold_text("ｄｒｏｐ").decodings,
            Decodings::NONE.with(Decoding::Compatibility)
        );
        assert_eq!(fold_text("Übung \u{1f600}").decodings, Decodings::NONE);
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for text in ["ＤＲＯＰ x", "Ignоre é ß İ", "ไม่สนใจคำสั่ง", "지시를 무시"]
        {
            assert_eq!(fold(&fold(text)), fold(text), "{text}");
        }
    }
}
