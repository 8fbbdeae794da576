//! A door for fuzzing, there only with `--cfg fuzzing`: what the scan does inside, so that its
//! limits can be asserted and not only felt. Nothing else may use it.

use std::cell::Cell;

use clampd_sweep::{Survey, Traits};

use crate::{
    Signal,
    decode::{self, Variant, Variants},
    effort::Effort,
    fold::fold_text,
    limits,
    recognise::{self, Signals},
};

/// The most bytes that folding makes of a text of so many; one character more may stand behind.
/// Once a text has grown enough, none grows any more but a control that terminals obey, which is
/// three bytes and stands alone.
pub fn folded_bytes_max(bytes: usize) -> usize {
    bytes * (limits::FOLD_GROWTH_MAX + 2) + limits::FOLD_BYTES_BASE
}

/// The most texts that one text is decoded to and read as, and their bytes.
pub fn decoded_max(bytes: usize) -> Work {
    let bytes = bytes * limits::EFFORT_RATIO + limits::EFFORT_BASE;
    Work {
        texts: bytes / limits::VARIANT_BYTES,
        bytes,
    }
}

/// What judging comes to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    /// Folded texts that the rules were looked for in.
    pub texts: usize,
    /// Their bytes.
    pub bytes: usize,
}

thread_local! {
    static WORK: Cell<Work> = const { Cell::new(Work { texts: 0, bytes: 0 }) };
}

/// Counts a text that is judged.
pub(crate) fn judged(text: &str) {
    let mut work = WORK.get();
    work.texts += 1;
    work.bytes += text.len();
    WORK.set(work);
}

/// What was judged on this thread since the last time this was asked.
pub fn take_work() -> Work {
    WORK.take()
}

/// Every text that one step of decoding gives, whether or not the text shows signs of it.
pub fn decoded(text: &str) -> Vec<String> {
    let folded = fold_text(text).text;
    let effort = Effort::for_leaf(usize::MAX);
    let mut variants = Variants::default();
    decode::unfold(
        &Variant::written(text),
        &folded,
        Traits::EVERY,
        &mut variants,
        &effort,
    );
    let unfolded = std::iter::from_fn(|| variants.next(&effort));
    let unfolded: Vec<String> = unfolded.map(|variant| variant.text.into_owned()).collect();
    let mut survey = Survey::of(&folded);
    survey.traits = Traits::EVERY;
    let refolded = decode::refold(&folded, &survey);
    unfolded
        .into_iter()
        .chain(refolded.into_iter().map(|(text, _)| text))
        .collect()
}

/// What is seen in folded text as a value in an SQL statement and as a whole query, and where.
pub fn sql(folded: &str) -> Vec<(Signal, usize)> {
    let mut signals = Signals::default();
    recognise::fuzzing::sql(folded, &mut signals);
    listed(&signals)
}

/// What is seen in folded text as a URL or an address, and where.
pub fn addresses(folded: &str) -> Vec<(Signal, usize)> {
    let mut signals = Signals::default();
    recognise::fuzzing::addresses(folded, &mut signals);
    listed(&signals)
}

fn listed(signals: &Signals) -> Vec<(Signal, usize)> {
    signals
        .iter()
        .map(|(signal, (at, _))| (signal, at as usize))
        .collect()
}
