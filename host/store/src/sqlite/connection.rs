//! What every connection to the file needs, whoever opens it.

use super::fault::Failure;
use crate::{Result, StoreError};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::path::Path;
use std::time::Duration;

/// How long a transaction waits for the write lock, which only another program can have.
pub(super) const BUSY_WAIT: Duration = Duration::from_secs(5);

/// What an error while the file was being opened means.
pub(super) fn opening(file: &Path, error: &rusqlite::Error) -> StoreError {
    match Failure::of(error) {
        Failure::Full(text) => StoreError::Full(format!("{}: {text}", file.display())),
        failure => StoreError::Unavailable(format!("{}: {}", file.display(), failure.text())),
    }
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
