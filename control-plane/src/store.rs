//! What is kept, and the only door to it.
//!
//! Callers see domain nouns and [`StoreError`], never SQL or a connection: another database can
//! stand behind the same methods. Every mutation is one transaction that also moves the
//! organisation's revision; whoever waits for a revision is woken after the commit.
//!
//! Durability: SQLite in WAL mode with `synchronous=FULL`. A call that returned has reached the
//! disk; mutations that wait at the same time share one commit and so one flush.

mod agents;
mod audit;
mod automatic_kill;
mod bundle;
mod changes;
mod credentials;
mod founding;
mod keys;
mod orders;
mod organisations;
mod policies;
mod queue;
mod readers;
mod rules;
mod schema;
mod settings;
mod tokens;
mod tools;
mod writer;

use std::{
    convert::Infallible, fs::File, os::unix::fs::OpenOptionsExt as _, path::Path, sync::Arc,
};

use rusqlite::Connection;
use tokio::sync::oneshot;

pub(crate) use self::{
    agents::{AgentPatch, AgentRecord, NewAgent, NewCredential},
    audit::{AUDIT_COLUMNS, Ingested, TrailCheck},
    automatic_kill::AutomaticKill,
    bundle::BundleRequest,
    changes::Changes,
    founding::{add_to as add_organisation, initialise},
    keys::{KeyRecord, NewKey},
    orders::StateOrder,
    organisations::SigningKeys,
    policies::{PolicyContent, PolicyDocument},
    rules::{CompiledFile, RuleFileRecord},
    tokens::{ExchangeFacts, Spending},
    tools::ToolRecord,
    writer::Write,
};
pub use self::{founding::FirstKeys, schema::DATABASE_FILE};
use self::{queue::Urgency, readers::Readers, writer::Writer};
use crate::{
    random::NoEntropy,
    seal::{MasterKey, SealBroken},
};

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such thing in the organisation.
    #[error("{0} not found")]
    NotFound(Noun),
    /// There is one already.
    #[error("{0} already exists")]
    AlreadyExists(Noun),
    /// The agent is killed: it must be revived first.
    #[error("agent is killed; revive it first")]
    AgentKilled,
    /// The rules cannot stand beside the others.
    #[error("{0}")]
    Rules(String),
    /// The settings name it, so it must stay.
    #[error("the settings name `{0}`; change them first")]
    NamedInSettings(String),
    /// The settings were changed by another.
    #[error("the settings were changed meanwhile")]
    SettingsChanged,
    /// A field of the settings names what is not there.
    #[error("`{field}` names `{name}`, which is not there")]
    UnknownName {
        /// The field.
        field: String,
        /// The name.
        name: String,
    },
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] rusqlite::Error),
    /// A row holds what this version cannot read.
    #[error("stored {0} cannot be read")]
    Unreadable(Noun),
    /// The database was written by a newer version of this program.
    #[error("database has schema {applied}, this version knows up to {known}")]
    NewerDatabase {
        /// The schema's version in the database.
        applied: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// The data directory does not exist or cannot be written to.
    #[error("data directory does not exist or cannot be written to")]
    NoDirectory,
    /// Another process serves the same data directory.
    #[error("another process serves this data directory")]
    InUse,
    /// The master key is not the one that sealed it.
    #[error(transparent)]
    Sealed(#[from] SealBroken),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// The change was not committed: the storage failed or is closing.
    #[error("the change was not committed")]
    NotCommitted,
}

/// What a [`StoreError`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noun {
    /// An agent.
    Agent,
    /// An API key.
    Key,
    /// A tool.
    Tool,
    /// A policy.
    Policy,
    /// A file of rules.
    RuleFile,
    /// An organisation.
    Organisation,
    /// An audit event.
    AuditEvent,
}

impl Noun {
    /// The word that error codes begin with.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Key => "key",
            Self::Tool => "tool",
            Self::Policy => "policy",
            Self::RuleFile => "rule_file",
            Self::Organisation => "organisation",
            Self::AuditEvent => "audit_event",
        }
    }
}

impl std::fmt::Display for Noun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A part of the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SectionName {
    Keys,
    Agents,
    States,
    Tools,
    Policies,
    Rules,
    Settings,
    LocalMint,
    Jwks,
}

impl SectionName {
    pub(crate) const ALL: [Self; 9] = [
        Self::Keys,
        Self::Agents,
        Self::States,
        Self::Tools,
        Self::Policies,
        Self::Rules,
        Self::Settings,
        Self::LocalMint,
        Self::Jwks,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Agents => "agents",
            Self::States => "states",
            Self::Tools => "tools",
            Self::Policies => "policies",
            Self::Rules => "rules",
            Self::Settings => "settings",
            Self::LocalMint => "local_mint",
            Self::Jwks => "jwks",
        }
    }
}

/// The store over SQLite.
#[derive(Debug)]
pub(crate) struct Store {
    writer: Writer,
    readers: Readers,
    changes: Arc<Changes>,
    master: Arc<MasterKey>,
    /// Held as long as this store lives: the polls of two processes would not hear each other.
    _lock: File,
    /// Dropped last: tells whoever waits for it that the lock is free.
    _open: oneshot::Sender<Infallible>,
}

/// Resolves when the store is closed.
pub(crate) type Closed = oneshot::Receiver<Infallible>;

impl Store {
    /// Opens the database in `data_dir`, bringing its schema up to date.
    ///
    /// # Errors
    /// When it does not exist, is from a newer version, or cannot be opened.
    pub(crate) fn open(data_dir: &Path, master: MasterKey) -> Result<(Self, Closed), StoreError> {
        let lock = lock(data_dir)?;
        let path = data_dir.join(DATABASE_FILE);
        let connection = schema::open(&path)?;
        let changes = Arc::new(Changes::default());
        let (open, closed) = oneshot::channel();
        let store = Self {
            writer: Writer::start(connection, Arc::clone(&changes))?,
            readers: Readers::new(path),
            changes,
            master: Arc::new(master),
            _lock: lock,
            _open: open,
        };
        Ok((store, closed))
    }

    /// Where waiting polls hear of commits.
    pub(crate) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// The key that secrets are sealed with and proxies' keys are derived from.
    pub(crate) fn master(&self) -> &Arc<MasterKey> {
        &self.master
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) async fn is_ready(&self) -> Result<(), StoreError> {
        self.write(|write| {
            Ok(write
                .connection
                .query_row("SELECT 1 FROM cp_organisations", [], |_| Ok(()))?)
        })
        .await
    }

    /// A read-only connection of its own, for a query that must not share one.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub(crate) fn connect_read_only(&self) -> Result<Connection, StoreError> {
        self.readers.connect()
    }

    /// Runs `mutation` in a transaction of its own; returns after the commit has reached the disk.
    async fn write<T, F>(&self, mutation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Write<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.writer.submit(Urgency::Urgent, mutation).await
    }

    /// Runs `reading` on a pooled connection that cannot write.
    async fn read<T, F>(&self, reading: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.readers.run(reading).await
    }
}

/// The file in the data directory that the process which serves it holds locked.
const LOCK_FILE: &str = "serve.lock";

fn lock(data_dir: &Path) -> Result<File, StoreError> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true).mode(0o600);
    let file = options
        .open(data_dir.join(LOCK_FILE))
        .map_err(|_| StoreError::NoDirectory)?;
    file.try_lock().map_err(|_| StoreError::InUse)?;
    Ok(file)
}

/// A Rust number as SQLite keeps it. What does not fit (after the year 290000) is kept at the end.
fn sql_integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// SQLite's number as Rust has it; a negative one, which nothing writes, reads as 0.
fn from_sql_integer(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
