//! What a query may touch.
//!
//! Each query has a connection of its own, opened read-only. On it stands a temporary view
//! `audit_logs` over a second view that holds the organisation's rows and whose name is random: an
//! authorizer lets only that second view read the table. A query cannot name it, so it cannot
//! reach another organisation's rows, whatever it calls its own subqueries.
//!
//! The authorizer alone is not enough: SQLite does not ask it about columns that `USING` and
//! `NATURAL JOIN` read. So a query must not contain the name of any table, in whatever quotes; the
//! tables' names begin with `cp_`, so that no honest query does.

use std::time::{Duration, Instant};

use clampd_model::AgentId;
use rusqlite::{
    Connection,
    hooks::{AuthAction, AuthContext, Authorization},
    limits::Limit,
};

use crate::{
    query::{QueryError, SQL_BYTES_MAX},
    random,
    store::{AUDIT_COLUMNS, Noun, StoreError},
};

/// The longest string that a query may make, in bytes.
const CELL_BYTES_MAX: i32 = 256 * 1024;

/// Virtual-machine steps between looks at the clock: few, since one function may work long on long
/// strings.
const STEPS_BETWEEN_CHECKS: i32 = 20;

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
    "json_array",
    "json_array_length",
    "json_each",
    "json_extract",
    "json_group_array",
    "json_group_object",
    "json_object",
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

/// Leaves the connection able to do one thing: read the organisation's `audit_logs` for a while.
///
/// # Errors
/// When `sql` names what it must not, or the database fails.
pub(super) fn fence(
    connection: &mut Connection,
    org_id: &str,
    sql: &str,
    timeout: Duration,
) -> Result<(), QueryError> {
    refuse_names(connection, sql)?;
    // The id becomes part of a view's text; it has no character that could end a string.
    let org_id = AgentId::parse(org_id).map_err(|_| StoreError::Unreadable(Noun::Organisation))?;
    let rows = format!("rows_{}", random::hex::<16>().map_err(StoreError::from)?);
    let columns = AUDIT_COLUMNS.join(", ");
    let views = format!(
        "CREATE TEMP VIEW {rows} AS
             SELECT {columns} FROM main.cp_audit_events WHERE org_id = '{org_id}';
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

/// Names, or beginnings of names, of what SQLite has built in and may tell.
const BUILT_IN: [&str; 5] = ["sqlite_", "pragma_", "dbstat", "bytecode", "tables_used"];

/// Refuses a query that contains the name of a table. Names hold no quotes, so however a query
/// quotes one, it stands there as it is.
fn refuse_names(connection: &Connection, sql: &str) -> Result<(), QueryError> {
    let sql = sql.to_ascii_lowercase();
    let tables = tables(connection).map_err(StoreError::from)?;
    let mut names = tables.iter().map(String::as_str).chain(BUILT_IN);
    match names.find(|name| sql.contains(name)) {
        Some(name) => Err(QueryError::Refused(format!("it must not contain `{name}`"))),
        None => Ok(()),
    }
}

fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT lower(name) FROM main.sqlite_schema WHERE type IN ('table', 'view')";
    connection
        .prepare(sql)?
        .query_map([], |row| row.get(0))?
        .collect()
}

fn authorize(context: &AuthContext<'_>, rows: &str) -> Authorization {
    let allowed = match context.action {
        AuthAction::Select | AuthAction::Recursive => true,
        AuthAction::Function { function_name } => FUNCTIONS
            .binary_search(&function_name.to_ascii_lowercase().as_str())
            .is_ok(),
        AuthAction::Read {
            table_name: "cp_audit_events",
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
            // The second view; or a subquery of which no column is wanted, by its name.
            table_name == rows || column_name.is_empty()
        }
        _ => false,
    };
    if allowed {
        Authorization::Allow
    } else {
        Authorization::Deny
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn functions_are_sorted_so_that_they_are_found() {
        assert!(super::FUNCTIONS.is_sorted());
    }
}
