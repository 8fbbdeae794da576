//! The control plane: agents, tools, policies, tokens, bundles, kills and audit over REST.
//!
//! Detection and the verdict on a call belong to the gateway's filter, not here.

pub mod access;
mod bundle;
mod clock;
pub mod config;
mod http;
mod metrics;
mod policies;
mod query;
mod random;
mod seal;
pub mod service;
pub mod store;
pub mod tls;
mod tokens;
pub mod traces;

pub use http::openapi;
