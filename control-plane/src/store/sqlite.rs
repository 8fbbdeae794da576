//! The embedded database: a file, opened and spoken to.

use std::{path::Path, sync::Arc, time::Duration};

use rusqlite::{
    CachedStatement, Connection, OpenFlags, params_from_iter,
    types::{ToSqlOutput, Value, ValueRef},
};

use super::{
    StoreError,
    migrations::{MIGRATIONS, pending},
    sql::{Cell, Row, SqlError},
};

/// The database's file in the data directory.
pub const DATABASE_FILE: &str = "clampd.db";

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How many statements a connection keeps prepared.
const STATEMENTS_MAX: usize = 128;

/// Makes an empty database file; the caller has made sure that there is none.
pub(super) fn create(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    prepare(Connection::open_with_flags(path, flags)?)
}

/// Opens a database that exists for writing.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    prepare(Connection::open_with_flags(path, flags)?)
}

/// Opens a database that exists for reading only.
pub(crate) fn open_read_only(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

fn prepare(mut connection: Connection) -> Result<Connection, StoreError> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    migrate(&mut connection)?;
    Ok(connection)
}

/// `user_version` counts the migrations that were applied.
fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let applied: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (version, migration) in pending(applied, MIGRATIONS)? {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

pub(super) fn execute(
    statement: &mut CachedStatement<'_>,
    params: Vec<Cell>,
) -> Result<usize, SqlError> {
    Ok(statement.execute(params_from_iter(params))?)
}

pub(super) fn query(
    statement: &mut CachedStatement<'_>,
    params: Vec<Cell>,
) -> Result<Vec<Row>, SqlError> {
    let columns: Arc<[String]> = statement.column_names().map(str::to_owned).collect();
    let mut found = Vec::new();
    let mut rows = statement.query(params_from_iter(params))?;
    while let Some(row) = rows.next()? {
        let cells = (0..columns.len())
            .map(|index| row.get_ref(index).map(cell))
            .collect::<Result<_, _>>()?;
        found.push(Row::new(Arc::clone(&columns), cells));
    }
    Ok(found)
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Real(number) => Cell::Real(number),
        ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Cell::Blob(bytes.to_vec()),
    }
}

impl rusqlite::ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Value::Null),
            Self::Bool(yes) => ToSqlOutput::Owned(Value::Integer(i64::from(*yes))),
            Self::Integer(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Self::Real(number) => ToSqlOutput::Owned(Value::Real(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Blob(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}
