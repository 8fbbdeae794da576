//! What the process is told: by flags, by environment.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

/// The control plane: agents, tokens, bundles, kills and audit over REST.
#[derive(Debug, Parser)]
#[command(name = "clampd-control-plane", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Makes the database and prints the first keys, once, as one JSON object.
    Init(OrganisationArguments),
    /// Adds an organisation to a database that exists and prints its first keys.
    AddOrg(OrganisationArguments),
    /// Serves until SIGTERM or SIGINT.
    Serve(ServeArguments),
}

/// Where everything is kept.
#[derive(Debug, Clone, Args)]
pub struct StorageArguments {
    /// The directory that holds the database and, unless the environment gives one, the master key.
    #[arg(long, env = "CLAMPD_DATA", value_name = "DIR")]
    pub data: PathBuf,
    /// The master key, 32 bytes in base64; without it, the file `master.key` in the data directory.
    #[arg(long, env = "CLAMPD_MASTER_KEY", hide = true, hide_env_values = true)]
    pub master_key: Option<String>,
}

/// A new organisation.
#[derive(Debug, Clone, Args)]
pub struct OrganisationArguments {
    /// Where everything is kept.
    #[command(flatten)]
    pub storage: StorageArguments,
    /// The organisation's id: 1 to 128 characters of A-Z a-z 0-9 _ . : -; a UUID when not given.
    #[arg(long, env = "CLAMPD_ORG_ID")]
    pub org_id: Option<String>,
    /// What people call the organisation.
    #[arg(long, env = "CLAMPD_ORG_NAME", default_value = "default")]
    pub org_name: String,
}

/// A running service.
#[derive(Debug, Clone, Args)]
pub struct ServeArguments {
    /// Where everything is kept.
    #[command(flatten)]
    pub storage: StorageArguments,
    /// The address to listen on.
    #[arg(long, env = "CLAMPD_LISTEN", default_value = "127.0.0.1:3001")]
    pub listen: SocketAddr,
    /// How long a bundle is good for, in seconds (60 to 604800). Every poll renews it.
    #[arg(long, env = "CLAMPD_BUNDLE_VALIDITY_SECONDS", default_value_t = 3_600,
          value_parser = clap::value_parser!(u64).range(60..=604_800))]
    pub bundle_validity_seconds: u64,
    /// How long one audit query may run, in milliseconds (10 to 60000).
    #[arg(long, env = "CLAMPD_QUERY_TIMEOUT_MS", default_value_t = 2_000,
          value_parser = clap::value_parser!(u64).range(10..=60_000))]
    pub query_timeout_ms: u64,
}

/// The service's settings, as used.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a bundle is good for, in seconds.
    pub bundle_validity_seconds: u64,
    /// How long one audit query may run.
    pub query_timeout: Duration,
}

impl From<&ServeArguments> for Settings {
    fn from(arguments: &ServeArguments) -> Self {
        Self {
            bundle_validity_seconds: arguments.bundle_validity_seconds,
            query_timeout: Duration::from_millis(arguments.query_timeout_ms),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bundle_validity_seconds: 3_600,
            query_timeout: Duration::from_secs(2),
        }
    }
}
