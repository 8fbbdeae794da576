//! The one thread that writes.
//!
//! It takes what waits, runs each mutation in a savepoint of one transaction, commits, wakes the
//! polls of the organisations that changed, and only then answers. One flush to disk so serves
//! all who waited at the same time.

use std::{
    collections::BTreeMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    AuditKeys, Changes, SectionName, StoreError,
    changes::Told,
    database::Database,
    from_sql_integer,
    queue::{Queue, Urgency},
    sql::{Connection, SqlError},
    sql_integer,
};

/// How many mutations share one commit at most.
const BATCH_MAX: usize = 256;

/// How long a commit goes on taking mutations in: a kill must not wait for many long ones.
const BATCH_TIME: Duration = Duration::from_millis(20);

/// What a mutation may do within its transaction.
pub(crate) struct Write<'c> {
    /// The connection, inside the mutation's savepoint.
    pub(crate) connection: &'c Connection,
    /// What signs statements about the audit trail.
    pub(super) audit_keys: &'c AuditKeys,
    touched: Vec<Told>,
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
                "UPDATE cp_organisations SET revision = revision + 1 WHERE id = ?1 RETURNING revision",
            )?
            .query_row([org_id], |row| row.get(0))?;
        let revision = from_sql_integer(revision);
        let mut upsert = self.connection.prepare_cached(
            "INSERT INTO cp_sections (org_id, name, revision) VALUES (?1, ?2, ?3)
             ON CONFLICT (org_id, name) DO UPDATE SET revision = excluded.revision",
        )?;
        for section in sections {
            upsert.execute((org_id, section.as_str(), sql_integer(revision)))?;
        }
        self.touched.push(Told {
            org_id: org_id.to_owned(),
            revision,
            audit_seq: 0,
        });
        Ok(revision)
    }

    /// Says that the organisation's trail has grown to the event of that number.
    pub(super) fn trail_grew(&mut self, org_id: &str, audit_seq: u64) {
        self.touched.push(Told {
            org_id: org_id.to_owned(),
            revision: 0,
            audit_seq,
        });
    }
}

/// Answers the caller of a mutation, after the commit. Dropped, it says that there was none.
type Reply = Box<dyn FnOnce() + Send>;

struct Outcome {
    keep: bool,
    reply: Reply,
}

type Mutation = Box<dyn FnOnce(&mut Write<'_>) -> Outcome + Send>;

/// The way to the writing thread, which ends when this is dropped.
pub(super) struct Writer {
    queue: Arc<Queue<Mutation>>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(
        connection: Connection,
        database: Database,
        changes: Arc<Changes>,
        audit_keys: Arc<AuditKeys>,
    ) -> Result<Self, StoreError> {
        let queue = Arc::new(Queue::new());
        let waiting = Arc::clone(&queue);
        thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(connection, &database, &waiting, &changes, &audit_keys))
            .map_err(|_| StoreError::NotCommitted)?;
        Ok(Self { queue })
    }

    pub(super) async fn submit<T, F>(&self, urgency: Urgency, mutation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Write<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let mutation: Mutation = Box::new(move |write| {
            let outcome = mutation(write);
            let keep = outcome.is_ok();
            let reply = Box::new(move || {
                // A caller that has gone away does not want the answer.
                let _ = answer.send(outcome);
            });
            Outcome { keep, reply }
        });
        self.queue.push(urgency, mutation).await;
        answered.await.unwrap_or(Err(StoreError::NotCommitted))
    }
}

fn run(
    mut connection: Connection,
    database: &Database,
    queue: &Queue<Mutation>,
    changes: &Changes,
    audit_keys: &AuditKeys,
) {
    while let Some(first) = queue.pop() {
        if let Err(error) = begin(&mut connection, database) {
            // Dropping the mutation tells its caller that nothing was committed.
            tracing::error!(%error, "cannot begin a transaction");
            continue;
        }
        commit_together(&connection, first, queue, changes, audit_keys);
    }
}

/// Begins a transaction, on a new connection where the old one broke.
fn begin(connection: &mut Connection, database: &Database) -> Result<(), StoreError> {
    match connection.begin_writing() {
        Ok(()) => Ok(()),
        Err(_) if connection.is_broken() => {
            *connection = database.connect()?;
            Ok(connection.begin_writing()?)
        }
        Err(error) => {
            // A transaction that was given up half-way would be in the way for ever.
            let _ = connection.rollback();
            Err(error.into())
        }
    }
}

/// Commits the mutation, and those that wait when it is done.
fn commit_together(
    connection: &Connection,
    first: Mutation,
    queue: &Queue<Mutation>,
    changes: &Changes,
    audit_keys: &AuditKeys,
) {
    let mut write = Write {
        connection,
        audit_keys,
        touched: Vec::new(),
    };
    let outcome = run_all(&mut write, first, queue).and_then(|replies| {
        let last = last_of_each(std::mem::take(&mut write.touched));
        for told in &last {
            connection.notify(&told.to_string())?;
        }
        connection.commit()?;
        Ok((replies, last))
    });
    // When it was not committed the replies are dropped, which tells their callers.
    let (replies, last) = match outcome {
        Ok(committed) => committed,
        Err(error) => {
            tracing::error!(%error, "cannot commit");
            // The database may have rolled back by itself, and then there is nothing to roll back.
            let _ = connection.rollback();
            return;
        }
    };
    last.iter().for_each(|told| changes.publish(told));
    replies.into_iter().for_each(|reply| reply());
}

/// How far each organisation came, where one changed several times.
fn last_of_each(touched: Vec<Told>) -> Vec<Told> {
    let mut last: BTreeMap<String, Told> = BTreeMap::new();
    for told in touched {
        let known = last
            .entry(told.org_id.clone())
            .or_insert_with(|| told.clone());
        known.revision = known.revision.max(told.revision);
        known.audit_seq = known.audit_seq.max(told.audit_seq);
    }
    last.into_values().collect()
}

/// Runs each mutation in its savepoint. An error here spoils the whole transaction.
fn run_all(
    write: &mut Write<'_>,
    first: Mutation,
    queue: &Queue<Mutation>,
) -> Result<Vec<Reply>, SqlError> {
    let begun = Instant::now();
    let mut replies = Vec::new();
    let mut next = Some(first);
    let mut taken = 0;
    while let Some(mutation) = next {
        replies.extend(run_one(write, mutation)?);
        taken += 1;
        let full = taken >= BATCH_MAX || begun.elapsed() >= BATCH_TIME;
        next = if full { None } else { queue.try_pop() };
    }
    Ok(replies)
}

/// Runs one mutation in its savepoint. One that fails, or panics, leaves nothing behind.
fn run_one(write: &mut Write<'_>, mutation: Mutation) -> Result<Option<Reply>, SqlError> {
    let touched_before = write.touched.len();
    write.connection.execute_batch("SAVEPOINT mutation")?;
    let outcome = catch_unwind(AssertUnwindSafe(|| mutation(write))).ok();
    let keep = outcome.as_ref().is_some_and(|outcome| outcome.keep);
    let end = if keep {
        "RELEASE mutation"
    } else {
        write.touched.truncate(touched_before);
        "ROLLBACK TO mutation; RELEASE mutation"
    };
    write.connection.execute_batch(end)?;
    Ok(outcome.map(|outcome| outcome.reply))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rusqlite::Connection;

    use super::{AuditKeys, Changes, Database, StoreError, Urgency, Writer};
    use crate::seal::MasterKey;

    #[tokio::test]
    async fn a_mutation_that_fails_or_panics_leaves_nothing_behind_and_harms_no_other() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let connection = Connection::open(file.path()).unwrap();
        connection
            .execute_batch("CREATE TABLE t (n INTEGER)")
            .unwrap();
        let database = Database::Sqlite(file.path().to_owned());
        let changes = Arc::new(Changes::default());
        let keys = Arc::new(AuditKeys::new(Arc::new(MasterKey::new([7; 32]))));
        let writer = Writer::start(connection.into(), database, changes, keys).unwrap();
        let insert = |n: i64| {
            writer.submit(Urgency::Urgent, move |write| {
                let mut insert = write
                    .connection
                    .prepare_cached("INSERT INTO t VALUES (?1)")?;
                insert.execute([n])?;
                match n {
                    2 => Err(StoreError::AgentKilled),
                    3 => panic!("as a mutation should not"),
                    n => Ok(n),
                }
            })
        };
        let (one, two, three, four) = tokio::join!(insert(1), insert(2), insert(3), insert(4));
        assert!(matches!((one, four), (Ok(1), Ok(4))));
        assert!(matches!(two, Err(StoreError::AgentKilled)));
        assert!(matches!(three, Err(StoreError::NotCommitted)));
        let kept: Vec<i64> = Connection::open(file.path())
            .unwrap()
            .prepare("SELECT n FROM t ORDER BY n")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(kept, [1, 4]);
    }
}
