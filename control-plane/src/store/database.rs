//! Where the data is, and connections to it.

use std::{path::PathBuf, sync::Arc};

use super::{
    StoreError,
    postgres::Postgres,
    sql::Connection,
    sqlite::{self, DATABASE_FILE},
};

/// The database that a service keeps its data in.
#[derive(Debug, Clone)]
pub(crate) enum Database {
    /// The embedded one, in this directory.
    Sqlite(PathBuf),
    /// A server that several services may share.
    Postgres(Arc<Postgres>),
}

impl Database {
    /// Makes the tables in a database that is empty.
    pub(super) fn create(&self) -> Result<Connection, StoreError> {
        match self {
            Self::Sqlite(directory) => Ok(sqlite::create(&directory.join(DATABASE_FILE))?.into()),
            Self::Postgres(server) => server.create(),
        }
    }

    /// A connection that may write, over tables that are brought up to date.
    pub(super) fn open(&self) -> Result<Connection, StoreError> {
        match self {
            Self::Sqlite(directory) => Ok(sqlite::open(&directory.join(DATABASE_FILE))?.into()),
            Self::Postgres(server) => server.open(),
        }
    }

    /// A connection for the writing thread, when the one that it had broke.
    pub(super) fn connect(&self) -> Result<Connection, StoreError> {
        match self {
            Self::Sqlite(_) => self.open(),
            Self::Postgres(server) => Ok(server.connect()?.into()),
        }
    }

    /// A connection that only reads.
    pub(super) fn connect_read_only(&self) -> Result<Connection, StoreError> {
        match self {
            Self::Sqlite(directory) => {
                Ok(sqlite::open_read_only(&directory.join(DATABASE_FILE))?.into())
            }
            // Each of its transactions is begun as one that only reads.
            Self::Postgres(server) => Ok(server.connect()?.into()),
        }
    }
}
