//! A few read-only connections for queries, each used by one blocking task at a time.
//!
//! A query begins its own snapshot, so it sees every commit that was acknowledged before it. The
//! number is small on purpose: the file's pages are in memory most of the time and queries are
//! short.

use super::connection::keep_plans;
use super::fault::{Fault, TxResult};
use crate::{Result, StoreError};
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// The pool; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Readers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    file: PathBuf,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// At most `count` connections to a file, opened when first needed.
    pub(super) fn new(file: PathBuf, count: usize) -> Self {
        let places = Arc::new(Semaphore::new(count.max(1)));
        Self { shared: Arc::new(Shared { file, places, idle: Mutex::default() }) }
    }

    /// Runs a query on a blocking thread.
    pub(super) async fn read<T, F>(&self, query: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> TxResult<T> + Send + 'static,
    {
        let closed = |_| StoreError::Unavailable("the store is closed".into());
        let place = Arc::clone(&self.shared.places).acquire_owned().await.map_err(closed)?;
        let shared = Arc::clone(&self.shared);
        let task = move || {
            // The place goes with the task, for that goes on when its caller has gone.
            let _place = place;
            let conn = match shared.take() {
                Some(conn) => conn,
                None => open(&shared.file).map_err(|error| Fault::Sql(error).of_read())?,
            };
            let answer = query(&conn).map_err(Fault::of_read);
            shared.put(conn);
            answer
        };
        match tokio::task::spawn_blocking(task).await {
            Ok(answer) => answer,
            Err(error) => Err(StoreError::Unavailable(format!("a query ended early: {error}"))),
        }
    }

    /// Lets no further query in, and closes the connections that are idle.
    pub(super) fn close(&self) {
        self.shared.places.close();
        self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Shared {
    fn take(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn put(&self, conn: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.places.is_closed() {
            idle.push(conn);
        }
    }
}

fn open(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(file, flags)?;
    conn.busy_timeout(Duration::from_secs(5))?;
    keep_plans(&conn)?;
    conn.pragma_update(None, "cache_size", -16_384)?;
    conn.pragma_update(None, "query_only", true)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}
