//! The trail read out: for exports, and for whoever follows it.

use std::sync::Arc;

use clampd_token::AuditWalk;
use serde_json::{Map, Value};

use super::{
    row::{AUDIT_COLUMNS, json_of},
    statements::TrailEnds,
};
use crate::store::{
    Store, StoreError, from_sql_integer,
    sql::{OptionalExtension as _, Row},
    sql_integer,
};

/// An event as it is read out: its columns by name, as a query answers them.
pub(crate) type AuditRow = Map<String, Value>;

/// Where a reading of the trail begins and ends.
#[derive(Debug, Clone)]
pub(crate) struct TrailSpan {
    /// Before the first event.
    pub(crate) begin: AuditWalk,
    /// At the last event.
    pub(crate) end: AuditWalk,
    /// The signed statement that it is the last; none where it does not fit.
    pub(crate) statement: Option<String>,
    /// The signed statement about what the retention removed.
    pub(crate) cut: Option<String>,
}

impl Store {
    /// The trail as it is now, from the first event after `after` that is kept. None when there is
    /// no event of that number yet.
    pub(crate) async fn trail_span(
        &self,
        org_id: String,
        after: u64,
    ) -> Result<Option<TrailSpan>, StoreError> {
        let keys = Arc::clone(&self.audit_keys);
        self.read(move |connection| {
            let key = keys.of(connection, &org_id)?;
            let ends = TrailEnds::read(connection, &org_id, &key)?;
            let mut begin = ends.begin;
            if after > begin.seq {
                let chain_hash: Option<String> = connection
                    .prepare_cached(
                        "SELECT chain_hash FROM cp_audit_events WHERE org_id = ?1 AND seq = ?2",
                    )?
                    .query_row((&org_id, sql_integer(after)), |row| row.get(0))
                    .optional()?;
                let Some(chain_hash) = chain_hash else {
                    return Ok(None);
                };
                begin = AuditWalk {
                    seq: after,
                    chain_hash,
                };
            }
            Ok(Some(TrailSpan {
                begin,
                end: ends.end,
                statement: ends.statement,
                cut: ends.cut,
            }))
        })
        .await
    }

    /// The number of the last event.
    pub(crate) async fn trail_end(&self, org_id: String) -> Result<u64, StoreError> {
        self.read(move |connection| {
            let seq: i64 = connection
                .prepare_cached("SELECT audit_seq FROM cp_organisations WHERE id = ?1")?
                .query_row([&org_id], |row| row.get(0))?;
            Ok(from_sql_integer(seq))
        })
        .await
    }

    /// At most `events_max` events after `after`, up to `until`.
    pub(crate) async fn trail_page(
        &self,
        org_id: String,
        after: u64,
        until: u64,
        events_max: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        self.read(move |connection| {
            let columns = AUDIT_COLUMNS.join(", ");
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {columns} FROM cp_audit_events
                 WHERE org_id = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq LIMIT ?4"
            ))?;
            let span = (&org_id, sql_integer(after), sql_integer(until), events_max);
            let mut rows = statement.query(span)?;
            let mut page = Vec::new();
            while let Some(row) = rows.next()? {
                page.push(by_name(row));
            }
            Ok(page)
        })
        .await
    }
}

fn by_name(row: &Row) -> AuditRow {
    AUDIT_COLUMNS
        .iter()
        .zip(row.cells())
        .map(|(column, cell)| ((*column).to_owned(), json_of(column, cell)))
        .collect()
}
