//! Whether the trail is as it was written.

use std::sync::Arc;

use clampd_token::{AuditBroken, AuditWalk};
use serde::Serialize;

use super::{
    row::{AUDIT_COLUMNS, columns_of},
    statements::TrailEnds,
};
use crate::store::{Store, StoreError, sql::Connection, sql_integer};

/// How many events are read in one snapshot: a long one would keep SQLite's log from shrinking, and
/// all of them are in memory.
const PAGE_EVENTS: usize = 500;

/// What a walk along the chain found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct TrailCheck {
    /// Whether every event is there and as it was written, up to the one that is signed as the last.
    pub(crate) valid: bool,
    /// How many events were found to be so.
    pub(crate) events: u64,
    /// The number of the first of them, if there is one.
    pub(crate) first: u64,
    /// The last good event's hash.
    pub(crate) head: String,
    /// The number of the first event that is missing or altered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) broken_at: Option<u64>,
    /// Whether what is said of the trail's ends is signed as it should be.
    pub(crate) signed: bool,
    /// The signed statement that the last event is the last one: worth keeping elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) statement: Option<String>,
}

/// One page of a walk: where the trail ends, where the walk stands, whether it goes on.
type Page = (TrailEnds, AuditWalk, Result<bool, AuditBroken>);

impl Store {
    /// Walks along the organisation's chain from its first event to the last.
    pub(crate) async fn verify_trail(&self, org_id: String) -> Result<TrailCheck, StoreError> {
        let mut stands: Option<AuditWalk> = None;
        loop {
            let (org_id, at) = (org_id.clone(), stands.take());
            let keys = Arc::clone(&self.audit_keys);
            let (ends, walk, outcome): Page = self
                .read(move |connection| {
                    let key = keys.of(connection, &org_id)?;
                    let ends = TrailEnds::read(connection, &org_id, &key)?;
                    // What was cut off meanwhile cannot be walked along any more.
                    let mut walk = at
                        .filter(|at| at.seq >= ends.begin.seq)
                        .unwrap_or_else(|| ends.begin.clone());
                    let outcome = walk_on(connection, &org_id, &mut walk, PAGE_EVENTS)?;
                    Ok((ends, walk, outcome))
                })
                .await?;
            if outcome == Ok(true) {
                stands = Some(walk);
            } else {
                return Ok(judged(ends, walk, outcome.err()));
            }
        }
    }
}

fn judged(ends: TrailEnds, walk: AuditWalk, broken: Option<AuditBroken>) -> TrailCheck {
    // Events that are missing at the end, or that nothing says the end of.
    let cut_off = (walk != ends.end).then(|| AuditBroken(walk.seq + 1));
    let broken_at = broken.or(cut_off).map(|AuditBroken(seq)| seq);
    let signed = ends.statement.is_some();
    TrailCheck {
        valid: signed && broken_at.is_none(),
        events: walk.seq.saturating_sub(ends.begin.seq),
        first: ends.begin.seq + 1,
        head: walk.chain_hash,
        broken_at,
        signed,
        statement: ends.statement.filter(|_| broken_at.is_none()),
    }
}

/// Walks along at most `events_max` events more; says whether there may be others after them.
pub(super) fn walk_on(
    connection: &Connection,
    org_id: &str,
    walk: &mut AuditWalk,
    events_max: usize,
) -> Result<Result<bool, AuditBroken>, StoreError> {
    let columns = AUDIT_COLUMNS.join(", ");
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {columns} FROM cp_audit_events WHERE org_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"
    ))?;
    let limit = i64::try_from(events_max).unwrap_or(i64::MAX);
    let mut rows = statement.query((org_id, sql_integer(walk.seq), limit))?;
    let mut walked = 0;
    while let Some(row) = rows.next()? {
        let chain_hash: String = row.get("chain_hash")?;
        if let Err(broken) = walk.step(columns_of(row.cells()), &chain_hash) {
            return Ok(Err(broken));
        }
        walked += 1;
    }
    Ok(Ok(walked == events_max))
}
