//! What the control plane promises, tested over HTTP against the real service.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic here is a failed promise, not an outage"
)]

mod audit;
mod bundle;
mod scene;
mod tokens;
