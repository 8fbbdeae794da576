//! One text in the form that rules are written for: lower case, compatibility forms and
//! look-alike letters resolved, invisible characters gone, each run of white space one character.
//!
//! What hides a whole text (percent signs, base64 …) is `decode`'s.

mod forms;
mod letters;

use clampd_model::{Decoding, Decodings};
use clampd_sweep::ascii;

use crate::limits::{FOLD_BYTES_BASE, FOLD_GROWTH_MAX};
pub(crate) use letters::is_invisible;
use letters::{base_letter, is_bidi_control, lookalike};

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
    if text.is_ascii() {
        let mut folding = Folding::new(text.len());
        folding.ascii(text);
        return folding.finish();
    }
    // Korean letters in pieces are the one case where characters must be put together first.
    if text.chars().any(|c| matches!(c, '\u{1100}'..='\u{11ff}')) {
        return fold_composed(&forms::compose_syllables(text));
    }
    fold_composed(text)
}

fn fold_composed(text: &str) -> Folded {
    let mut folding = Folding::new(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let ascii = rest
            .bytes()
            .position(|b| !b.is_ascii())
            .unwrap_or(rest.len());
        let (run, other) = rest.split_at_checked(ascii).unwrap_or((rest, ""));
        folding.ascii(run);
        rest = other;
        if let Some(c) = rest.chars().next() {
            folding.other(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    folding.finish()
}

/// What stands in folded text for the controls that terminals obey.
const ESCAPE: char = '\u{241b}';

/// What stands for a character that folds to several, in a text that has grown enough.
const TOO_LARGE: char = '?';

/// A text while it is folded.
struct Folding {
    out: String,
    decodings: Decodings,
    /// The most that the text may grow to, in bytes.
    bytes_max: usize,
    /// White space was seen since the last letter.
    space: bool,
    /// A line end was.
    line: bool,
    /// The last character was an ASCII letter or digit.
    after_ascii: bool,
    /// ASCII letters or signs stand in it.
    latin: bool,
    /// Letters stand in it that look like Latin ones.
    lookalike: bool,
    /// Cyrillic or Greek letters stand in it that look like no Latin one.
    other: bool,
}

impl Folding {
    fn new(length: usize) -> Self {
        Self {
            out: String::with_capacity(length + 4),
            decodings: Decodings::NONE,
            bytes_max: length.saturating_mul(FOLD_GROWTH_MAX) + FOLD_BYTES_BASE,
            space: false,
            line: false,
            after_ascii: false,
            latin: false,
            lookalike: false,
            other: false,
        }
    }

    fn finish(mut self) -> Folded {
        self.end_space();
        let mut folded = Folded {
            text: self.out,
            decodings: self.decodings,
        };
        if self.lookalike && (self.latin || !self.other) {
            resolve_lookalikes(&mut folded, self.latin && !self.other);
        }
        folded
    }

    fn end_space(&mut self) {
        if self.line {
            self.out.push('\n');
        } else if self.space {
            self.out.push(' ');
        }
        self.line = false;
        self.space = false;
    }

    /// Folds a run of ASCII, line by line: words with single blanks between them are copied as
    /// they are, but for case.
    fn ascii(&mut self, mut rest: &str) {
        while let [first, ..] = rest.as_bytes() {
            if matches!(first, b'!'..=b'~') {
                self.end_space();
                let length = ascii::plain_length(rest.as_bytes());
                let (run, left) = rest.split_at_checked(length).unwrap_or((rest, ""));
                ascii::push_lower(&mut self.out, run);
                self.latin = true;
                self.after_ascii = run
                    .bytes()
                    .last()
                    .is_some_and(|b| b.is_ascii_alphanumeric());
                rest = left;
                continue;
            }
            match first {
                b'\n' | b'\r' => self.line = true,
                b' ' | b'\t' | 0x0b | 0x0c => self.space = true,
                0x1b => self.escape(),
                _ => {}
            }
            rest = rest.get(1..).unwrap_or_default();
        }
    }

    /// A control that terminals obey; several that follow each other are one.
    fn escape(&mut self) {
        self.end_space();
        if !self.out.ends_with(ESCAPE) {
            self.out.push(ESCAPE);
        }
    }

    fn other(&mut self, c: char) {
        match c {
            '\u{2028}' | '\u{2029}' | '\u{85}' => self.line = true,
            '\u{80}'..='\u{9f}' => self.escape(),
            _ if is_stable(c) => {
                self.end_space();
                self.letter(c);
                self.after_ascii = false;
            }
            _ if c.is_whitespace() => self.space = true,
            _ if is_invisible(c) => {
                if self.after_ascii {
                    let step = if is_bidi_control(c) {
                        Decoding::Bidi
                    } else {
                        Decoding::ZeroWidth
                    };
                    self.decodings = self.decodings.with(step);
                }
            }
            _ => {
                self.decomposed(c);
                self.after_ascii = false;
            }
        }
    }

    /// A character in its compatibility decomposition, without marks (UAX #15, NFKD).
    fn decomposed(&mut self, c: char) {
        if let Some(base) = base_letter(c) {
            self.end_space();
            self.out.push_str(base);
            self.latin = true;
            return;
        }
        let before = self.out.len();
        let blanks = (self.space, self.line);
        // The blank that stands before the character is not of its size.
        let start = before + usize::from(self.space || self.line);
        let bytes_most = if before > self.bytes_max {
            c.len_utf8()
        } else {
            usize::MAX
        };
        let mut parts = 0;
        forms::decompose(c, |part| {
            parts += 1;
            if self.out.len().saturating_sub(start) > bytes_most {
                return;
            }
            if part == ' ' {
                self.space = true;
                return;
            }
            if is_mark(part) {
                return;
            }
            self.end_space();
            if part.is_ascii() {
                self.out.push(part.to_ascii_lowercase());
            } else if let Some(base) = base_letter(part) {
                self.out.push_str(base);
            } else {
                self.letter(part);
            }
        });
        // What is larger folded than written is one sign once the text has grown enough.
        if self.out.len().saturating_sub(start) > bytes_most {
            self.out.truncate(before);
            (self.space, self.line) = blanks;
            self.end_space();
            self.out.push(TOO_LARGE);
        }
        let written = self.out.get(start..).unwrap_or_default().trim_start();
        self.latin |= written.bytes().any(|b| b.is_ascii_graphic());
        if parts == 1 && written.len() == 1 && written.bytes().all(|b| b.is_ascii_alphanumeric()) {
            self.decodings = self.decodings.with(Decoding::Compatibility);
        }
    }

    fn letter(&mut self, c: char) {
        if is_plain(c) {
            self.out.push(c);
            return;
        }
        for lower in c.to_lowercase() {
            if lookalike(lower).is_some() {
                self.lookalike = true;
            } else if matches!(lower, '\u{370}'..='\u{52f}') {
                self.other = true;
            }
            if !is_mark(lower) {
                self.out.push(lower);
            }
        }
    }
}

/// Marks that are left out: those on Latin, Greek and Cyrillic letters, Arabic vowel signs and
/// the Arabic letter stretcher.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{64b}'..='\u{655}' | '\u{640}')
}

/// Characters that stay as they are but for case: ideographs, kana, syllables, Thai and
/// Devanagari letters, Cyrillic without й and ё.
fn is_stable(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}' | '\u{3041}'..='\u{30fa}' | '\u{ac00}'..='\u{d7a3}'
        | '\u{430}'..='\u{438}' | '\u{43a}'..='\u{44f}' | '\u{410}'..='\u{418}'
        | '\u{41a}'..='\u{42f}' | '\u{e01}'..='\u{e32}' | '\u{905}'..='\u{928}'
        | '\u{93e}'..='\u{94d}' | '\u{627}'..='\u{63a}' | '\u{641}'..='\u{64a}')
}

/// Letters that have no case, look like no Latin one and are no marks: Arabic ones, ideographs,
/// syllables.
fn is_plain(c: char) -> bool {
    matches!(c, '\u{620}'..='\u{63f}' | '\u{641}'..='\u{64a}' | '\u{2e80}'..='\u{a63f}'
        | '\u{ac00}'..='\u{d7a3}')
}

/// Turns look-alikes into the Latin letters they look like: in words that also hold ASCII
/// letters, and everywhere when nothing else of their script stands in the text (UTS #39).
fn resolve_lookalikes(folded: &mut Folded, everywhere: bool) {
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
            ("a\u{1b}\u{1b}[31m \u{9b}b", "a␛[31m ␛b"),
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
            ("Ｉｇｎｏｒｅ①", "ignore1"),
            ("أهلا بِكَ", "اهلا بك"),
            ("ёлка й", "елка и"),
            ("\u{1100}\u{1161}", "가"),
            ("wait…", "wait..."),
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
        for text in [
            "ＤＲＯＰ x",
            "Ignоre é ß İ",
            "ไม่สนใจคำสั่ง",
            "지시를 무시",
            "x\u{2057}y\u{2034}",
            "a \u{4c0}\u{4c0}kawl",
            "a \u{fdfa}\u{fdfa} \u{33c2}",
            "п\u{37e}п",
            " \u{2da} a \u{2da}\u{b4}b",
        ] {
            assert_eq!(fold(&fold(text)), fold(text), "{text}");
            // However much the text before it grows.
            let grown = "\u{1b}.".repeat(300) + text;
            assert_eq!(fold(&fold(&grown)), fold(&grown), "{text}");
        }
    }
}
