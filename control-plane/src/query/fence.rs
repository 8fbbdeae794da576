//! What a query may touch.
//!
//! Each query has a connection of its own, opened read-only. On it stands a temporary view
//! `audit_logs` over a second view that holds the organisation's rows and whose name is random: an
//! authorizer lets only that second view read the table. A query cannot name it, so it cannot
//! reach another organisation's rows, whatever it calls its own subqueries.

use std::time::{Duration, Instant};

use clampd_model::AgentId;
use rusqlite::{
    Connection,
    hooks::{AuthAction, AuthContext, Authorization},
    limits::Limit,
};

use super::{QueryError, SQL_BYTES_MAX};
use crate::{
    random,
    store::{AUDIT_COLUMNS, Noun, StoreError},
};

/// The longest string that a query may make, in bytes.
const CELL_BYTES_MAX: i32 = 4 * 1024 * 1024;

/// Virtual-machine steps between looks at the clock.
const STEPS_BETWEEN_CHECKS: i32 = 1_000;

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

/// Leaves the connection able to do one thing: read the organisation's `audit_logs` for a while.
pub(super) fn fence(
    connection: &mut Connection,
    org_id: &str,
    timeout: Duration,
) -> Result<(), QueryError> {
    // The id becomes part of a view's text; it has no character that could end a string.
    let org_id = AgentId::parse(org_id).map_err(|_| StoreError::Unreadable(Noun::Organisation))?;
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

#[cfg(test)]
mod tests {
    #[test]
    fn functions_are_sorted_so_that_they_are_found() {
        assert!(super::FUNCTIONS.is_sorted());
    }
}
