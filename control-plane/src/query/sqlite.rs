//! A query over SQLite.

mod fence;

use std::{path::Path, time::Duration};

use rusqlite::{ErrorCode, types::ValueRef};
use serde_json::{Value, json};

use self::fence::fence;
use super::{Answer, BYTES_MAX, QueryError, ROWS_MAX};
use crate::store::{DATABASE_FILE, StoreError, open_read_only};

/// Answers over the database in that directory.
pub(super) fn answer(
    directory: &Path,
    org_id: &str,
    sql: &str,
    timeout: Duration,
) -> Result<Answer, QueryError> {
    let mut connection = open_read_only(&directory.join(DATABASE_FILE))?;
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
