//! The command line as written; each verb's file turns its part into what is used.

use clap::{Parser, Subcommand};

use crate::scan::ScanArguments;

/// Runs Clampd from a terminal: agents, kills, policies, audit, rules, tests.
#[derive(Debug, Parser)]
#[command(name = "clampd", version, propagate_version = true)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Judge texts and tool calls with the gateway's engine, without a gateway
    Scan(ScanArguments),
}
