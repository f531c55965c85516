//! Opening the file: the lock, the settings, the schema, and the thread that writes from then on.

use super::connection::{BUSY_WAIT, keep_plans, make_private, opening};
use super::counters::{Counters, DeathWatch, Totals};
use super::erase::{Overwrite, overwrite};
use super::job_counts::JobCounts;
use super::lock::DirLock;
use super::migrate::migrate;
use super::names::Names;
use super::options::{FILE, Options};
use super::pool::Readers;
use super::store::SqliteStore;
use super::writer::Writer;
use crate::common::codec::signed;
use crate::{Result, StoreError};
use rusqlite::Connection;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::sync::{broadcast, mpsc};
use wasmill_core::WorkspaceId;

/// Signals kept for a receiver that is slow.
const SIGNALS: usize = 64;

impl SqliteStore {
    /// Opens the store in a directory, which is made when it is missing, and starts its thread.
    ///
    /// # Errors
    /// `Unavailable` when another process has the directory, the file is newer than this program or
    /// it can't be used.
    pub fn open(dir: &Path, options: Options) -> Result<Self> {
        make_dir(dir)?;
        let lock = DirLock::take(dir)?;
        let file = dir.join(FILE);
        make_private(&file)?;
        let mut conn = Connection::open(&file).map_err(|error| opening(&file, &error))?;
        prepare(&conn, &options).map_err(|error| opening(&file, &error))?;
        migrate(&mut conn)?;
        let totals = totals(&conn)?;
        let sql = "SELECT EXISTS (SELECT 1 FROM alias)";
        let has_assigned_keys = conn.query_row(sql, [], |row| row.get(0));
        let has_assigned_keys = has_assigned_keys.map_err(|error| opening(&file, &error))?;

        let (inbox, messages) = mpsc::channel(options.channel.max(1));
        let counters = Arc::new(Counters::new(totals));
        let names = Names::new(has_assigned_keys);
        let readers = Readers::new(file, options.readers);
        let record_bytes = options.record_bytes;
        let mut writer = Writer::new(conn, names, messages, Arc::clone(&counters), &options, lock);
        let watch = DeathWatch(Arc::clone(&counters));
        let (ending, ended) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(move || {
            let closing = writer.run();
            // The file and its lock go first: whoever is told that the store is closed may open it
            // again.
            drop(writer);
            drop(watch);
            if let Some(reply) = closing {
                let _ = reply.send(Ok(()));
            }
            drop(ending);
        });
        let thread = thread.map_err(|error| {
            StoreError::Unavailable(format!("the storage thread could not be started: {error}"))
        })?;
        let (writer, signals) = (thread.thread().clone(), broadcast::Sender::new(SIGNALS));
        Ok(Self {
            inbox: Some(inbox),
            counters,
            readers,
            writer,
            signals,
            ended: Mutex::new(ended),
            record_bytes,
        })
    }
}

/// Makes the directory, and its entry in the one above durable.
fn make_dir(dir: &Path) -> Result<()> {
    let failed = |error: std::io::Error| {
        StoreError::Unavailable(format!("the data directory {}: {error}", dir.display()))
    };
    if dir.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(dir).map_err(failed)?;
    if cfg!(unix)
        && let Some(above) = dir.parent().filter(|above| !above.as_os_str().is_empty())
    {
        std::fs::File::open(above).and_then(|above| above.sync_all()).map_err(failed)?;
    }
    Ok(())
}

fn prepare(conn: &Connection, options: &Options) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY_WAIT)?;
    keep_plans(conn)?;
    conn.set_prepared_statement_cache_capacity(128);
    conn.pragma_update(None, "page_size", 4_096)?;
    let mode: String =
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        let reason = format!("the file system doesn't support write-ahead logging (got {mode})");
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
            Some(reason),
        ));
    }
    conn.pragma_update(None, "synchronous", "FULL")?;
    // The writer does this itself, where it sees the errors.
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    conn.pragma_update(None, "journal_size_limit", 64 << 20)?;
    conn.pragma_update(None, "cache_size", -65_536)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    overwrite(conn, Overwrite::Touched)?;
    if let Some(bytes) = options.max_bytes {
        conn.pragma_update(None, "max_page_count", signed((bytes / 4_096).max(1)))?;
    }
    Ok(())
}

/// Counts the queues once; from then on their lengths are kept.
fn totals(conn: &Connection) -> Result<Totals> {
    let read = || -> rusqlite::Result<Vec<(String, i64, JobCounts)>> {
        let sql = "SELECT name, id, (SELECT count(*) FROM queue WHERE workspace = w.id), \
            (SELECT count(*) FROM queue WHERE workspace = w.id AND worker IS NOT NULL), runs FROM workspace w";
        let counts = |row: &rusqlite::Row<'_>| -> rusqlite::Result<JobCounts> {
            let (queued, running): (i64, i64) = (row.get(2)?, row.get(3)?);
            Ok(JobCounts { waiting: queued - running, running, finished: row.get(4)? })
        };
        conn.prepare(sql)?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, counts(row)?)))?
            .collect()
    };
    let rows = read()
        .map_err(|error| StoreError::Unavailable(format!("counting the queued jobs: {error}")))?;
    let mut totals = Totals::default();
    for (name, row, counts) in rows {
        let id: WorkspaceId = name
            .parse()
            .map_err(|error| StoreError::Corrupt(format!("workspace {name:?}: {error}")))?;
        totals.workspaces.insert(id, row);
        totals.counts.insert(row, counts);
    }
    Ok(totals)
}
