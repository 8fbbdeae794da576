//! The one thread that writes.
//!
//! It takes what waits, runs each mutation in a savepoint of one transaction, commits, wakes the
//! polls of the organisations that changed, and only then answers. One flush to disk so serves
//! all who waited at the same time.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{Changes, SectionName, StoreError, from_sql_integer, sql_integer};

/// How many mutations may wait; more wait for room.
const QUEUE_MAX: usize = 1_024;

/// How many mutations share one commit at most.
const BATCH_MAX: usize = 256;

/// What a mutation may do within its transaction.
pub(crate) struct Write<'c> {
    /// The connection, inside the mutation's savepoint.
    pub(crate) connection: &'c Connection,
    touched: Vec<(String, u64)>,
}

impl Write<'_> {
    /// Moves the organisation's revision and that of the sections; returns the new revision.
    pub(crate) fn touch(
        &mut self,
        org_id: &str,
        sections: &[SectionName],
    ) -> Result<u64, StoreError> {
        let revision: i64 = self
            .connection
            .prepare_cached(
                "UPDATE organisations SET revision = revision + 1 WHERE id = ?1 RETURNING revision",
            )?
            .query_row([org_id], |row| row.get(0))?;
        let revision = from_sql_integer(revision);
        let mut upsert = self.connection.prepare_cached(
            "INSERT INTO sections (org_id, name, revision) VALUES (?1, ?2, ?3)
             ON CONFLICT (org_id, name) DO UPDATE SET revision = excluded.revision",
        )?;
        for section in sections {
            upsert.execute((org_id, section.as_str(), sql_integer(revision)))?;
        }
        self.touched.push((org_id.to_owned(), revision));
        Ok(revision)
    }
}

/// Answers the caller of a mutation; told whether it was committed.
type Reply = Box<dyn FnOnce(bool) + Send>;

struct Outcome {
    keep: bool,
    reply: Reply,
}

type Mutation = Box<dyn FnOnce(&mut Write<'_>) -> Outcome + Send>;

/// The way to the writing thread, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Mutation>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(connection: Connection, changes: Arc<Changes>) -> Result<Self, StoreError> {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(&connection, waiting, &changes))
            .map_err(|_| StoreError::NotCommitted)?;
        Ok(Self { queue })
    }

    pub(super) async fn submit<T, F>(&self, mutation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Write<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let mutation: Mutation = Box::new(move |write| {
            let outcome = mutation(write);
            let keep = outcome.is_ok();
            let reply = Box::new(move |committed: bool| {
                let outcome = match outcome {
                    Ok(_) if !committed => Err(StoreError::NotCommitted),
                    outcome => outcome,
                };
                // A caller that has gone away does not want the answer.
                let _ = answer.send(outcome);
            });
            Outcome { keep, reply }
        });
        self.queue
            .send(mutation)
            .await
            .map_err(|_| StoreError::NotCommitted)?;
        answered.await.unwrap_or(Err(StoreError::NotCommitted))
    }
}

fn run(connection: &Connection, mut waiting: mpsc::Receiver<Mutation>, changes: &Changes) {
    while let Some(first) = waiting.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX {
            match waiting.try_recv() {
                Ok(next) => batch.push(next),
                Err(_) => break,
            }
        }
        commit_together(connection, batch, changes);
    }
}

fn commit_together(connection: &Connection, batch: Vec<Mutation>, changes: &Changes) {
    if let Err(error) = connection.execute_batch("BEGIN IMMEDIATE") {
        // Dropping the mutations tells their callers that nothing was committed.
        tracing::error!(%error, "cannot begin a transaction");
        return;
    }
    let mut write = Write {
        connection,
        touched: Vec::new(),
    };
    let replies: Vec<Reply> = batch
        .into_iter()
        .filter_map(|mutation| run_one(&mut write, mutation))
        .collect();
    let committed = match connection.execute_batch("COMMIT") {
        Ok(()) => true,
        Err(error) => {
            tracing::error!(%error, "cannot commit");
            // SQLite may have rolled back by itself, and then there is nothing to roll back.
            let _ = connection.execute_batch("ROLLBACK");
            false
        }
    };
    if committed {
        // In order, so that the last one is published where an organisation changed twice.
        let last: BTreeMap<String, u64> = write.touched.into_iter().collect();
        last.iter()
            .for_each(|(org_id, revision)| changes.publish(org_id, *revision));
    }
    replies.into_iter().for_each(|reply| reply(committed));
}

/// Runs one mutation in its savepoint. One that fails, or panics, leaves nothing behind.
fn run_one(write: &mut Write<'_>, mutation: Mutation) -> Option<Reply> {
    let touched_before = write.touched.len();
    if let Err(error) = write.connection.execute_batch("SAVEPOINT mutation") {
        tracing::error!(%error, "cannot begin a mutation");
        return None;
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| mutation(write))).ok();
    let keep = outcome.as_ref().is_some_and(|outcome| outcome.keep);
    let end = if keep {
        "RELEASE mutation"
    } else {
        write.touched.truncate(touched_before);
        "ROLLBACK TO mutation; RELEASE mutation"
    };
    if let Err(error) = write.connection.execute_batch(end) {
        tracing::error!(%error, "cannot end a mutation");
        return None;
    }
    outcome.map(|outcome| outcome.reply)
}
