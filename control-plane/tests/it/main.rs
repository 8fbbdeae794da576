//! What the control plane promises, tested over HTTP against the real service.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic here is a failed promise, not an outage"
)]

mod access;
mod agents;
mod audit;
mod backup;
mod bundle;
mod catalogue;
mod client;
mod descriptors;
mod documentation;
mod durability;
mod idempotency;
mod kill;
mod local_mint;
mod openapi;
mod pages;
mod policies;
mod postgres;
mod process;
mod replicas;
mod requests;
mod risk;
mod rules;
mod scene;
mod server;
mod tls;
mod tokens;
mod traces;
mod trail;
