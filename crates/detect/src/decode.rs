//! What a text says when it is decoded: escapes of the web, base64 and its kin, spelling tricks.
//!
//! [`unfold`] gives texts that may hide more and are folded again; [`refold`] gives other
//! readings of a folded text, which are only scanned.

mod base;
mod escapes;
mod spelling;
mod wrapped;

use std::borrow::Cow;

use clampd_model::{Decoding, Decodings};

use crate::limits::{DECODE_DEPTH_MAX, VARIANTS_MAX};

pub(crate) use spelling::cue_words;

/// A text, as written or decoded.
#[derive(Clone, Debug)]
pub(crate) struct Variant<'a> {
    /// The text, not folded.
    pub(crate) text: Cow<'a, str>,
    /// What led to it.
    pub(crate) decodings: Decodings,
    /// How many steps led to it.
    depth: u8,
}

impl<'a> Variant<'a> {
    /// The text as written.
    pub(crate) fn written(text: &'a str) -> Self {
        Self {
            text: Cow::Borrowed(text),
            decodings: Decodings::NONE,
            depth: 0,
        }
    }

    fn decoded<'b>(&self, text: String, steps: Decodings) -> Variant<'b> {
        Variant {
            text: Cow::Owned(text),
            decodings: self.decodings.union(steps),
            depth: self.depth.saturating_add(1),
        }
    }
}

/// Signs that a text may be encoded; each is what one decoder asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cues(u32);

impl Cues {
    pub(crate) const REVERSED: Self = Self(1);
    pub(crate) const ROT13: Self = Self(1 << 1);
    const PERCENT: Self = Self(1 << 2);
    const AMPERSAND: Self = Self(1 << 3);
    const BACKSLASH: Self = Self(1 << 4);
    const RUN: Self = Self(1 << 5);
    const COMMENT: Self = Self(1 << 6);
    const QUOTING: Self = Self(1 << 7);
    const SINGLE_LETTERS: Self = Self(1 << 8);
    const LEET: Self = Self(1 << 9);
    const EQUALS_HEX: Self = Self(1 << 10);
    const GROUPS: Self = Self(1 << 11);

    pub(crate) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The signs in a folded text, in one pass over its bytes.
    pub(crate) fn of(folded: &str) -> Self {
        let mut cues = Self::default();
        let mut run = 0_u32;
        let mut singles = 0_u32;
        let mut word = 0_u32;
        let mut mixed = 0_u32;
        let mut digits_in_word = false;
        let mut letters_in_word = false;
        let mut quotes = 0_u32;
        let mut groups = 0_u32;
        let mut previous = b' ';
        for byte in folded.bytes() {
            let letter = byte.is_ascii_lowercase();
            let digit = byte.is_ascii_digit();
            if letter || digit || matches!(byte, b'+' | b'/' | b'_' | b'-') {
                run += 1;
                if run == 12 {
                    cues = cues.with(Self::RUN);
                }
            } else {
                run = 0;
            }
            if letter || digit || matches!(byte, b'@' | b'$' | b'!' | b'|') || byte >= 0x80 {
                word += 1;
                letters_in_word |= letter;
                digits_in_word |= !letter && byte < 0x80;
            } else {
                if word == 1 {
                    singles += 1;
                    if singles == 5 {
                        cues = cues.with(Self::SINGLE_LETTERS);
                    }
                } else if word > 0 {
                    singles = 0;
                }
                if word == 2 || word == 3 || word == 8 {
                    groups += u32::from(digits_in_word);
                    if groups == 8 {
                        cues = cues.with(Self::GROUPS);
                    }
                }
                if word >= 4 && digits_in_word && letters_in_word {
                    mixed += 1;
                    if mixed == 2 {
                        cues = cues.with(Self::LEET);
                    }
                }
                word = 0;
                digits_in_word = false;
                letters_in_word = false;
            }
            match byte {
                b'%' => cues = cues.with(Self::PERCENT),
                b'&' => cues = cues.with(Self::AMPERSAND),
                b'\\' => cues = cues.with(Self::BACKSLASH).with(Self::QUOTING),
                b'=' => cues = cues.with(Self::EQUALS_HEX),
                b'*' if previous == b'/' => cues = cues.with(Self::COMMENT),
                b'$' | b'^' | b'`' => cues = cues.with(Self::QUOTING),
                b',' if previous != b' ' => {}
                b'\'' | b'"' => {
                    quotes += u32::from(previous.is_ascii_alphanumeric() || previous == byte);
                    if quotes >= 2 {
                        cues = cues.with(Self::QUOTING);
                    }
                }
                _ => {}
            }
            previous = byte;
        }
        if singles + u32::from(word == 1) >= 5 {
            cues = cues.with(Self::SINGLE_LETTERS);
        }
        if word >= 4 && digits_in_word && letters_in_word && mixed >= 1 {
            cues = cues.with(Self::LEET);
        }
        cues
    }
}

/// Puts on the queue every text that `variant` decodes to.
pub(crate) fn unfold(
    variant: &Variant<'_>,
    folded: &str,
    cues: Cues,
    queue: &mut Vec<Variant<'_>>,
) {
    if variant.depth >= DECODE_DEPTH_MAX {
        return;
    }
    let mut put = |decoded: Option<(String, Decodings)>| {
        if let Some((text, steps)) = decoded
            && queue.len() < VARIANTS_MAX
            && !text.is_empty()
            && text != variant.text
        {
            queue.push(variant.decoded(text, steps));
        }
    };
    let one = |step| move |text: String| (text, Decodings::NONE.with(step));
    if cues.has(Cues::PERCENT.with(Cues::AMPERSAND).with(Cues::BACKSLASH)) {
        put(escapes::unescaped(&variant.text));
    }
    if cues.has(Cues::EQUALS_HEX) {
        put(escapes::quoted_printable(&variant.text).map(one(Decoding::QuotedPrintable)));
    }
    if cues.has(Cues::RUN) {
        put(base::base64_texts(&variant.text).map(one(Decoding::Base64)));
        put(base::hex_texts(&variant.text).map(one(Decoding::Hex)));
        put(base::base32_texts(&variant.text).map(one(Decoding::Base32)));
    }
    if cues.has(Cues::GROUPS) {
        put(base::grouped_codes(&variant.text).map(one(Decoding::Hex)));
    }
    if cues.has(Cues::SINGLE_LETTERS) {
        put(spelling::unspaced(&variant.text).map(one(Decoding::Spaced)));
    }
    if !variant.text.is_ascii() {
        put(wrapped::tag_characters(&variant.text).map(one(Decoding::Tag)));
        put(wrapped::variation_selectors(&variant.text).map(one(Decoding::VariationSelector)));
    }
    if cues.has(Cues::LEET) {
        put(spelling::unleeted(folded).map(one(Decoding::Leet)));
    }
    if cues.has(Cues::ROT13) {
        put(Some(one(Decoding::Rot13)(spelling::rot13(folded))));
    }
    if cues.has(Cues::REVERSED) {
        put(Some(one(Decoding::Reversed)(
            folded.chars().rev().collect(),
        )));
    }
}

/// Other readings of a folded text: without SQL comments, without shell quoting.
pub(crate) fn refold(folded: &str, cues: Cues) -> Vec<(String, Decoding)> {
    let mut readings = Vec::new();
    if cues.has(Cues::COMMENT) {
        for gap in [" ", ""] {
            if let Some(text) = wrapped::without_sql_comments(folded, gap) {
                readings.push((text, Decoding::SqlComment));
            }
        }
    }
    if cues.has(Cues::QUOTING)
        && let Some(text) = wrapped::without_shell_quoting(folded)
    {
        readings.push((text, Decoding::ShellQuote));
    }
    readings
}
