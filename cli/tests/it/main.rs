//! The promises of the `clampd` command, each kept by running the command itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic here is a failed promise, not an outage"
)]

mod agents;
mod audit;
mod audit_file;
mod clampd;
mod context;
mod documentation;
mod operator;
mod rules;
mod scan;
mod scene;
mod settings;
mod tls;
