//! Whether the trail is as it was written.

use serde::Serialize;

use super::row::{AUDIT_COLUMNS, chain};
use crate::store::{Store, StoreError, from_sql_integer, sql::Connection, sql_integer};

/// How many events are read in one snapshot: a long one would keep the log from shrinking.
const PAGE_EVENTS: i64 = 2_000;

/// What a walk along the chain found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct TrailCheck {
    /// Whether every event is there and as it was written.
    pub(crate) valid: bool,
    /// How many events were found to be so.
    pub(crate) events: u64,
    /// The last good event's hash.
    pub(crate) head: String,
    /// The number of the first event that is missing or altered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) broken_at: Option<u64>,
}

impl Store {
    /// Walks along the organisation's chain from its first event to the last.
    pub(crate) async fn verify_trail(&self, org_id: String) -> Result<TrailCheck, StoreError> {
        let mut check = TrailCheck::default();
        loop {
            let (org_id, so_far) = (org_id.clone(), check.clone());
            let (next, ended) = self
                .read(move |connection| walk(connection, &org_id, so_far))
                .await?;
            check = next;
            if ended {
                check.valid = check.broken_at.is_none();
                return Ok(check);
            }
        }
    }
}

/// Checks one page more; says whether the trail ends with it.
fn walk(
    connection: &Connection,
    org_id: &str,
    mut check: TrailCheck,
) -> Result<(TrailCheck, bool), StoreError> {
    let columns = AUDIT_COLUMNS.join(", ");
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {columns} FROM cp_audit_events WHERE org_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"
    ))?;
    let mut rows = statement.query((org_id, sql_integer(check.events), PAGE_EVENTS))?;
    let before = check.events;
    while let Some(row) = rows.next()? {
        let stored: String = row.get("chain_hash")?;
        let seq = from_sql_integer(row.get("seq")?);
        let chained = row.cells().iter().take(AUDIT_COLUMNS.len() - 1);
        if seq != check.events + 1 || chain(&check.head, chained) != stored {
            check.broken_at = Some(check.events + 1);
            return Ok((check, true));
        }
        check.events = seq;
        check.head = stored;
    }
    if check.events > before {
        return Ok((check, false));
    }
    let (last, head): (i64, String) = connection
        .prepare_cached("SELECT audit_seq, audit_head FROM cp_organisations WHERE id = ?1")?
        .query_row([org_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if from_sql_integer(last) != check.events || head != check.head {
        check.broken_at = Some(check.events + 1);
    }
    Ok((check, true))
}
