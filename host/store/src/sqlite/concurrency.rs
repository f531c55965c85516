//! How many jobs of a key run, and which ones wait because of that.
//!
//! A job that a claim meets while as many of its key run as its limit allows is blocked (the column
//! `parked`): no claim meets it again until one of those has ended. Jobs with the same key, tag,
//! priority and limit are a class, in the order of their times. Of a class with room for `n` jobs,
//! the first `n` are never blocked: whatever makes room for one more, or takes one of those away,
//! unblocks the first blocked one. So blocking changes nothing about which jobs are taken.

use super::fault::TxResult;
use crate::Micros;
use rusqlite::{Connection, OptionalExtension, Row};
use std::collections::HashMap;
use wasmill_core::queue::Concurrency;

/// How many jobs of a key run.
pub(super) const RUNNING: &str = "SELECT count(*) FROM queue INDEXED BY queue_slots WHERE concurrency_key = ?1 AND worker IS NOT NULL";
/// The first blocked job of the next class of a key. The last value is later than any job: see
/// [`super::ready::LEAP`].
pub(super) const BLOCKED: &str = "SELECT tag, priority, concurrency_limit, id FROM queue INDEXED BY queue_parked \
    WHERE parked = 1 AND concurrency_key = ?1 \
    AND (tag, priority, concurrency_limit, run_at) > (?2, ?3, ?4, ?5) \
    ORDER BY tag, priority, concurrency_limit, run_at, id LIMIT 1";

/// How many jobs run of the keys that were asked for, counted once.
pub(super) struct RunningJobs<'c> {
    conn: &'c Connection,
    running: HashMap<i64, u32>,
}

impl<'c> RunningJobs<'c> {
    pub(super) fn new(conn: &'c Connection) -> Self {
        Self { conn, running: HashMap::new() }
    }

    /// True when a job with this limit may start.
    pub(super) fn has_room(&mut self, concurrency: Option<Concurrency>) -> TxResult<bool> {
        match concurrency {
            Some(Concurrency { key, limit }) => Ok(*self.of(key)? < limit),
            None => Ok(true),
        }
    }

    /// Counts a job that starts.
    pub(super) fn start(&mut self, concurrency: Option<Concurrency>) -> TxResult<()> {
        if let Some(Concurrency { key, .. }) = concurrency {
            *self.of(key)? += 1;
        }
        Ok(())
    }

    fn of(&mut self, key: i64) -> TxResult<&mut u32> {
        use std::collections::hash_map::Entry;
        Ok(match self.running.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                new.insert(self.conn.prepare_cached(RUNNING)?.query_row([key], |row| row.get(0))?)
            }
        })
    }
}

/// The class of a blocked job, and its first job.
struct Blocked {
    tag: i64,
    priority: i64,
    limit: u32,
    first: i64,
}

impl Blocked {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { tag: row.get(0)?, priority: row.get(1)?, limit: row.get(2)?, first: row.get(3)? })
    }
}

/// Unblocks what may start now that a job of a key has ended, went back to the queue or no longer
/// waits.
pub(super) fn unblock(conn: &Connection, key: Option<i64>) -> TxResult<()> {
    let Some(key) = key else { return Ok(()) };
    let mut next = conn.prepare_cached(BLOCKED)?;
    let mut running = RunningJobs::new(conn);
    let mut last = (i64::MIN, i64::MIN, i64::MIN);
    while let Some(blocked) =
        next.query_row((key, last.0, last.1, last.2, Micros::MAX), Blocked::of).optional()?
    {
        last = (blocked.tag, blocked.priority, blocked.limit.into());
        if running.has_room(Some(Concurrency { key, limit: blocked.limit }))? {
            conn.prepare_cached("UPDATE queue SET parked = 0 WHERE id = ?1")?
                .execute([blocked.first])?;
        }
    }
    Ok(())
}
