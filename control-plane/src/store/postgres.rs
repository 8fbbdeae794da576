//! The database server: connected to, spoken to, brought up to date.
//!
//! Who writes holds a lock on the table `cp_schema` from the first statement of a transaction to its
//! end. So of all the processes over one database one writes at a time, as the one thread does over
//! SQLite: what a mutation reads stays true until it commits, and none has to be tried again.

mod listener;
mod tables;
mod url;
mod wire;

use std::{collections::HashMap, fmt};

use postgres::{Client, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

pub(super) use self::listener::Listener;
use self::tables::{Tables, migrate};
use super::{
    StoreError,
    sql::{Cell, Connection, Row, SqlError},
};

/// What commits are told on.
pub(super) const CHANNEL: &str = "clampd";

pub(super) const BEGIN_WRITING: &str = "BEGIN; LOCK TABLE cp_schema IN EXCLUSIVE MODE";

/// The role that audit queries run as; it may read one view.
pub(crate) const QUERY_ROLE: &str = "clampd_query";

/// A session's own settings. A commit is on disk when it is answered, whatever the server's default;
/// whoever hangs inside a transaction loses it, since others wait for its lock.
const SESSION: &str = "SET synchronous_commit = on; SET statement_timeout = '30s'; \
     SET lock_timeout = '20s'; SET idle_in_transaction_session_timeout = '10s'; \
     SET standard_conforming_strings = on";

/// How many statements a session keeps prepared.
const STATEMENTS_MAX: usize = 256;

/// Which server, and how to reach it. `Debug` prints no password.
pub(crate) struct Postgres {
    config: postgres::Config,
    tls: MakeRustlsConnect,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Postgres")
    }
}

impl Postgres {
    /// A client with the settings that every session has.
    pub(crate) fn client(&self) -> Result<Client, SqlError> {
        let mut client = self.config.connect(self.tls.clone())?;
        client.batch_execute(SESSION)?;
        Ok(client)
    }

    pub(super) fn connect(&self) -> Result<Session, SqlError> {
        Ok(Session {
            client: self.client()?,
            statements: HashMap::new(),
        })
    }

    /// Makes the tables.
    pub(super) fn create(&self) -> Result<Connection, StoreError> {
        let mut session = self.connect()?;
        migrate(&mut session.client, Tables::Create)?;
        Ok(session.into())
    }

    /// A session over tables that are brought up to date.
    pub(super) fn open(&self) -> Result<Connection, StoreError> {
        let mut session = self.connect()?;
        migrate(&mut session.client, Tables::Expect)?;
        Ok(session.into())
    }
}

/// A connection to the server, with its prepared statements.
pub(crate) struct Session {
    client: Client,
    statements: HashMap<String, Statement>,
}

impl Session {
    /// The statement, prepared when it is new.
    pub(super) fn prepare(&mut self, sql: &str) -> Result<Statement, SqlError> {
        if let Some(known) = self.statements.get(sql) {
            return Ok(known.clone());
        }
        let prepared = self.client.prepare(&wire::numbered(sql))?;
        if self.statements.len() >= STATEMENTS_MAX {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), prepared.clone());
        Ok(prepared)
    }

    pub(super) fn batch(&mut self, sql: &str) -> Result<(), SqlError> {
        Ok(self.client.batch_execute(sql)?)
    }

    pub(super) fn execute(
        &mut self,
        statement: &Statement,
        params: &[Cell],
    ) -> Result<usize, SqlError> {
        let changed = self.client.execute(statement, &wire::params(params));
        let changed = self.checked(changed)?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    pub(super) fn query(
        &mut self,
        statement: &Statement,
        params: &[Cell],
    ) -> Result<Vec<Row>, SqlError> {
        let rows = self.client.query(statement, &wire::params(params));
        let rows = self.checked(rows)?;
        wire::rows(statement, &rows)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// After an error every statement is prepared anew: another process may have altered a table.
    fn checked<T>(&mut self, outcome: Result<T, postgres::Error>) -> Result<T, SqlError> {
        outcome.map_err(|error| {
            self.statements.clear();
            error.into()
        })
    }
}

/// The server's own message, without the values that its details may repeat.
pub(super) fn explained(error: &postgres::Error) -> String {
    match error.as_db_error() {
        Some(told) => format!("{} ({})", told.message(), told.code().code()),
        None => error.to_string(),
    }
}
