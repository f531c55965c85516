//! The scaled-out back end: PostgreSQL 15 or later, shared by any number of processes.
//!
//! Every verb is one transaction at the level "read committed", many of them one statement. What several processes may do
//! at once is decided by locks on rows, taken in this order: workspace, script or value, webhook, event. A server that is
//! gone makes verbs `Unavailable` within seconds; when it is back, so are they.

mod accounts;
mod connect;
mod db;
mod fault;
mod jobs;
mod migrate;
mod options;
mod outbox;
mod scripts;
#[cfg(test)]
pub(crate) mod tests;
mod values;

pub use options::Options;

use crate::Result;
use deadpool_postgres::Pool;
use std::time::Duration;
use tokio::sync::watch;

/// A store in a PostgreSQL database.
pub struct PostgresStore {
    pool: Pool,
    verb_timeout: Duration,
    /// Changes whenever something may be due in the outbox by what this process did.
    outbox: watch::Sender<u64>,
}

impl PostgresStore {
    /// Opens the store in a database, which is brought to this program's schema.
    ///
    /// # Errors
    /// `Unavailable` when the database can't be reached, is not wasmill's, or belongs to a program that is too new.
    pub async fn open(options: &Options) -> Result<Self> {
        let pool = connect::pool(options)?;
        migrate::migrate(&pool).await?;
        Ok(Self { pool, verb_timeout: options.verb_timeout, outbox: watch::Sender::new(0) })
    }

    /// Closes every connection. Every verb after it is `Unavailable`.
    pub fn close(&self) {
        self.pool.close();
    }
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").field("connections", &self.pool.status()).finish_non_exhaustive()
    }
}

/// True of text that no column of type text can hold, so that no row has it.
fn unstorable(text: &str) -> bool {
    text.contains('\0')
}
