//! Copying the log into the database once it has grown, after the callers were answered.
//!
//! SQLite would do it by itself within a commit, but that would make callers wait and hide its
//! errors, and a sync that failed unseen is how acknowledged data get lost.

use super::{BUSY_WAIT, Writer};
use crate::sqlite::fault::Failure;
use rusqlite::Connection;
use std::time::{Duration, Instant};

/// How much larger than usual the log may grow before the writer waits for readers to let go of it.
pub(super) const STARVED: i64 = 16;
/// How long it waits for them then. Readers are short; a backup that is not must not hold up
/// everybody else.
const STARVED_WAIT: Duration = Duration::from_millis(500);

impl Writer {
    /// Copies the log when it is long enough.
    pub(super) fn checkpoint(&mut self) -> std::result::Result<(), Failure> {
        if self.scrub.is_some_and(|due| due <= Instant::now()) {
            return self.scrub();
        }
        let pages = i64::from(self.options.checkpoint_pages);
        let Some((log, copied)) = checkpoint(&self.conn, "NOOP")? else {
            return Ok(());
        };
        if log >= self.starved {
            // Should this be in vain, the next attempt is made when the log has doubled once more.
            self.starved = self.starved.saturating_mul(2);
            let sql = |error: rusqlite::Error| Failure::of(&error);
            self.conn.busy_timeout(STARVED_WAIT).map_err(sql)?;
            checkpoint(&self.conn, "RESTART")?;
            self.conn.busy_timeout(BUSY_WAIT).map_err(sql)?;
        } else if log - copied >= pages {
            checkpoint(&self.conn, "PASSIVE")?;
        } else if log < pages {
            self.starved = pages.saturating_mul(STARVED);
        }
        Ok(())
    }

    /// Copies the log and empties its file, which else keeps what was erased from the database
    /// until it is written over.
    fn scrub(&mut self) -> std::result::Result<(), Failure> {
        let sql = |error: rusqlite::Error| Failure::of(&error);
        self.conn.busy_timeout(STARVED_WAIT).map_err(sql)?;
        let left = checkpoint(&self.conn, "TRUNCATE")?;
        self.conn.busy_timeout(BUSY_WAIT).map_err(sql)?;
        // In vain when a reader was in the way.
        self.scrub =
            (left != Some((0, 0))).then(|| Instant::now() + self.options.scrub.max(STARVED_WAIT));
        Ok(())
    }
}

/// Runs a checkpoint and returns the log's pages and how many of them are in the database. `None`:
/// a full disk puts it off.
pub(super) fn checkpoint(
    conn: &Connection,
    mode: &str,
) -> std::result::Result<Option<(i64, i64)>, Failure> {
    let sql = match mode {
        "NOOP" => "PRAGMA wal_checkpoint(NOOP)",
        "PASSIVE" => "PRAGMA wal_checkpoint(PASSIVE)",
        "RESTART" => "PRAGMA wal_checkpoint(RESTART)",
        _ => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    let counts = |statement: &mut rusqlite::CachedStatement<'_>| {
        statement.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))
    };
    match conn.prepare_cached(sql).and_then(|mut statement| counts(&mut statement)) {
        Ok(counts) => Ok(Some(counts)),
        Err(error) => match Failure::of(&error) {
            Failure::Fatal(text) => Err(Failure::Fatal(text)),
            failure => {
                tracing::warn!(
                    reason = failure.text(),
                    "the database's log could not be copied into it"
                );
                Ok(None)
            }
        },
    }
}
