//! SQL as the store speaks it: one dialect, whichever database answers.
//!
//! Statements name their parameters `?1`, `?2`, …, replace rows by `ON CONFLICT … DO UPDATE`, and
//! use the types TEXT, INTEGER (64 bits), REAL, BLOB and BOOLEAN. What each database makes of that
//! is in `sqlite.rs` and `postgres.rs`; where the data is, in `database.rs`.

mod cell;
mod params;

use std::{cell::RefCell, fmt, sync::Arc, vec};

pub(crate) use self::{
    cell::{Cell, FromCell, ToCell},
    params::Params,
};
use super::{postgres::Session, sqlite};

/// Why the database did not do it.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// SQLite says why.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL says why.
    #[error("{}", super::postgres::explained(.0))]
    Postgres(#[from] postgres::Error),
    /// A row was wanted and there is none.
    #[error("no row")]
    NoRow,
    /// A column is not there, or holds another type or an unknown word.
    #[error("column `{0}` cannot be read")]
    Column(String),
}

/// A connection to the database.
pub(crate) struct Connection(Backend);

enum Backend {
    Sqlite(rusqlite::Connection),
    Postgres(Box<RefCell<Session>>),
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

impl From<rusqlite::Connection> for Connection {
    fn from(connection: rusqlite::Connection) -> Self {
        Self(Backend::Sqlite(connection))
    }
}

impl From<Session> for Connection {
    fn from(session: Session) -> Self {
        Self(Backend::Postgres(Box::new(RefCell::new(session))))
    }
}

impl Connection {
    /// The statement, prepared once for the life of the connection.
    pub(crate) fn prepare_cached(&self, sql: &str) -> Result<Statement<'_>, SqlError> {
        Ok(Statement(match &self.0 {
            Backend::Sqlite(connection) => Prepared::Sqlite(connection.prepare_cached(sql)?),
            Backend::Postgres(session) => {
                let statement = session.borrow_mut().prepare(sql)?;
                Prepared::Postgres(session, statement)
            }
        }))
    }

    /// Runs statements that have no parameters and whose rows nobody wants.
    pub(crate) fn execute_batch(&self, sql: &str) -> Result<(), SqlError> {
        match &self.0 {
            Backend::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            Backend::Postgres(session) => session.borrow_mut().batch(sql),
        }
    }

    /// Begins a transaction that may write: nobody else writes, here or in another process, until
    /// it ends.
    pub(super) fn begin_writing(&self) -> Result<(), SqlError> {
        self.execute_batch(match &self.0 {
            Backend::Sqlite(_) => "BEGIN IMMEDIATE",
            Backend::Postgres(_) => super::postgres::BEGIN_WRITING,
        })
    }

    /// Begins a transaction that sees one state of the database, whoever writes.
    pub(super) fn begin_reading(&self) -> Result<(), SqlError> {
        self.execute_batch(match &self.0 {
            Backend::Sqlite(_) => "BEGIN",
            Backend::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        })
    }

    /// Ends the transaction; what it wrote has reached the disk when this returns.
    pub(super) fn commit(&self) -> Result<(), SqlError> {
        self.execute_batch("COMMIT")
    }

    /// Ends the transaction as if it had not been.
    pub(super) fn rollback(&self) -> Result<(), SqlError> {
        self.execute_batch("ROLLBACK")
    }

    /// Tells the other processes over the same database, once this transaction is committed.
    pub(super) fn notify(&self, text: &str) -> Result<(), SqlError> {
        match &self.0 {
            // Nobody else serves the file.
            Backend::Sqlite(_) => Ok(()),
            Backend::Postgres(_) => {
                let sql = "SELECT pg_notify(?1, ?2)";
                let mut notify = self.prepare_cached(sql)?;
                notify.query((super::postgres::CHANNEL, text)).map(|_| ())
            }
        }
    }

    /// Whether the connection is of no use any more.
    pub(super) fn is_broken(&self) -> bool {
        match &self.0 {
            Backend::Sqlite(_) => false,
            Backend::Postgres(session) => session.borrow().is_closed(),
        }
    }
}

/// A prepared statement.
pub(crate) struct Statement<'c>(Prepared<'c>);

enum Prepared<'c> {
    Sqlite(rusqlite::CachedStatement<'c>),
    Postgres(&'c RefCell<Session>, postgres::Statement),
}

impl Statement<'_> {
    /// Runs it; returns how many rows it changed.
    pub(crate) fn execute(&mut self, params: impl Params) -> Result<usize, SqlError> {
        let params = params.into_cells();
        match &mut self.0 {
            Prepared::Sqlite(statement) => sqlite::execute(statement, params),
            Prepared::Postgres(session, statement) => {
                session.borrow_mut().execute(statement, &params)
            }
        }
    }

    /// Runs it; returns its rows.
    pub(crate) fn query(&mut self, params: impl Params) -> Result<Rows, SqlError> {
        let params = params.into_cells();
        let rows = match &mut self.0 {
            Prepared::Sqlite(statement) => sqlite::query(statement, params)?,
            Prepared::Postgres(session, statement) => {
                session.borrow_mut().query(statement, &params)?
            }
        };
        Ok(Rows {
            rows: rows.into_iter(),
            current: None,
        })
    }

    /// Runs it; returns what `read` makes of its first row.
    ///
    /// # Errors
    /// [`SqlError::NoRow`] when there is none; see [`OptionalExtension`].
    pub(crate) fn query_row<T>(
        &mut self,
        params: impl Params,
        read: impl FnOnce(&Row) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        read(self.query(params)?.next()?.ok_or(SqlError::NoRow)?)
    }

    /// Runs it; returns what `read` makes of each row.
    pub(crate) fn query_map<T>(
        &mut self,
        params: impl Params,
        mut read: impl FnMut(&Row) -> Result<T, SqlError>,
    ) -> Result<vec::IntoIter<Result<T, SqlError>>, SqlError> {
        let rows = self.query(params)?.rows;
        let read: Vec<_> = rows.map(|row| read(&row)).collect();
        Ok(read.into_iter())
    }

    /// Whether it has a row.
    pub(crate) fn exists(&mut self, params: impl Params) -> Result<bool, SqlError> {
        Ok(self.query(params)?.next()?.is_some())
    }
}

/// What a query answered.
#[derive(Debug)]
pub(crate) struct Rows {
    rows: vec::IntoIter<Row>,
    current: Option<Row>,
}

impl Rows {
    /// The next row.
    ///
    /// # Errors
    /// None today: all rows are there already.
    pub(crate) fn next(&mut self) -> Result<Option<&Row>, SqlError> {
        self.current = self.rows.next();
        Ok(self.current.as_ref())
    }
}

/// One row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    columns: Arc<[String]>,
    cells: Vec<Cell>,
}

impl Row {
    pub(super) fn new(columns: Arc<[String]>, cells: Vec<Cell>) -> Self {
        Self { columns, cells }
    }

    /// The column of that name or number.
    ///
    /// # Errors
    /// [`SqlError::Column`] when it is not there or holds another type.
    pub(crate) fn get<I: ColumnIndex, T: FromCell>(&self, index: I) -> Result<T, SqlError> {
        let cell = index
            .position(&self.columns)
            .and_then(|position| self.cells.get(position));
        cell.and_then(T::from_cell)
            .ok_or_else(|| SqlError::Column(index.to_string()))
    }

    /// Every column, in order.
    pub(crate) fn cells(&self) -> &[Cell] {
        &self.cells
    }
}

/// A column's name or number.
pub(crate) trait ColumnIndex: fmt::Display {
    /// The number.
    fn position(&self, columns: &[String]) -> Option<usize>;
}

impl ColumnIndex for usize {
    fn position(&self, _: &[String]) -> Option<usize> {
        Some(*self)
    }
}

impl ColumnIndex for &str {
    fn position(&self, columns: &[String]) -> Option<usize> {
        columns.iter().position(|column| column == self)
    }
}

/// Makes "no row" an answer.
pub(crate) trait OptionalExtension<T> {
    /// None where there was no row.
    fn optional(self) -> Result<Option<T>, SqlError>;
}

impl<T> OptionalExtension<T> for Result<T, SqlError> {
    fn optional(self) -> Result<Option<T>, SqlError> {
        match self {
            Ok(found) => Ok(Some(found)),
            Err(SqlError::NoRow) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
