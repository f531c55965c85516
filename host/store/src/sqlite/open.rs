//! Opening the file: the lock, the settings, the schema, and the thread that writes from then on.

use super::SqliteStore;
use super::counters::{Counters, DeathWatch, Depth};
use super::erase::{Overwrite, overwrite};
use super::fault::Failure;
use super::lock::DirLock;
use super::migrate::migrate;
use super::pool::Readers;
use super::tally::Tally;
use super::tx::Names;
use super::writer::{BUSY_WAIT, Writer};
use crate::{Result, StoreError};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc};
use wasmill_core::WorkspaceId;

/// Name of the database in the data directory.
pub const FILE: &str = "wasmill.db";
/// Signals kept for a receiver that is slow.
const SIGNALS: usize = 64;

/// Bounds of the store, with their defaults.
#[derive(Debug, Clone)]
pub struct Options {
    /// Read-only connections. Default 4.
    pub readers: usize,
    /// Operations and records on their way to the writer. Default 65,536: seconds of work for it.
    pub channel: usize,
    /// Operations and records in one transaction at most. Default 1,024: more than that gains
    /// nothing.
    pub batch: usize,
    /// How long records alone wait for company. Default 10 ms, which halves their cost.
    pub linger: Duration,
    /// How long committed records stay at the mercy of a power cut. Default 1 s.
    pub barrier: Duration,
    /// How long erased data may still be found in the log's file. Default 5 s.
    pub scrub: Duration,
    /// Pages of log after which it is copied into the database. Default 4,000 of 4 KiB.
    pub checkpoint_pages: u32,
    /// Payload bytes of records on their way; above it they are kept without payload. Default 256
    /// MiB.
    pub record_bytes: usize,
    /// Largest size of the database file in bytes. Default: the disk's.
    pub max_bytes: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readers: 4,
            channel: 65_536,
            batch: 1_024,
            linger: Duration::from_millis(10),
            barrier: Duration::from_secs(1),
            scrub: Duration::from_secs(5),
            checkpoint_pages: 4_000,
            record_bytes: 256 << 20,
            max_bytes: None,
        }
    }
}

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
        let depth = depth(&conn)?;
        let sql = "SELECT EXISTS (SELECT 1 FROM alias)";
        let aliases = conn.query_row(sql, [], |row| row.get(0));
        let aliases = aliases.map_err(|error| opening(&file, &error))?;

        let (inbox, messages) = mpsc::channel(options.channel.max(1));
        let counters = Arc::new(Counters::new(depth));
        let names = Names::new(aliases);
        let readers = Readers::new(file, options.readers);
        let record_bytes = options.record_bytes;
        let options = Options { batch: options.batch.max(1), ..options };
        let mut writer = Writer::new(conn, names, messages, Arc::clone(&counters), options, lock);
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

pub(super) fn opening(file: &Path, error: &rusqlite::Error) -> StoreError {
    match Failure::of(error) {
        Failure::Full(text) => StoreError::Full(format!("{}: {text}", file.display())),
        failure => StoreError::Unavailable(format!("{}: {}", file.display(), failure.text())),
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

/// Makes the file before SQLite does, for its owner only: it holds what callers send. The log
/// inherits that.
pub(super) fn make_private(file: &Path) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let made = options.open(file).map(drop);
    made.map_err(|error| StoreError::Unavailable(format!("{}: {error}", file.display())))
}

/// Keeps SQLite from planning a statement anew whenever its values change: the plans depend on the
/// statements alone.
pub(super) fn keep_plans(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
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
        conn.pragma_update(None, "max_page_count", super::signed((bytes / 4_096).max(1)))?;
    }
    Ok(())
}

/// Counts the queues once; from then on their lengths are kept.
fn depth(conn: &Connection) -> Result<Depth> {
    let read = || -> rusqlite::Result<Vec<(String, i64, Tally)>> {
        let sql = "SELECT name, id, (SELECT count(*) FROM queue WHERE workspace = w.id), \
            (SELECT count(*) FROM queue WHERE workspace = w.id AND worker IS NOT NULL), runs FROM workspace w";
        let tally = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Tally> {
            let (queued, running): (i64, i64) = (row.get(2)?, row.get(3)?);
            Ok(Tally { waiting: queued - running, running, finished: row.get(4)? })
        };
        conn.prepare(sql)?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, tally(row)?)))?
            .collect()
    };
    let rows = read()
        .map_err(|error| StoreError::Unavailable(format!("counting the queued jobs: {error}")))?;
    let mut depth = Depth::default();
    for (name, row, tally) in rows {
        let id: WorkspaceId = name
            .parse()
            .map_err(|error| StoreError::Corrupt(format!("workspace {name:?}: {error}")))?;
        depth.workspaces.insert(id, row);
        depth.tallies.insert(row, tally);
    }
    Ok(depth)
}
