//! Connections that only read, shared by reads that may run at the same time.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use tokio::sync::Semaphore;

use super::{StoreError, database::Database, sql::Connection};

/// How many reads run at the same time; more wait.
const READERS_MAX: usize = 8;

/// A pool of connections.
#[derive(Debug)]
pub(super) struct Readers {
    database: Database,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Drop for Readers {
    fn drop(&mut self) {
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        // To say goodbye to a server blocks, which a task of the runtime must not.
        let _ = thread::spawn(move || drop(idle)).join();
    }
}

impl Readers {
    pub(super) fn new(database: Database) -> Self {
        Self {
            database,
            idle: Arc::default(),
            permits: Arc::new(Semaphore::new(READERS_MAX)),
        }
    }

    pub(super) async fn run<T, F>(&self, reading: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| StoreError::NotCommitted)?;
        let idle = Arc::clone(&self.idle);
        let database = self.database.clone();
        let reading = move || {
            let _permit = permit;
            let connection = begun(&idle, &database)?;
            let outcome = reading(&connection);
            if connection.rollback().is_ok() {
                idle.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(connection);
            }
            outcome
        };
        // A reading that panicked is an error of this request only.
        tokio::task::spawn_blocking(reading)
            .await
            .unwrap_or(Err(StoreError::NotCommitted))
    }
}

/// A connection in a transaction: a reading of several statements never sees half a mutation.
fn begun(idle: &Mutex<Vec<Connection>>, database: &Database) -> Result<Connection, StoreError> {
    let pooled = || idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
    while let Some(connection) = pooled() {
        // One that broke while it was idle says so here.
        if connection.begin_reading().is_ok() {
            return Ok(connection);
        }
    }
    let connection = database.connect_read_only()?;
    connection.begin_reading()?;
    Ok(connection)
}
