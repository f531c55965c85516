//! Which store a host has: SQLite in its own directory, or PostgreSQL, which it shares.

use std::path::Path;
use std::sync::Arc;
use wasmill_store::postgres::{self, PostgresStore};
use wasmill_store::sqlite::{Options, SqliteStore};
use wasmill_store::{Result, Runs as _, Store};

/// An open store, and what is special about its kind.
pub(crate) enum OpenStore {
    /// A file of this process alone.
    Sqlite(Arc<SqliteStore>),
    /// A database that other processes may have too.
    Postgres(Arc<PostgresStore>),
}

impl OpenStore {
    /// Opens the database at a `postgres://` address; without one, the file in the data directory.
    ///
    /// # Errors
    /// A sentence: the address is none, the database cannot be reached, the directory is another
    /// process's, ...
    pub(crate) async fn open(
        database: Option<&str>,
        data: &Path,
    ) -> std::result::Result<Self, String> {
        let Some(address) = database else {
            let store =
                SqliteStore::open(data, Options::default()).map_err(|error| error.to_string())?;
            return Ok(OpenStore::Sqlite(Arc::new(store)));
        };
        let options = postgres::Options::from_url(address).map_err(|error| error.to_string())?;
        let store = PostgresStore::open(&options).await.map_err(|error| error.to_string())?;
        Ok(OpenStore::Postgres(Arc::new(store)))
    }

    /// The store as the host knows it.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        match self {
            OpenStore::Sqlite(store) => store.clone(),
            OpenStore::Postgres(store) => store.clone(),
        }
    }

    /// Whether other processes may have it too.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, OpenStore::Postgres(_))
    }

    /// Resolves with the reason when the store can be used no more, which a restart mends. A
    /// database that is away comes back.
    pub(crate) async fn failed(&self) -> String {
        match self {
            OpenStore::Sqlite(store) => store.failed().await,
            OpenStore::Postgres(_) => std::future::pending().await,
        }
    }

    /// Writes out what is under way, and ends.
    ///
    /// # Errors
    /// `Unavailable` when the last of it could not be written.
    pub(crate) async fn close(&self) -> Result<()> {
        match self {
            OpenStore::Sqlite(store) => store.close().await,
            OpenStore::Postgres(store) => {
                let flushed = store.flush().await;
                store.close();
                flushed
            }
        }
    }
}
