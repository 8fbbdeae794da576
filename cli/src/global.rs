//! The arguments that every verb takes.

use std::path::PathBuf;

use clap::Args;

/// What any verb may be told.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Speak to this context instead of the one in use
    #[arg(long, global = true, value_name = "NAME", env = "CLAMPD_CONTEXT")]
    pub(crate) context: Option<String>,
    /// The configuration file instead of ~/.clampd/config.toml
    #[arg(long, global = true, value_name = "FILE", env = "CLAMPD_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Trust the certificate authorities of this PEM file, and no others
    #[arg(long, global = true, value_name = "FILE", env = "CLAMPD_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}
