//! Every limit of a scan, by name. Each bounds work or memory by the length of the text alone,
//! so that the verdict on one leaf never depends on another. What a limit leaves unread is a
//! finding by itself, so that none is a way round the rules.

/// Times its length that a folded text may be; from there on a character that folds to
/// something larger is one sign.
pub(crate) const FOLD_GROWTH_MAX: usize = 1;
/// Bytes that a folded text may have beyond that.
pub(crate) const FOLD_BYTES_BASE: usize = 256;
/// Decodings laid upon each other, such as base64 in percent in base64.
pub(crate) const DECODE_DEPTH_MAX: u8 = 8;
/// Bytes that one leaf may have looked at again, beyond [`EFFORT_RATIO`] times its length: decoded
/// texts and the windows of patterns. Past it the leaf has the finding `scan-limit`.
pub(crate) const EFFORT_BASE: usize = 256 * 1024;
/// Bytes looked at again for each byte of the leaf.
pub(crate) const EFFORT_RATIO: usize = 6;
/// What a decoded text costs beyond its bytes.
pub(crate) const VARIANT_BYTES: usize = 160;
/// What a window costs whose pattern must begin where a word stands: it mostly ends soon.
pub(crate) const WINDOW_COST_BYTES: usize = 80;
/// What it costs when the pattern may go on over anything.
pub(crate) const FAR_WINDOW_COST_BYTES: usize = 3_072;
/// What each byte costs that the pattern may begin before the word.
pub(crate) const BEFORE_COST_BYTES: usize = 48;
/// What a connective of SQL costs beyond the bytes that are read behind it.
pub(crate) const CONNECTIVE_COST_BYTES: usize = 48;
/// What a place where a command may begin costs beyond the bytes of its name.
pub(crate) const COMMAND_COST_BYTES: usize = 40;
/// What a `<` costs beyond the bytes of its tag.
pub(crate) const TAG_COST_BYTES: usize = 24;
/// Bytes of a window before and after the word.
pub(crate) const WINDOW_BYTES: usize = 128;
/// Matches that are counted of one rule.
pub(crate) const COUNT_MAX: u32 = 1_000;
