//! Folds text, decodes it and finds rules in it. It knows no rule: the rules come as a table.
//!
//! A text is folded ([`fold`]), the words of every rule are looked for in one pass, and only the
//! rules whose words were seen are judged further: by the words near
//! by, by a pattern on a small window, or by a recogniser's signal. What is left to others: what
//! a finding means for the call (`policy`, `guard`) and what the rules are (`ruleset`).

mod decode;
mod detector;
mod effort;
mod findings;
mod fold;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod limits;
mod place;
mod recognise;
mod row;
mod rule;

pub use detector::{DetectError, Detector};
pub use findings::{Findings, SCAN_LIMIT, SCAN_LIMIT_CATEGORY};
pub use fold::fold;
pub use place::{Leaf, Place};
pub use recognise::Signal;
pub use row::RowError;
pub use rule::{Form, Reach, Rule, ToolSet, Words};
