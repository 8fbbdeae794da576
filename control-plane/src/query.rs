//! Read-only SQL over one organisation's audit trail.

mod fence;

use std::{sync::Arc, time::Duration};

use rusqlite::{Connection, ErrorCode, types::ValueRef};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use self::fence::fence;
use crate::store::{Store, StoreError};

/// The most rows of an answer.
pub(crate) const ROWS_MAX: usize = 10_000;

/// The most bytes of an answer's cells, about.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// The longest statement, in bytes.
pub(crate) const SQL_BYTES_MAX: usize = 16 * 1024;

/// How many queries run at the same time; more wait.
const QUERIES_MAX: usize = 2;

/// An answer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Answer {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Value>>,
    /// Whether there were more rows than an answer holds.
    pub(crate) truncated: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    /// The statement is not one that may run.
    #[error("query is refused: {0}")]
    Refused(String),
    /// It took too long.
    #[error("query took longer than {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs queries, a few at a time.
#[derive(Debug)]
pub(crate) struct Queries {
    permits: Arc<Semaphore>,
}

impl Default for Queries {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(QUERIES_MAX)),
        }
    }
}

impl Queries {
    /// Runs one SELECT over the organisation's `audit_logs`.
    ///
    /// # Errors
    /// [`QueryError`] when it may not run, takes too long, or the store fails.
    pub(crate) async fn run(
        &self,
        store: &Arc<Store>,
        org_id: String,
        sql: String,
        timeout: Duration,
    ) -> Result<Answer, QueryError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| StoreError::NotCommitted)?;
        let store = Arc::clone(store);
        let query = move || {
            let _permit = permit;
            answer(store.connect_read_only()?, &org_id, &sql, timeout)
        };
        let answered = tokio::task::spawn_blocking(query).await;
        answered.unwrap_or_else(|_| Err(StoreError::NotCommitted.into()))
    }
}

fn answer(
    mut connection: Connection,
    org_id: &str,
    sql: &str,
    timeout: Duration,
) -> Result<Answer, QueryError> {
    fence(&mut connection, org_id, sql, timeout)?;
    let explain = |error| explained(error, timeout);
    let mut statement = connection.prepare(sql).map_err(explain)?;
    if !statement.readonly() || statement.column_count() == 0 || statement.is_explain() != 0 {
        return Err(QueryError::Refused(
            "only one SELECT over audit_logs may run".to_owned(),
        ));
    }
    if statement.parameter_count() != 0 {
        return Err(QueryError::Refused(
            "parameters are not supported".to_owned(),
        ));
    }
    let is_boolean: Vec<bool> = statement
        .columns()
        .map(|column| column.decl_type() == Some("BOOLEAN"))
        .collect();
    let columns = statement.column_names().map(str::to_owned).collect();
    let (mut rows, mut bytes, mut truncated) = (Vec::new(), 0, false);
    let mut cursor = statement.query([]).map_err(explain)?;
    while let Some(row) = cursor.next().map_err(explain)? {
        if rows.len() >= ROWS_MAX || bytes >= BYTES_MAX {
            truncated = true;
            break;
        }
        let mut cells = Vec::with_capacity(is_boolean.len());
        for (index, is_boolean) in is_boolean.iter().enumerate() {
            let cell = row.get_ref(index).map_err(explain)?;
            bytes += 16
                + cell
                    .as_bytes_or_null()
                    .ok()
                    .flatten()
                    .map_or(0, <[u8]>::len);
            cells.push(to_json(cell, *is_boolean));
        }
        rows.push(cells);
    }
    Ok(Answer {
        columns,
        rows,
        truncated,
    })
}

fn explained(error: rusqlite::Error, timeout: Duration) -> QueryError {
    match &error {
        rusqlite::Error::SqliteFailure(failure, message) => match failure.code {
            ErrorCode::OperationInterrupted => QueryError::TimedOut(timeout),
            ErrorCode::AuthorizationForStatementDenied => QueryError::Refused(
                "it reads something other than audit_logs or uses a function that is not allowed"
                    .to_owned(),
            ),
            ErrorCode::Unknown | ErrorCode::TooBig | ErrorCode::TypeMismatch => {
                QueryError::Refused(message.clone().unwrap_or_else(|| "invalid".to_owned()))
            }
            _ => StoreError::from(error).into(),
        },
        rusqlite::Error::SqlInputError {
            error: failure,
            msg,
            ..
        } => match failure.code {
            ErrorCode::AuthorizationForStatementDenied => QueryError::Refused(
                "it reads something other than audit_logs or uses a function that is not allowed"
                    .to_owned(),
            ),
            _ => QueryError::Refused(msg.clone()),
        },
        rusqlite::Error::MultipleStatement => {
            QueryError::Refused("more than one statement".to_owned())
        }
        rusqlite::Error::NulError(_) => QueryError::Refused("it holds a NUL".to_owned()),
        _ => StoreError::from(error).into(),
    }
}

fn to_json(cell: ValueRef<'_>, is_boolean: bool) -> Value {
    match cell {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) if is_boolean => Value::Bool(number != 0),
        ValueRef::Integer(number) => json!(number),
        ValueRef::Real(number) => json!(number),
        ValueRef::Text(text) => Value::String(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::String(String::from_utf8_lossy(bytes).into_owned()),
    }
}
