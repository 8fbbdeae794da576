//! Writes that are done once, however often they are asked for.

use super::{
    Store, StoreError,
    sql::{OptionalExtension as _, SqlError},
    sql_integer,
};
use crate::clock;

/// How long an answer is kept, in seconds.
const KEPT_SECONDS: u64 = 24 * 60 * 60;

/// How many answers of an organisation are kept; beyond, keys are refused.
const KEPT_MAX: u64 = 20_000;

/// Who chose a key, and which.
#[derive(Debug, Clone)]
pub(crate) struct ChosenKey {
    pub(crate) org_id: String,
    /// The id of the API key that asks.
    pub(crate) caller: String,
    pub(crate) key: String,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// Nothing: the write is to be done now, by whoever asked.
    First,
    /// The write goes on, or nobody knows what became of it.
    Open,
    /// It was chosen for another request.
    OtherRequest,
    /// It was done, with this answer.
    Done(Vec<u8>),
    /// Too many keys were chosen within a day.
    TooMany,
}

impl ChosenKey {
    /// What an answer is sealed for.
    fn label(&self) -> String {
        let Self {
            org_id,
            caller,
            key,
        } = self;
        format!("idempotency {org_id} {caller} {key}")
    }
}

impl Store {
    /// Takes the key for a request of that hash, if nobody has.
    pub(crate) async fn begin_once(
        &self,
        chosen: ChosenKey,
        request_hash: String,
    ) -> Result<Attempt, StoreError> {
        let master = self.master().clone();
        self.write(move |write| {
            let label = chosen.label();
            let ChosenKey {
                org_id,
                caller,
                key,
            } = chosen;
            let now = clock::unix_seconds();
            let known: Option<(String, Option<Vec<u8>>)> = write
                .connection
                .prepare_cached(
                    "SELECT request_hash, answer FROM cp_idempotency
                     WHERE org_id = ?1 AND caller = ?2 AND chosen_key = ?3 AND created_at > ?4",
                )?
                .query_row(
                    (&org_id, &caller, &key, oldest_kept(now)),
                    |row| -> Result<_, SqlError> { Ok((row.get(0)?, row.get(1)?)) },
                )
                .optional()?;
            match known {
                Some((hash, _)) if hash != request_hash => return Ok(Attempt::OtherRequest),
                Some((_, None)) => return Ok(Attempt::Open),
                Some((_, Some(sealed))) => return Ok(Attempt::Done(master.open(&label, &sealed)?)),
                None => {}
            }
            let kept: i64 = write
                .connection
                .prepare_cached("SELECT count(*) FROM cp_idempotency WHERE org_id = ?1")?
                .query_row([&org_id], |row| row.get(0))?;
            if kept >= sql_integer(KEPT_MAX) {
                return Ok(Attempt::TooMany);
            }
            write
                .connection
                .prepare_cached(
                    "INSERT INTO cp_idempotency (org_id, caller, chosen_key, request_hash, created_at)
                     VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (org_id, caller, chosen_key) DO UPDATE SET answer = NULL,
                         request_hash = excluded.request_hash, created_at = excluded.created_at",
                )?
                .execute((&org_id, &caller, &key, &request_hash, sql_integer(now)))?;
            Ok(Attempt::First)
        })
        .await
    }

    /// Keeps the answer; without one, nothing was changed and the key is free again.
    pub(crate) async fn end_once(
        &self,
        chosen: ChosenKey,
        answer: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        let label = chosen.label();
        let sealed = answer
            .map(|answer| self.master().seal(&label, &answer))
            .transpose()?;
        self.write(move |write| {
            let ChosenKey {
                org_id,
                caller,
                key,
            } = chosen;
            let sql = match sealed {
                Some(_) => {
                    "UPDATE cp_idempotency SET answer = ?4
                     WHERE org_id = ?1 AND caller = ?2 AND chosen_key = ?3"
                }
                None => {
                    "DELETE FROM cp_idempotency
                     WHERE org_id = ?1 AND caller = ?2 AND chosen_key = ?3"
                }
            };
            let mut statement = write.connection.prepare_cached(sql)?;
            match sealed {
                Some(sealed) => statement.execute((&org_id, &caller, &key, sealed))?,
                None => statement.execute((&org_id, &caller, &key))?,
            };
            Ok(())
        })
        .await
    }

    /// Forgets what is older than a day.
    pub(crate) async fn purge_idempotency(&self, now: u64) -> Result<usize, StoreError> {
        const SQL: &str = "DELETE FROM cp_idempotency WHERE (org_id, caller, chosen_key) IN (SELECT
            org_id, caller, chosen_key FROM cp_idempotency WHERE created_at <= ?1
            ORDER BY created_at LIMIT ?2)";
        self.purge(SQL, oldest_kept(now)).await
    }
}

fn oldest_kept(now: u64) -> i64 {
    sql_integer(now.saturating_sub(KEPT_SECONDS))
}
