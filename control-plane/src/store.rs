//! What is kept, and the only door to it.
//!
//! Callers see domain nouns and [`StoreError`], never SQL or a connection: SQLite and PostgreSQL
//! stand behind the same methods, and behind the same SQL (`sql.rs`). Every mutation is one
//! transaction that also moves the organisation's revision; whoever waits for a revision is woken
//! after the commit.
//!
//! Durability: a call that returned has reached the disk (SQLite: WAL, `synchronous=FULL`;
//! PostgreSQL: `synchronous_commit=on`); mutations that wait at the same time share one commit.

mod agents;
mod audit;
mod automatic_kill;
mod bundle;
mod changes;
mod credentials;
mod database;
mod descriptors;
mod founding;
mod idempotency;
mod keys;
mod migrations;
mod orders;
mod organisations;
mod policies;
mod postgres;
mod queue;
mod readers;
mod rules;
mod sessions;
mod settings;
mod sql;
mod sqlite;
mod tokens;
mod tools;
mod writer;

use std::{
    convert::Infallible, fs::File, os::unix::fs::OpenOptionsExt as _, path::Path, sync::Arc,
};

use tokio::sync::oneshot;

pub(crate) use self::{
    agents::{AgentPatch, AgentRecord, AgentsWanted, NewAgent, NewCredential},
    audit::{AUDIT_COLUMNS, AuditRow, Ingested, TrailCheck, TrailSpan},
    automatic_kill::AutomaticKill,
    bundle::{BundleRequest, jwks},
    changes::Changes,
    database::Database,
    descriptors::{Decision as ToolDecision, DescriptorRecord},
    founding::{add_to as add_organisation, initialise},
    idempotency::{Attempt, ChosenKey},
    keys::{KeyRecord, NewKey},
    orders::StateOrder,
    organisations::SigningKeys,
    policies::{PolicyContent, PolicyDocument},
    postgres::{Postgres, QUERY_ROLE},
    rules::{CompiledFile, RuleFileRecord},
    sqlite::open_read_only,
    tokens::{ExchangeFacts, Spending},
    tools::{NewTool, ToolRecord},
    writer::Write,
};
use self::{
    audit::AuditKeys,
    founding::token_key_label,
    postgres::Listener,
    queue::Urgency,
    readers::Readers,
    sql::{Connection, OptionalExtension as _},
    writer::Writer,
};
pub use self::{founding::FirstKeys, sql::SqlError, sqlite::DATABASE_FILE};
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
    /// The tool has as many descriptors as are kept.
    #[error("too many descriptors of the tool are known; put it anew with the one that is good")]
    TooManyDescriptors,
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] SqlError),
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
    /// There are no tables in the database.
    #[error("database is not initialised; run `clampd-control-plane init` first")]
    NotInitialised,
    /// The database cannot hold every text.
    #[error("database has another encoding than UTF8")]
    Encoding,
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

/// The store.
#[derive(Debug)]
pub(crate) struct Store {
    writer: Writer,
    readers: Readers,
    changes: Arc<Changes>,
    master: Arc<MasterKey>,
    audit_keys: Arc<AuditKeys>,
    database: Database,
    /// Over PostgreSQL: hears what other processes commit.
    _listener: Option<Listener>,
    /// Over SQLite: held as long as this store lives, since nothing would hear another process.
    _lock: Option<File>,
    /// Dropped last: tells whoever waits for it that the lock is free.
    _open: oneshot::Sender<Infallible>,
}

/// Resolves when the store is closed.
pub(crate) type Closed = oneshot::Receiver<Infallible>;

/// How many rows of what has expired one transaction removes.
const PURGED_AT_ONCE: u32 = 250;

impl Store {
    /// Opens the database, bringing its tables up to date. This blocks.
    ///
    /// # Errors
    /// When it does not exist, is from a newer version, cannot be opened, or was sealed with another
    /// master key.
    pub(crate) fn open(
        database: Database,
        master: MasterKey,
    ) -> Result<(Self, Closed), StoreError> {
        let lock = match &database {
            Database::Sqlite(directory) => Some(lock(directory)?),
            Database::Postgres(_) => None,
        };
        let connection = database.open()?;
        check_master_key(&connection, &master)?;
        let changes = Arc::new(Changes::default());
        let listener = match &database {
            Database::Sqlite(_) => None,
            Database::Postgres(server) => {
                let (server, changes) = (Arc::clone(server), Arc::clone(&changes));
                Some(Listener::start(server, changes)?)
            }
        };
        let master = Arc::new(master);
        let audit_keys = Arc::new(AuditKeys::new(Arc::clone(&master)));
        let (open, closed) = oneshot::channel();
        let store = Self {
            writer: Writer::start(
                connection,
                database.clone(),
                Arc::clone(&changes),
                Arc::clone(&audit_keys),
            )?,
            readers: Readers::new(database.clone()),
            changes,
            master,
            audit_keys,
            database,
            _listener: listener,
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
            let mut any = write
                .connection
                .prepare_cached("SELECT 1 FROM cp_organisations LIMIT 1")?;
            Ok(any.query_row((), |_| Ok(()))?)
        })
        .await
    }

    /// Where the data is, for what needs a connection of its own.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Runs `mutation` in a transaction of its own; returns after the commit has reached the disk.
    async fn write<T, F>(&self, mutation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Write<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.writer.submit(Urgency::Urgent, mutation).await
    }

    /// Removes the rows that `sql` says, which takes the age up to which and how many at most; bit by
    /// bit, so that a kill waits for one bit and not for all. Gives how many they were.
    async fn purge(&self, sql: &'static str, until: i64) -> Result<usize, StoreError> {
        let mut gone = 0;
        loop {
            let mutation = move |write: &mut Write<'_>| {
                let mut statement = write.connection.prepare_cached(sql)?;
                Ok(statement.execute((until, PURGED_AT_ONCE))?)
            };
            let bit = self.writer.submit(Urgency::Bulky, mutation).await?;
            gone += bit;
            if bit < PURGED_AT_ONCE as usize {
                return Ok(gone);
            }
        }
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

/// Whether the database answers and opens with the master key. Nothing is changed.
///
/// # Errors
/// When it does not.
pub(crate) fn check(database: &Database, master: &MasterKey) -> Result<(), StoreError> {
    check_master_key(&database.connect_read_only()?, master)
}

/// What one organisation's key was sealed with must open it, else none of the rest would either.
fn check_master_key(connection: &Connection, master: &MasterKey) -> Result<(), StoreError> {
    let sealed: Option<(String, Vec<u8>)> = connection
        .prepare_cached("SELECT id, token_key FROM cp_organisations ORDER BY id LIMIT 1")?
        .query_row((), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((org_id, sealed)) = sealed {
        master.open(&token_key_label(&org_id), &sealed)?;
    }
    Ok(())
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

/// A Rust number as databases keep it. What does not fit (after the year 290000) is kept at the end.
fn sql_integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The database's number as Rust has it; a negative one, which nothing writes, reads as 0.
fn from_sql_integer(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        SqlError::from(error).into()
    }
}

impl From<::postgres::Error> for StoreError {
    fn from(error: ::postgres::Error) -> Self {
        SqlError::from(error).into()
    }
}
