//! How long events are kept. What is removed leaves a signed statement, from which the rest of the
//! chain is still verified.

use clampd_model::AuditEvent;
use clampd_token::{AuditBroken, AuditStatementKind};

use super::{
    append,
    row::{AUDIT_COLUMNS, columns_of},
    statements::{TrailEnds, signed},
};
use crate::{
    clock, random,
    store::{Store, StoreError, Write, from_sql_integer, queue::Urgency, sql_integer},
};

/// How many events one transaction removes at most: a kill may wait behind it.
const CUT_EVENTS: i64 = 500;

const DAY_MICROS: u64 = 86_400 * 1_000_000;

impl Store {
    /// For how many days events are kept; none when for ever.
    pub(crate) async fn audit_retention(&self, org_id: String) -> Result<Option<u32>, StoreError> {
        self.read(move |connection| {
            Ok(connection
                .prepare_cached("SELECT audit_retention_days FROM cp_organisations WHERE id = ?1")?
                .query_row([&org_id], |row| row.get(0))?)
        })
        .await
    }

    /// Sets it, and notes it in the trail.
    pub(crate) async fn set_audit_retention(
        &self,
        org_id: String,
        days: Option<u32>,
        by: String,
        request_id: String,
    ) -> Result<(), StoreError> {
        let kept = days.map_or_else(|| "for ever".to_owned(), |days| format!("{days} days"));
        let event = AuditEvent {
            event_id: random::uuid()?,
            request_id,
            tool_action: "set_audit_retention".to_owned(),
            policy_reason: format!("events are kept {kept}, by {by}"),
            timestamp: clock::unix_micros(),
            ..AuditEvent::default()
        };
        self.write(move |write| {
            write
                .connection
                .prepare_cached(
                    "UPDATE cp_organisations SET audit_retention_days = ?2 WHERE id = ?1",
                )?
                .execute((&org_id, days))?;
            append(write, &org_id, vec![event]).map(|_| ())
        })
        .await
    }

    /// Removes events that were kept long enough, a bounded number of each organisation's; says
    /// whether there may be more.
    pub(crate) async fn cut_trails(&self, now_micros: u64) -> Result<bool, StoreError> {
        let kept: Vec<(String, u32)> = self
            .read(|connection| {
                let kept = connection
                    .prepare_cached(
                        "SELECT id, audit_retention_days FROM cp_organisations
                         WHERE audit_retention_days IS NOT NULL",
                    )?
                    .query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect::<Result<_, _>>()?;
                Ok(kept)
            })
            .await?;
        let mut more = false;
        for (org_id, days) in kept {
            let before = now_micros.saturating_sub(u64::from(days).saturating_mul(DAY_MICROS));
            more |= self
                .writer
                .submit(Urgency::Bulky, move |write| cut(write, &org_id, before))
                .await?;
        }
        Ok(more)
    }
}

/// Removes events from before then; says whether there may be more. A trail that is broken or whose
/// ends are not signed is left as it is: it is evidence.
fn cut(write: &mut Write<'_>, org_id: &str, before: u64) -> Result<bool, StoreError> {
    let connection = write.connection;
    let key = write.audit_keys.of(connection, org_id)?;
    let ends = TrailEnds::read(connection, org_id, &key)?;
    if ends.statement.is_none() {
        tracing::error!(
            org_id,
            "audit trail is not signed; nothing of it is removed"
        );
        return Ok(false);
    }
    let columns = AUDIT_COLUMNS.join(", ");
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {columns} FROM cp_audit_events WHERE org_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"
    ))?;
    let mut rows = statement.query((org_id, sql_integer(ends.begin.seq), CUT_EVENTS))?;
    let mut walk = ends.begin.clone();
    while let Some(row) = rows.next()? {
        if from_sql_integer(row.get("received_at")?) >= before {
            break;
        }
        let chain_hash: String = row.get("chain_hash")?;
        if let Err(AuditBroken(seq)) = walk.step(columns_of(row.cells()), &chain_hash) {
            tracing::error!(
                org_id,
                seq,
                "audit trail is broken; nothing of it is removed"
            );
            return Ok(false);
        }
    }
    let removed = walk.seq - ends.begin.seq;
    if removed == 0 {
        return Ok(false);
    }
    connection
        .prepare_cached("DELETE FROM cp_audit_events WHERE org_id = ?1 AND seq <= ?2")?
        .execute((org_id, sql_integer(walk.seq)))?;
    let statement = signed(AuditStatementKind::Cut, org_id, &walk, &key);
    connection
        .prepare_cached("UPDATE cp_organisations SET audit_cut = ?2 WHERE id = ?1")?
        .execute((org_id, statement))?;
    Ok(i64::try_from(removed).is_ok_and(|removed| removed == CUT_EVENTS))
}

#[cfg(test)]
mod tests {
    use clampd_model::AuditEvent;

    use super::DAY_MICROS;
    use crate::{clock, config::StorageArguments, seal::MasterKey, store::Store};

    const ORG: &str = "o";

    async fn append(store: &Store, id: &str) {
        let event = AuditEvent {
            event_id: id.to_owned(),
            ..AuditEvent::default()
        };
        let taken = store.append_audit_events(ORG.to_owned(), vec![event]).await;
        assert_eq!(taken.unwrap().accepted, 1);
    }

    #[tokio::test]
    async fn what_was_kept_long_enough_is_cut_off_and_the_rest_is_still_proven() {
        let directory = tempfile::TempDir::new().unwrap();
        let storage = StorageArguments::in_directory(directory.path());
        crate::store::initialise(&storage, Some(ORG.to_owned()), "o").unwrap();
        let master = MasterKey::load(&storage).unwrap();
        let (store, _closed) = Store::open(storage.database().unwrap(), master).unwrap();
        let check = async || store.verify_trail(ORG.to_owned()).await.unwrap();
        for id in ["1", "2"] {
            append(&store, id).await;
        }
        let set = store.set_audit_retention(ORG.to_owned(), Some(30), String::new(), String::new());
        set.await.unwrap();
        let now = clock::unix_micros();
        let later = now + 31 * DAY_MICROS;
        assert!(!store.cut_trails(now).await.unwrap());
        assert_eq!((check().await.first, check().await.events), (1, 3));

        assert!(!store.cut_trails(later).await.unwrap());
        let cut = check().await;
        assert_eq!((cut.valid, cut.first, cut.events), (true, 4, 0));
        append(&store, "4").await;
        let grown = check().await;
        assert_eq!((grown.valid, grown.first, grown.events), (true, 4, 1));
        let span = store.trail_span(ORG.to_owned(), 0).await.unwrap().unwrap();
        assert_eq!((span.begin.seq, span.end.seq), (3, 4));
        assert!(span.cut.is_some() && span.statement.is_some());

        // What was altered is evidence, however old.
        let path = directory.path().join(crate::store::DATABASE_FILE);
        let database = rusqlite::Connection::open(path).unwrap();
        let edit = "UPDATE cp_audit_events SET tool_name = 'x'";
        database.execute(edit, []).unwrap();
        assert!(!store.cut_trails(later).await.unwrap());
        assert_eq!(check().await.broken_at, Some(4));
        // Nor does a cut that nobody signed make the beginning go away.
        let forged = "UPDATE cp_organisations SET audit_cut = 'x'";
        database.execute(forged, []).unwrap();
        assert!(!check().await.signed);
    }
}
