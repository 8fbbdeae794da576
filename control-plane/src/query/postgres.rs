//! A query over PostgreSQL.

mod fence;

use std::time::{Duration, Instant};

use postgres::{Client, Statement, Transaction, error::SqlState};
use serde_json::Value;

use self::fence::fence;
use super::{Answer, BYTES_MAX, QueryError, ROWS_MAX};
use crate::store::{Postgres, QUERY_ROLE, SqlError, StoreError};

/// The most columns of an answer, as on SQLite.
const COLUMNS_MAX: usize = 200;

/// How many columns one JSON list takes; a function takes at most a hundred arguments.
const COLUMNS_A_LIST: usize = 50;

/// How many rows are fetched at a time, so that long ones are noticed before they fill the memory.
const FETCH_ROWS: i32 = 100;

/// Answers over that server, in a session of its own.
pub(super) fn answer(
    server: &Postgres,
    org_id: &str,
    sql: &str,
    timeout: Duration,
) -> Result<Answer, QueryError> {
    let sql = fence(sql).map_err(QueryError::Refused)?;
    let mut client: Client = server.client().map_err(StoreError::from)?;
    let mut transaction = client.transaction().map_err(failed)?;
    confine(&mut transaction, org_id, timeout).map_err(failed)?;
    // Dropped, the transaction is rolled back, and with it the note of whose query this is.
    run(&mut transaction, sql, timeout)
}

/// Leaves the transaction able to do one thing: read the organisation's `audit_logs` for a while.
fn confine(
    transaction: &mut Transaction<'_>,
    org_id: &str,
    timeout: Duration,
) -> Result<(), postgres::Error> {
    transaction.execute("INSERT INTO cp_query_scope VALUES ($1)", &[&org_id])?;
    transaction.batch_execute(&format!(
        "SET LOCAL statement_timeout = {};
         SET LOCAL work_mem = '4MB';
         SET LOCAL max_parallel_workers_per_gather = 0;
         SET LOCAL jit = off;
         SET LOCAL search_path = {QUERY_ROLE}, pg_catalog, pg_temp;
         SET LOCAL ROLE {QUERY_ROLE};
         SET TRANSACTION READ ONLY",
        timeout.as_millis()
    ))
}

fn run(
    transaction: &mut Transaction<'_>,
    sql: &str,
    timeout: Duration,
) -> Result<Answer, QueryError> {
    let begun = Instant::now();
    let explain = |error| explained(error, timeout);
    // By itself first: what is put around it below must not complete it.
    let asked = transaction.prepare(sql).map_err(explain)?;
    let columns: Vec<String> = asked
        .columns()
        .iter()
        .map(|column| column.name().to_owned())
        .collect();
    if !(1..=COLUMNS_MAX).contains(&columns.len()) {
        return Err(QueryError::Refused(
            "1 to 200 columns are wanted".to_owned(),
        ));
    }
    let wrapped = as_json(sql, columns.len());
    let wrapped = transaction.prepare(&wrapped).map_err(explain)?;
    let portal = transaction.bind(&wrapped, &[]).map_err(explain)?;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    loop {
        let fetched = transaction
            .query_portal(&portal, FETCH_ROWS)
            .map_err(explain)?;
        let is_last = i32::try_from(fetched.len()).is_ok_and(|count| count < FETCH_ROWS);
        for row in &fetched {
            if rows.len() >= ROWS_MAX || bytes >= BYTES_MAX {
                return Ok(Answer {
                    columns,
                    rows,
                    truncated: true,
                });
            }
            rows.push(cells(row, &wrapped, &mut bytes)?);
        }
        if is_last {
            break;
        }
        // Each fetch has the time anew.
        if begun.elapsed() >= timeout {
            return Err(QueryError::TimedOut(timeout));
        }
    }
    Ok(Answer {
        columns,
        rows,
        truncated: false,
    })
}

/// The query with its columns as JSON lists: the server knows best how each type is written.
fn as_json(sql: &str, columns: usize) -> String {
    let names: Vec<String> = (0..columns).map(|number| format!("c{number}")).collect();
    let lists: Vec<String> = names
        .chunks(COLUMNS_A_LIST)
        .map(|names| format!("pg_catalog.json_build_array({})::text", names.join(", ")))
        .collect();
    format!(
        "SELECT {} FROM (\n{sql}\n) AS q ({})",
        lists.join(", "),
        names.join(", ")
    )
}

fn cells(
    row: &postgres::Row,
    wrapped: &Statement,
    bytes: &mut usize,
) -> Result<Vec<Value>, QueryError> {
    let mut cells = Vec::new();
    for index in 0..wrapped.columns().len() {
        let list: String = row.try_get(index).map_err(failed)?;
        *bytes += list.len();
        let list: Vec<Value> = serde_json::from_str(&list)
            .map_err(|_| StoreError::from(SqlError::Column(index.to_string())))?;
        cells.extend(list);
    }
    Ok(cells)
}

fn failed(error: postgres::Error) -> QueryError {
    StoreError::from(SqlError::from(error)).into()
}

fn explained(error: postgres::Error, timeout: Duration) -> QueryError {
    let Some(told) = error.as_db_error() else {
        return failed(error);
    };
    if *told.code() == SqlState::QUERY_CANCELED {
        return QueryError::TimedOut(timeout);
    }
    if *told.code() == SqlState::INSUFFICIENT_PRIVILEGE {
        let why = "it reads something other than audit_logs";
        return QueryError::Refused(why.to_owned());
    }
    // The query's own faults: data (22), cardinality (21), transaction state (25), syntax and names
    // (42), limits (54), what is not supported (0A).
    let is_its_own = ["0A", "21", "22", "25", "42", "54"]
        .iter()
        .any(|class| told.code().code().starts_with(class));
    if is_its_own {
        QueryError::Refused(told.message().to_owned())
    } else {
        failed(error)
    }
}
