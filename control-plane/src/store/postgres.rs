//! The database server: connected to, spoken to, brought up to date.
//!
//! Who writes holds a lock on the table `cp_schema` from the first statement of a transaction to its
//! end. So of all the processes over one database one writes at a time, as the one thread does over
//! SQLite: what a mutation reads stays true until it commits, and none has to be tried again.

mod listener;
mod url;
mod wire;

use std::{collections::HashMap, fmt};

use postgres::{Client, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

pub(super) use self::listener::Listener;
use super::{
    AUDIT_COLUMNS, StoreError,
    migrations::{MIGRATIONS, for_postgres, pending},
    sql::{Cell, Connection, Row, SqlError},
};

/// What commits are told on.
pub(super) const CHANNEL: &str = "clampd";

pub(super) const BEGIN_WRITING: &str = "BEGIN; LOCK TABLE cp_schema IN EXCLUSIVE MODE";

/// The role that audit queries run as; it may read one view.
pub(crate) const QUERY_ROLE: &str = "clampd_query";

/// What makes the view, after the migrations.
const VIEW: &str = include_str!("../../migrations/postgres-view.sql");

/// A session's own settings. A commit is on disk when it is answered, whatever the server's default;
/// whoever hangs inside a transaction loses it, since others wait for its lock.
const SESSION: &str = "SET synchronous_commit = on; SET statement_timeout = '30s'; \
     SET lock_timeout = '20s'; SET idle_in_transaction_session_timeout = '10s'; \
     SET standard_conforming_strings = on";

/// Only one process brings the tables up to date at a time ("clampd" in ASCII).
const MIGRATION_LOCK: i64 = 0x63_6c_61_6d_70_64;

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
        session.migrate(Tables::Create)?;
        Ok(session.into())
    }

    /// A session over tables that are brought up to date.
    pub(super) fn open(&self) -> Result<Connection, StoreError> {
        let mut session = self.connect()?;
        session.migrate(Tables::Expect)?;
        Ok(session.into())
    }
}

/// What to do when there are no tables yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tables {
    Create,
    Expect,
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

    /// `cp_schema` says how many migrations were applied.
    fn migrate(&mut self, tables: Tables) -> Result<(), StoreError> {
        let mut transaction = self.client.transaction().map_err(SqlError::from)?;
        let mut run = || -> Result<(), StoreError> {
            let lock = format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})");
            transaction.batch_execute(&lock).map_err(SqlError::from)?;
            let there = "SELECT to_regclass('cp_schema') IS NOT NULL";
            let there = transaction.query_one(there, &[]).map_err(SqlError::from)?;
            match (there.get(0), tables) {
                (true, _) => {}
                (false, Tables::Expect) => return Err(StoreError::NotInitialised),
                (false, Tables::Create) => {
                    let schema = "CREATE TABLE cp_schema (version BIGINT NOT NULL); \
                                  INSERT INTO cp_schema VALUES (0)";
                    transaction.batch_execute(schema).map_err(SqlError::from)?;
                }
            }
            let applied = transaction
                .query_one("SELECT version FROM cp_schema", &[])
                .map_err(SqlError::from)?
                .get(0);
            let mut last = applied;
            for (version, migration) in pending(applied, MIGRATIONS)? {
                let migration = for_postgres(migration);
                transaction
                    .batch_execute(&migration)
                    .map_err(SqlError::from)?;
                last = version;
            }
            if last != applied {
                let view = VIEW.replace("{columns}", &AUDIT_COLUMNS.join(", "));
                transaction.batch_execute(&view).map_err(SqlError::from)?;
                transaction
                    .execute("UPDATE cp_schema SET version = $1", &[&last])
                    .map_err(SqlError::from)?;
            }
            Ok(())
        };
        run()?;
        transaction.commit().map_err(SqlError::from)?;
        Ok(())
    }
}

/// The server's own message, without the values that its details may repeat.
pub(super) fn explained(error: &postgres::Error) -> String {
    match error.as_db_error() {
        Some(told) => format!("{} ({})", told.message(), told.code().code()),
        None => error.to_string(),
    }
}
