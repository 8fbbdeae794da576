//! Read-only SQL over one organisation's audit trail.
//!
//! Each query has a connection of its own, opened read-only. On it stands a temporary view
//! `audit_logs` over a second view that holds the organisation's rows and whose name is random: an
//! authorizer lets only that second view read the table. A query cannot name it, so it cannot
//! reach another organisation's rows, whatever it calls its own subqueries.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use clampd_model::AgentId;
use rusqlite::{
    Connection, ErrorCode,
    hooks::{AuthAction, AuthContext, Authorization},
    limits::Limit,
    types::ValueRef,
};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::{
    random,
    store::{AUDIT_COLUMNS, Store, StoreError},
};

/// The most rows of an answer.
pub(crate) const ROWS_MAX: usize = 10_000;

/// The most bytes of an answer's cells, about.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// The longest statement, in bytes.
pub(crate) const SQL_BYTES_MAX: usize = 16 * 1024;

/// The longest string that a query may make, in bytes.
const CELL_BYTES_MAX: i32 = 4 * 1024 * 1024;

/// Virtual-machine steps between looks at the clock.
const STEPS_BETWEEN_CHECKS: i32 = 1_000;

/// How many queries run at the same time; more wait.
const QUERIES_MAX: usize = 2;

/// Functions that compute and touch nothing.
const FUNCTIONS: &[&str] = &[
    "->",
    "->>",
    "abs",
    "avg",
    "ceil",
    "ceiling",
    "char",
    "coalesce",
    "concat",
    "concat_ws",
    "count",
    "cume_dist",
    "current_date",
    "current_time",
    "current_timestamp",
    "date",
    "datetime",
    "dense_rank",
    "first_value",
    "floor",
    "format",
    "glob",
    "group_concat",
    "hex",
    "ifnull",
    "iif",
    "instr",
    "json",
    "json_array_length",
    "json_each",
    "json_extract",
    "json_group_array",
    "json_tree",
    "json_type",
    "json_valid",
    "julianday",
    "lag",
    "last_value",
    "lead",
    "length",
    "like",
    "likelihood",
    "likely",
    "lower",
    "ltrim",
    "max",
    "min",
    "nth_value",
    "ntile",
    "nullif",
    "percent_rank",
    "printf",
    "quote",
    "rank",
    "replace",
    "round",
    "row_number",
    "rtrim",
    "sign",
    "strftime",
    "string_agg",
    "substr",
    "substring",
    "sum",
    "time",
    "timediff",
    "total",
    "trim",
    "typeof",
    "unicode",
    "unixepoch",
    "unlikely",
    "upper",
];

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
    fence(&mut connection, org_id, timeout)?;
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

/// Leaves the connection able to do one thing: read the organisation's `audit_logs` for a while.
fn fence(connection: &mut Connection, org_id: &str, timeout: Duration) -> Result<(), QueryError> {
    // The id becomes part of a view's text; it has no character that could end a string.
    let org_id = AgentId::parse(org_id)
        .map_err(|_| StoreError::Unreadable(crate::store::Noun::Organisation))?;
    let rows = format!("rows_{}", random::hex::<16>().map_err(StoreError::from)?);
    let columns = AUDIT_COLUMNS.join(", ");
    let views = format!(
        "CREATE TEMP VIEW {rows} AS
             SELECT {columns} FROM main.audit_events WHERE org_id = '{org_id}';
         CREATE TEMP VIEW audit_logs AS SELECT * FROM temp.{rows};"
    );
    connection.execute_batch(&views).map_err(StoreError::from)?;
    for (limit, value) in [
        (Limit::SQLITE_LIMIT_LENGTH, CELL_BYTES_MAX),
        (
            Limit::SQLITE_LIMIT_SQL_LENGTH,
            i32::try_from(SQL_BYTES_MAX).unwrap_or(i32::MAX),
        ),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 16),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
        (Limit::SQLITE_LIMIT_COLUMN, 200),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 200),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        connection
            .set_limit(limit, value)
            .map_err(StoreError::from)?;
    }
    let begun = Instant::now();
    connection
        .progress_handler(
            STEPS_BETWEEN_CHECKS,
            Some(move || begun.elapsed() >= timeout),
        )
        .map_err(StoreError::from)?;
    connection
        .authorizer(Some(move |context: AuthContext<'_>| {
            authorize(&context, &rows)
        }))
        .map_err(StoreError::from)?;
    Ok(())
}

fn authorize(context: &AuthContext<'_>, rows: &str) -> Authorization {
    let allowed = match context.action {
        AuthAction::Select | AuthAction::Recursive => true,
        AuthAction::Function { function_name } => FUNCTIONS
            .binary_search(&function_name.to_ascii_lowercase().as_str())
            .is_ok(),
        AuthAction::Read {
            table_name: "audit_events",
            ..
        } => context.accessor == Some(rows),
        AuthAction::Read {
            table_name: "audit_logs" | "json_each" | "json_tree",
            ..
        } => true,
        AuthAction::Read {
            table_name,
            column_name,
        } => {
            // The second view; or a subquery's name, of which no column is wanted.
            table_name == rows || (column_name.is_empty() && is_free_name(table_name))
        }
        _ => false,
    };
    if allowed {
        Authorization::Allow
    } else {
        Authorization::Deny
    }
}

/// Whether a subquery may be called this: no table, built-in or ours, has the name.
fn is_free_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let taken = [
        "organisations",
        "sections",
        "api_keys",
        "agents",
        "tools",
        "policies",
        "tokens_spent",
        "audit_events",
        "dbstat",
        "bytecode",
        "tables_used",
        "completion",
        "generate_series",
        "fsdir",
        "zipfile",
    ];
    !taken.contains(&name.as_str()) && !name.starts_with("sqlite") && !name.starts_with("pragma")
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

#[cfg(test)]
mod tests {
    #[test]
    fn functions_are_sorted_so_that_they_are_found() {
        assert!(super::FUNCTIONS.is_sorted());
    }
}
