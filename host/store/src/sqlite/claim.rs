//! Which job is next: by tag and priority, within them by time.
//!
//! The index of waiting jobs is ordered by tag and priority first, so that jobs which are due later, or are for other
//! workers, are never walked over. The few tags and priorities that occur are found by leaping from one to the next.

use super::fault::Fault;
use super::rows::{self, Extent};
use super::tally::Tally;
use super::tx::{Tx, word_row};
use crate::{ClaimedJob, Job, Micros, WorkerId};
use rusqlite::{Connection, OptionalExtension};
use std::cmp::Reverse;
use std::collections::HashSet;

type Outcome<T> = std::result::Result<T, Fault>;

/// Waiting jobs of one tag and one priority.
#[derive(Debug, Clone, Copy)]
struct Group {
    tag: i64,
    priority: i64,
}

/// The next group in the index's order.
pub(super) const LEAP: &str = "SELECT tag, priority FROM queue INDEXED BY queue_due \
    WHERE worker IS NULL AND (tag, priority) > (?1, ?2) ORDER BY tag, priority LIMIT 1";
/// The due jobs of a group.
pub(super) const DUE: &str = "SELECT run_at, id FROM queue INDEXED BY queue_due \
    WHERE worker IS NULL AND tag = ?1 AND priority = ?2 AND run_at <= ?3 ORDER BY run_at, id LIMIT ?4";
/// The first job of a group.
pub(super) const FIRST: &str = "SELECT run_at FROM queue INDEXED BY queue_due \
    WHERE worker IS NULL AND tag = ?1 AND priority = ?2 ORDER BY run_at LIMIT 1";

pub(super) fn claim(tx: &mut Tx<'_>, worker: WorkerId, now: Micros, limit: u32, tags: &[String]) -> Outcome<Vec<ClaimedJob>> {
    let keys = due(tx.conn, now, limit, tags)?;
    let take = "UPDATE queue SET worker = ?2, started = ?3, attempt = attempt + 1 WHERE id = ?1 RETURNING workspace";
    let mut take = tx.conn.prepare_cached(take)?;
    let sql = rows::select(true, Extent::Whole, None, "WHERE j.id = ?1");
    let mut statement = tx.conn.prepare_cached(&sql)?;
    let mut claimed = Vec::with_capacity(keys.len());
    for key in keys {
        let workspace: i64 = take.query_row((key, worker, now), |row| row.get(0))?;
        tx.tallies.push((workspace, Tally::CLAIMED));
        let found = statement.query_and_then([key], |row| rows::job(row, true, Extent::Whole))?;
        for job in found {
            let (_, Job { job, path, attempt, .. }) = job?;
            claimed.push(ClaimedJob { job, attempt, path });
        }
    }
    Ok(claimed)
}

/// When the next waiting job becomes due.
pub(super) fn next_due(conn: &Connection, tags: &[String]) -> Outcome<Option<Micros>> {
    let snapshot = conn.unchecked_transaction()?;
    let mut next: Option<Micros> = None;
    for group in groups(&snapshot, tags)? {
        let first = snapshot.prepare_cached(FIRST)?.query_row((group.tag, group.priority), |row| row.get(0)).optional()?;
        next = next.into_iter().chain(first).min();
    }
    Ok(next)
}

/// The keys of the jobs that are next.
fn due(conn: &Connection, now: Micros, limit: u32, tags: &[String]) -> Outcome<Vec<i64>> {
    let mut keys = Vec::new();
    let mut groups = groups(conn, tags)?;
    groups.sort_by_key(|group| Reverse(group.priority));
    let mut statement = conn.prepare_cached(DUE)?;
    for equals in groups.chunk_by(|one, other| one.priority == other.priority) {
        let room = limit.saturating_sub(u32::try_from(keys.len()).unwrap_or(u32::MAX));
        if room == 0 {
            break;
        }
        let mut due: Vec<(Micros, i64)> = Vec::new();
        for group in equals {
            let found = statement.query_map((group.tag, group.priority, now, room), |row| Ok((row.get(0)?, row.get(1)?)))?;
            for job in found {
                due.push(job?);
            }
        }
        due.sort_unstable();
        keys.extend(due.into_iter().take(room as usize).map(|(_, key)| key));
    }
    Ok(keys)
}

/// The groups that there are now.
fn groups(conn: &Connection, tags: &[String]) -> Outcome<Vec<Group>> {
    let mut wanted = HashSet::new();
    for tag in tags {
        wanted.extend(word_row(conn, tag)?);
    }
    let mut statement = conn.prepare_cached(LEAP)?;
    let mut groups = Vec::new();
    let mut last = Group { tag: i64::MIN, priority: i64::MIN };
    loop {
        let next = statement.query_row((last.tag, last.priority), |row| Ok(Group { tag: row.get(0)?, priority: row.get(1)? }));
        let Some(group) = next.optional()? else {
            return Ok(groups);
        };
        last = group;
        if tags.is_empty() || wanted.contains(&group.tag) {
            groups.push(group);
        }
    }
}
