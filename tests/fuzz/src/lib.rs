//! What holds of every input, whoever made it. A target under `fuzz_targets/` hands each of its
//! inputs to one function here; a failed assertion is a finding.
//!
//! How often and for how long is `fuzz.py`'s.

pub mod exchange;
pub mod text;
pub mod wire;
