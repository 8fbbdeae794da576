//! Read-only connections, shared by reads that may run at the same time.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{StoreError, schema};

/// How many reads run at the same time; more wait.
const READERS_MAX: usize = 8;

/// A pool of read-only connections.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            idle: Arc::default(),
            permits: Arc::new(Semaphore::new(READERS_MAX)),
        }
    }

    pub(super) fn connect(&self) -> Result<Connection, StoreError> {
        schema::open_read_only(&self.path)
    }

    pub(super) async fn run<T, F>(&self, reading: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| StoreError::NotCommitted)?;
        let idle = Arc::clone(&self.idle);
        let path = self.path.clone();
        let reading = move || {
            let _permit = permit;
            let pooled = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut connection = match pooled {
                Some(connection) => connection,
                None => schema::open_read_only(&path)?,
            };
            // One snapshot: a reading of several statements never sees half a mutation.
            let transaction = connection.transaction()?;
            let outcome = reading(&transaction);
            drop(transaction);
            idle.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
            outcome
        };
        // A reading that panicked is an error of this request only.
        tokio::task::spawn_blocking(reading)
            .await
            .unwrap_or(Err(StoreError::NotCommitted))
    }
}
