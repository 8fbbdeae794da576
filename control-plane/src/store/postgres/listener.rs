//! Hears what other processes over the same database commit.
//!
//! Each commit is told by NOTIFY. Where that does not arrive (a connection broke, a pooler stands
//! between) a look at the revisions, once a second, finds it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use postgres::{Client, fallible_iterator::FallibleIterator as _};

use super::{CHANNEL, Postgres};
use crate::store::{
    StoreError,
    changes::{Changes, Told},
    from_sql_integer,
    sql::SqlError,
};

/// Between looks at the revisions, and between attempts to connect.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The thread that hears. Dropped, it ends at its next look.
pub(crate) struct Listener {
    ended: Arc<AtomicBool>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

impl Listener {
    /// Starts the thread.
    pub(crate) fn start(server: Arc<Postgres>, changes: Arc<Changes>) -> Result<Self, StoreError> {
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        thread::Builder::new()
            .name("store-listener".to_owned())
            .spawn(move || {
                while !until.load(Ordering::Relaxed) {
                    if let Err(error) = listen(&server, &changes, &until) {
                        tracing::warn!(%error, "cannot hear of other replicas' changes");
                        thread::sleep(LOOK_INTERVAL);
                    }
                }
            })
            .map_err(|_| StoreError::NotCommitted)?;
        Ok(Self { ended })
    }
}

/// Publishes what is told until the connection breaks or the service ends.
fn listen(server: &Postgres, changes: &Changes, until: &AtomicBool) -> Result<(), SqlError> {
    let mut client = server.client()?;
    client.batch_execute(&format!("LISTEN {CHANNEL}"))?;
    while !until.load(Ordering::Relaxed) {
        look(&mut client, changes)?;
        let mut notifications = client.notifications();
        let mut told = notifications.timeout_iter(LOOK_INTERVAL);
        while let Some(notification) = told.next()? {
            if let Some(told) = Told::parse(notification.payload()) {
                changes.publish(&told);
            }
            if until.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn look(client: &mut Client, changes: &Changes) -> Result<(), SqlError> {
    let sql = "SELECT id, revision, audit_seq FROM cp_organisations";
    for row in client.query(sql, &[])? {
        changes.publish(&Told {
            org_id: row.try_get(0)?,
            revision: from_sql_integer(row.try_get(1)?),
            audit_seq: from_sql_integer(row.try_get(2)?),
        });
    }
    Ok(())
}
