//! What is promised of texts of policies.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic here is a failed promise"
)]

mod differential;
mod documentation;
mod refusals;
mod speed;
mod templates;

use std::sync::LazyLock;

use clampd_policy_compiler::Compiler;

/// One compiler for every test.
static COMPILER: LazyLock<Compiler> = LazyLock::new(|| Compiler::new().unwrap());
