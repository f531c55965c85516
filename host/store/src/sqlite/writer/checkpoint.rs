//! Copying the log into the database once it has grown, after the callers were answered.
//!
//! SQLite would do it by itself within a commit, but that would make callers wait and hide its
//! errors, and a sync that failed unseen is how acknowledged data get lost.

use crate::sqlite::connection::BUSY_WAIT;
use crate::sqlite::fault::Failure;
use crate::sqlite::options::Options;
use rusqlite::Connection;
use std::time::{Duration, Instant};

/// How much larger than usual the log may grow before the writer waits for readers to let go of it.
const STARVED: i64 = 16;
/// How long it waits for them then. Readers are short; a backup that is not must not hold up
/// everybody else.
const STARVED_WAIT: Duration = Duration::from_millis(500);

/// When the log is to be copied, and when it is to be emptied.
#[derive(Debug)]
pub(super) struct Checkpoints {
    /// Pages of log after which it is copied.
    pages: i64,
    /// Pages of log at which readers are waited for next.
    starved: i64,
    /// How long erased data may be left in the log.
    scrub_after: Duration,
    /// When the log must be emptied, because something was erased.
    scrub: Option<Instant>,
}

impl Checkpoints {
    pub(super) fn new(options: &Options) -> Self {
        let pages = i64::from(options.checkpoint_pages);
        Self {
            pages,
            starved: pages.saturating_mul(STARVED),
            scrub_after: options.scrub,
            scrub: None,
        }
    }

    /// Notes that something was erased, which the log still has.
    pub(super) fn erased(&mut self) {
        if self.scrub.is_none() {
            self.scrub = Some(Instant::now() + self.scrub_after);
        }
    }

    /// When the log must be emptied, if it must.
    pub(super) fn scrub(&self) -> Option<Instant> {
        self.scrub
    }

    /// Copies the log when it is long enough, or empties it when that is due.
    pub(super) fn keep_up(&mut self, conn: &Connection) -> std::result::Result<(), Failure> {
        if self.scrub.is_some_and(|due| due <= Instant::now()) {
            return self.empty(conn);
        }
        let Some((log, copied)) = checkpoint(conn, "NOOP")? else {
            return Ok(());
        };
        if log >= self.starved {
            // Should this be in vain, the next attempt is made when the log has doubled once more.
            self.starved = self.starved.saturating_mul(2);
            let sql = |error: rusqlite::Error| Failure::of(&error);
            conn.busy_timeout(STARVED_WAIT).map_err(sql)?;
            checkpoint(conn, "RESTART")?;
            conn.busy_timeout(BUSY_WAIT).map_err(sql)?;
        } else if log - copied >= self.pages {
            checkpoint(conn, "PASSIVE")?;
        } else if log < self.pages {
            self.starved = self.pages.saturating_mul(STARVED);
        }
        Ok(())
    }

    /// Copies the log and empties its file, which else keeps what was erased from the database
    /// until it is written over.
    fn empty(&mut self, conn: &Connection) -> std::result::Result<(), Failure> {
        let sql = |error: rusqlite::Error| Failure::of(&error);
        conn.busy_timeout(STARVED_WAIT).map_err(sql)?;
        let left = checkpoint(conn, "TRUNCATE")?;
        conn.busy_timeout(BUSY_WAIT).map_err(sql)?;
        // In vain when a reader was in the way.
        self.scrub =
            (left != Some((0, 0))).then(|| Instant::now() + self.scrub_after.max(STARVED_WAIT));
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
