//! The tables on the server: made, and brought up to date.

use postgres::{Client, Transaction};

use crate::store::{
    AUDIT_COLUMNS, StoreError,
    migrations::{MIGRATIONS, for_postgres, pending},
};

/// What makes the view for audit queries, after the migrations.
const VIEW: &str = include_str!("../../../migrations/postgres-view.sql");

/// What a process holds while it brings the tables up to date.
const LOCK: i64 = 8_317_620_115;

/// What to do when there are no tables yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tables {
    Create,
    Expect,
}

/// Applies the migrations that are still to be applied; `cp_schema` says how many were.
pub(super) fn migrate(client: &mut Client, tables: Tables) -> Result<(), StoreError> {
    let mut transaction = client.transaction()?;
    transaction.batch_execute(&format!(
        "SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({LOCK})"
    ))?;
    let there = transaction.query_one("SELECT to_regclass('cp_schema') IS NOT NULL", &[])?;
    match (there.try_get(0)?, tables) {
        (true, _) => {}
        (false, Tables::Expect) => return Err(StoreError::NotInitialised),
        (false, Tables::Create) => create(&mut transaction)?,
    }
    // As a writer does: else the two would wait for each other's tables.
    transaction.batch_execute("LOCK TABLE cp_schema IN EXCLUSIVE MODE")?;
    let applied = transaction.query_one("SELECT version FROM cp_schema", &[])?;
    let applied: i64 = applied.try_get(0)?;
    let mut last = applied;
    for (version, migration) in pending(applied, MIGRATIONS)? {
        transaction.batch_execute(&for_postgres(migration))?;
        last = version;
    }
    if last != applied {
        let view = VIEW.replace("{columns}", &AUDIT_COLUMNS.join(", "));
        transaction.batch_execute(&view)?;
        transaction.execute("UPDATE cp_schema SET version = $1", &[&last])?;
    }
    Ok(transaction.commit()?)
}

fn create(transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
    let encoding = "SELECT current_setting('server_encoding') = 'UTF8'";
    if !transaction
        .query_one(encoding, &[])?
        .try_get::<_, bool>(0)?
    {
        return Err(StoreError::Encoding);
    }
    Ok(transaction.batch_execute(
        "CREATE TABLE cp_schema (version BIGINT NOT NULL); INSERT INTO cp_schema VALUES (0)",
    )?)
}
