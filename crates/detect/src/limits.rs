//! Every limit of a scan, by name. Each bounds work or memory by the length of the text alone,
//! so that the verdict on one leaf never depends on another.

/// Times its length that a folded text may be; from there on characters stay as they are.
pub(crate) const FOLD_GROWTH_MAX: usize = 2;
/// Bytes that a folded text may have beyond that.
pub(crate) const FOLD_BYTES_BASE: usize = 256;
/// Decodings laid upon each other, such as base64 in percent in base64.
pub(crate) const DECODE_DEPTH_MAX: u8 = 4;
/// Decoded texts that one leaf may lead to.
pub(crate) const VARIANTS_MAX: usize = 24;
/// Decoded bytes that one leaf may lead to, beyond [`VARIANT_BYTES_RATIO`] times its length.
pub(crate) const VARIANT_BYTES_BASE: usize = 16 * 1024;
/// Decoded bytes a byte of the leaf.
pub(crate) const VARIANT_BYTES_RATIO: usize = 6;
/// Times that one rule's word is looked at in one text.
pub(crate) const CANDIDATES_PER_WORD_MAX: u16 = 24;
/// Hits that one text may have before its words are counted.
pub(crate) const HITS_UNCOUNTED: usize = 256;
/// Hits of all words that one text may have; the rest of a text that is nothing but such words
/// is not read.
pub(crate) const HITS_MAX: usize = 4_096;
/// Windows on which one rule's pattern runs in one text.
pub(crate) const WINDOWS_PER_RULE_MAX: usize = 8;
/// Bytes of a window before and after the word.
pub(crate) const WINDOW_BYTES: usize = 128;
/// Matches that are counted of one rule.
pub(crate) const COUNT_MAX: u32 = 1_000;
