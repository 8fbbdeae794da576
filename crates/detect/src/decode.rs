//! What a text says when it is decoded: escapes of the web, base64 and its kin, spelling tricks.
//!
//! [`unfold`] gives texts that may hide more and are folded again; [`refold`] gives other
//! readings of a folded text, which are only scanned.

mod bare;
mod base;
mod escapes;
mod spelling;
mod wrapped;

use std::{
    borrow::Cow,
    collections::{BTreeSet, VecDeque},
};

use clampd_model::{Decoding, Decodings};
use clampd_sweep::{Survey, Traits};

use crate::{
    effort::Effort,
    limits::{DECODE_DEPTH_MAX, VARIANT_BYTES},
};

pub(crate) use spelling::turned_words;

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

    /// Steps that undo themselves or what they leave behind are taken once.
    fn may(&self, step: Decoding) -> bool {
        !self.decodings.contains(step)
    }
}

/// The texts that a leaf decodes to, each once, the least decoded first.
#[derive(Debug, Default)]
pub(crate) struct Variants {
    waiting: VecDeque<Variant<'static>>,
    seen: BTreeSet<String>,
}

impl Variants {
    /// The next text to look at, if there is one and the effort reaches for it.
    pub(crate) fn next(&mut self, effort: &Effort) -> Option<Variant<'static>> {
        loop {
            let variant = self.waiting.pop_front()?;
            if self.seen.contains(variant.text.as_ref()) {
                continue;
            }
            let is_paid = effort.spend(variant.text.len().saturating_add(VARIANT_BYTES));
            return is_paid.then_some(variant);
        }
    }

    /// Notes that a text was looked at.
    pub(crate) fn seen(&mut self, variant: Variant<'_>) {
        self.seen.insert(variant.text.into_owned());
    }
}

/// Notes every text that `variant` decodes to.
pub(crate) fn unfold(
    variant: &Variant<'_>,
    folded: &str,
    traits: Traits,
    variants: &mut Variants,
    effort: &Effort,
) {
    let mut put = |decoded: Option<(String, Decodings)>| {
        let Some((text, steps)) = decoded else { return };
        if text.is_empty() || text == variant.text {
            return;
        }
        if variant.depth >= DECODE_DEPTH_MAX {
            return effort.exceed();
        }
        variants.waiting.push_back(Variant {
            text: Cow::Owned(text),
            decodings: variant.decodings.union(steps),
            depth: variant.depth + 1,
        });
    };
    let one = |step| move |text: String| (text, Decodings::NONE.with(step));
    if traits.any(
        Traits::PERCENT
            .with(Traits::AMPERSAND)
            .with(Traits::BACKSLASH),
    ) {
        put(escapes::unescaped(&variant.text));
    }
    if traits.any(Traits::EQUALS) && variant.may(Decoding::QuotedPrintable) {
        put(escapes::quoted_printable(&variant.text).map(one(Decoding::QuotedPrintable)));
    }
    let runs = base::read_runs(&variant.text);
    for (step, texts) in [
        (Decoding::Base64, runs.base64),
        (Decoding::Hex, runs.hex),
        (Decoding::Base32, runs.base32),
    ] {
        together_and_apart(texts, |text| put(Some(one(step)(text))));
    }
    if traits.any(Traits::GROUPS) {
        let codes = base::grouped_codes(&variant.text);
        together_and_apart(codes, |text| put(Some(one(Decoding::Hex)(text))));
    }
    let apart = traits.any(Traits::SINGLE_LETTERS) || spelling::is_apart(&variant.text);
    if apart && variant.may(Decoding::Spaced) {
        put(spelling::unspaced(&variant.text).map(one(Decoding::Spaced)));
    }
    let encoded = Traits::PERCENT
        .with(Traits::AMPERSAND)
        .with(Traits::BACKSLASH)
        .with(Traits::EQUALS)
        .with(Traits::SINGLE_LETTERS);
    if !variant.text.is_ascii() && (traits.any(encoded) || base::has_run(folded)) {
        put(bare::bare(&variant.text).map(|text| (text, Decodings::NONE)));
    }
    if !variant.text.is_ascii() {
        put(wrapped::tag_characters(&variant.text).map(one(Decoding::Tag)));
        put(wrapped::variation_selectors(&variant.text).map(one(Decoding::VariationSelector)));
    }
    if traits.any(Traits::ROT13) && variant.may(Decoding::Rot13) {
        put(Some(one(Decoding::Rot13)(spelling::rot13(folded))));
    }
    if traits.any(Traits::REVERSED) && variant.may(Decoding::Reversed) {
        put(Some(one(Decoding::Reversed)(
            folded.chars().rev().collect(),
        )));
    }
}

/// Hands on what several runs decode to: as one text, since one may say what another begins, and
/// each by itself, so that none hides among others.
fn together_and_apart(texts: Vec<String>, mut put: impl FnMut(String)) {
    if texts.len() > 1 {
        put(texts.join("\n"));
    }
    texts.into_iter().for_each(put);
}

/// Other readings of a folded text: without SQL comments, without shell quoting, with letters for
/// the digits that stand for them.
pub(crate) fn refold(folded: &str, survey: &Survey) -> Vec<(String, Decoding)> {
    let mut readings = Vec::new();
    let traits = survey.traits;
    if traits.all(Traits::SLASH.with(Traits::STAR)) {
        for gap in [" ", ""] {
            if let Some(text) = wrapped::without_sql_comments(folded, gap) {
                readings.push((text, Decoding::SqlComment));
            }
        }
    }
    if let Some(text) = wrapped::without_shell_quoting(folded, survey) {
        readings.push((text, Decoding::ShellQuote));
    }
    if traits.any(Traits::LEET)
        && let Some(text) = spelling::unleeted(folded)
    {
        readings.push((text, Decoding::Leet));
    }
    readings
}
