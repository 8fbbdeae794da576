//! What a text says when it is decoded: escapes of the web, base64 and its kin, spelling tricks.
//!
//! [`unfold`] gives texts that may hide more and are folded again; [`refold`] gives other
//! readings of a folded text, which are only scanned.

mod bare;
mod base;
mod escapes;
mod spelling;
mod wrapped;

use std::borrow::Cow;

use clampd_model::{Decoding, Decodings};

use crate::{
    limits::{DECODE_DEPTH_MAX, VARIANTS_MAX},
    traits::Traits,
};

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

/// Puts on the queue every text that `variant` decodes to.
pub(crate) fn unfold(
    variant: &Variant<'_>,
    folded: &str,
    traits: Traits,
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
    if traits.any(
        Traits::PERCENT
            .with(Traits::AMPERSAND)
            .with(Traits::BACKSLASH),
    ) {
        put(escapes::unescaped(&variant.text));
    }
    if traits.any(Traits::EQUALS) {
        put(escapes::quoted_printable(&variant.text).map(one(Decoding::QuotedPrintable)));
    }
    if traits.any(Traits::RUN) {
        let runs = base::runs(&variant.text);
        put(Some(one(Decoding::Base64)(runs.base64)));
        put(Some(one(Decoding::Hex)(runs.hex)));
        put(Some(one(Decoding::Base32)(runs.base32)));
    }
    if traits.any(Traits::GROUPS) {
        put(base::grouped_codes(&variant.text).map(one(Decoding::Hex)));
    }
    if traits.any(Traits::SINGLE_LETTERS) || spelling::is_apart(&variant.text) {
        put(spelling::unspaced(&variant.text).map(one(Decoding::Spaced)));
    }
    let encoded = Traits::PERCENT
        .with(Traits::AMPERSAND)
        .with(Traits::BACKSLASH)
        .with(Traits::EQUALS)
        .with(Traits::RUN)
        .with(Traits::SINGLE_LETTERS);
    if !variant.text.is_ascii() && traits.any(encoded) {
        put(bare::bare(&variant.text).map(|text| (text, Decodings::NONE)));
    }
    if !variant.text.is_ascii() {
        put(wrapped::tag_characters(&variant.text).map(one(Decoding::Tag)));
        put(wrapped::variation_selectors(&variant.text).map(one(Decoding::VariationSelector)));
    }
    if traits.any(Traits::LEET) {
        put(spelling::unleeted(folded).map(one(Decoding::Leet)));
    }
    if traits.any(Traits::ROT13) {
        put(Some(one(Decoding::Rot13)(spelling::rot13(folded))));
    }
    if traits.any(Traits::REVERSED) {
        put(Some(one(Decoding::Reversed)(
            folded.chars().rev().collect(),
        )));
    }
}

/// Other readings of a folded text: without SQL comments, without shell quoting.
pub(crate) fn refold(folded: &str, traits: Traits) -> Vec<(String, Decoding)> {
    let mut readings = Vec::new();
    if traits.all(Traits::SLASH.with(Traits::STAR)) {
        for gap in [" ", ""] {
            if let Some(text) = wrapped::without_sql_comments(folded, gap) {
                readings.push((text, Decoding::SqlComment));
            }
        }
    }
    if traits.any(Traits::QUOTE.with(Traits::BACKSLASH).with(Traits::DOLLAR))
        && let Some(text) = wrapped::without_shell_quoting(folded)
    {
        readings.push((text, Decoding::ShellQuote));
    }
    readings
}
