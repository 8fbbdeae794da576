//! Read-only SQL over one organisation's audit trail.
//!
//! Each database answers in its own dialect, behind two fences of its own.

mod postgres;
mod sqlite;

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::store::{Database, Store, StoreError};

/// The most rows of an answer.
pub(crate) const ROWS_MAX: usize = 10_000;

/// The most bytes of an answer's cells, about.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// The longest statement, in bytes.
pub(crate) const SQL_BYTES_MAX: usize = 16 * 1024;

/// How many queries run at the same time; more wait.
const QUERIES_MAX: usize = 2;

/// An answer.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct Answer {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Value>>,
    /// Whether there were more rows than an answer holds.
    pub(crate) truncated: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    /// The statement is not one that may run.
    #[error("query is refused: {0}")]
    Refused(String),
    /// It took too long.
    #[error("query took longer than {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs queries, a few at a time.
#[derive(Debug)]
pub(crate) struct Queries {
    permits: Arc<Semaphore>,
}

impl Default for Queries {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(QUERIES_MAX)),
        }
    }
}

impl Queries {
    /// Runs one SELECT over the organisation's `audit_logs`.
    ///
    /// # Errors
    /// [`QueryError`] when it may not run, takes too long, or the store fails.
    pub(crate) async fn run(
        &self,
        store: &Arc<Store>,
        org_id: String,
        sql: String,
        timeout: Duration,
    ) -> Result<Answer, QueryError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| StoreError::NotCommitted)?;
        let store = Arc::clone(store);
        let query = move || {
            let _permit = permit;
            match store.database() {
                Database::Sqlite(directory) => sqlite::answer(directory, &org_id, &sql, timeout),
                Database::Postgres(server) => postgres::answer(server, &org_id, &sql, timeout),
            }
        };
        let answered = tokio::task::spawn_blocking(query).await;
        answered.unwrap_or_else(|_| Err(StoreError::NotCommitted.into()))
    }
}
