//! What the process is told: by flags, by environment, by a file; the first of them that says it
//! decides.

mod file;

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use crate::{
    store::{Database, Postgres},
    tls::TlsFiles,
    traces::Collector,
};

/// The control plane: agents, tokens, bundles, kills and audit over REST.
#[derive(Debug, Parser)]
#[command(name = "clampd-control-plane", version)]
pub struct Arguments {
    /// A file in TOML that says what flags and environment do not, by the names of the flags.
    #[arg(long, env = "CLAMPD_CONFIG", value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
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
    /// Prints the OpenAPI document.
    Openapi,
    /// Serves until SIGTERM or SIGINT.
    Serve(ServeArguments),
}

/// Where everything is kept.
#[derive(Clone, Default, Args)]
pub struct StorageArguments {
    /// The directory that holds the database and, unless the environment gives one, the master key.
    #[arg(long, env = "CLAMPD_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// A PostgreSQL server to keep everything in, in place of the directory's own database.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Certificates in PEM that the server's must be signed by, in place of the public ones.
    #[arg(long, env = "CLAMPD_DATABASE_CA", value_name = "FILE")]
    pub database_ca: Option<PathBuf>,
    /// The master key, 32 bytes in base64; without it, the file `master.key` in the data directory.
    #[arg(long, env = "CLAMPD_MASTER_KEY", hide = true, hide_env_values = true)]
    pub master_key: Option<String>,
}

impl fmt::Debug for StorageArguments {
    /// Prints neither the master key nor the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageArguments")
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

impl StorageArguments {
    /// Everything in one directory.
    pub fn in_directory(data: impl Into<PathBuf>) -> Self {
        Self {
            data: Some(data.into()),
            ..Self::default()
        }
    }

    /// Where the data is.
    pub(crate) fn database(&self) -> anyhow::Result<Database> {
        match (&self.database_url, &self.data) {
            (Some(url), _) => {
                let server = Postgres::parse(url, self.database_ca.as_deref())?;
                Ok(Database::Postgres(Arc::new(server)))
            }
            (None, Some(directory)) => Ok(Database::Sqlite(directory.clone())),
            (None, None) => None.context("neither a data directory nor DATABASE_URL is given"),
        }
    }
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
    /// The service's certificate in PEM, with those up to a root; TLS is spoken with it.
    #[arg(
        long,
        env = "CLAMPD_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    pub tls_cert: Option<PathBuf>,
    /// The private key of the certificate in PEM.
    #[arg(
        long,
        env = "CLAMPD_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub tls_key: Option<PathBuf>,
    /// Certificates in PEM: clients must present one that is signed by one of them.
    #[arg(
        long,
        env = "CLAMPD_TLS_CLIENT_CA",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub tls_client_ca: Option<PathBuf>,
    /// The collector that a span for each request is handed in to, by OTLP over HTTP; none is made
    /// without.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL",
          value_parser = Collector::parse)]
    pub otlp_endpoint: Option<Collector>,
    /// Says whether everything that is configured can be used, and ends.
    #[arg(long)]
    pub check: bool,
}

/// The service's settings, as used.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a bundle is good for, in seconds.
    pub bundle_validity_seconds: u64,
    /// How long one audit query may run.
    pub query_timeout: Duration,
    /// What TLS is made of; plain HTTP is spoken without.
    pub tls: Option<TlsFiles>,
    /// Where traces go; none are made without.
    pub collector: Option<Collector>,
}

impl From<&ServeArguments> for Settings {
    fn from(arguments: &ServeArguments) -> Self {
        Self {
            bundle_validity_seconds: arguments.bundle_validity_seconds,
            query_timeout: Duration::from_millis(arguments.query_timeout_ms),
            tls: arguments
                .tls_cert
                .clone()
                .zip(arguments.tls_key.clone())
                .map(|(certificate, key)| TlsFiles {
                    certificate,
                    key,
                    client_ca: arguments.tls_client_ca.clone(),
                }),
            collector: arguments.otlp_endpoint.clone(),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bundle_validity_seconds: 3_600,
            query_timeout: Duration::from_secs(2),
            tls: None,
            collector: None,
        }
    }
}
