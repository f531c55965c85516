//! Which job of a workspace is next: by priority, and among equal ones by time. A skip scan over
//! the index of ready jobs.
//!
//! The index of the jobs that may be taken is ordered by workspace, tag and priority before time,
//! so that neither the jobs of others nor those that are for other workers or due later are walked
//! over. The workspaces, tags and priorities that occur are found by leaping from one to the next.

use super::concurrency::RunningJobs;
use super::fault::TxResult;
use super::names::word_row;
use crate::Micros;
use crate::common::codec;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row};
use std::cmp::Reverse;
use std::collections::{HashSet, VecDeque};
use wasmill_core::queue::Concurrency;

/// Jobs that one claim marks as blocked at most. Should there be more, the claim ends with what it
/// has found until then.
const MAX_BLOCKED: u32 = 10_000;
/// Jobs of one group read at once at most.
const MAX_BATCH: u32 = 256;
/// Jobs of one group without room for them that the search for the next due one passes over at
/// most, before it gives one of them: a look too early does no harm.
const MAX_PASSED: u32 = 1_000;

/// The first job of the next group in the index's order. The last value is later than any job of
/// the group before: a seek begins at what it is given, and would otherwise walk over that whole
/// group.
pub(super) const LEAP: &str = "SELECT workspace, tag, priority, run_at, id, concurrency_key, concurrency_limit \
    FROM queue INDEXED BY queue_ready WHERE worker IS NULL AND parked = 0 \
    AND (workspace, tag, priority, run_at) > (?1, ?2, ?3, ?4) \
    ORDER BY workspace, tag, priority, run_at, id LIMIT 1";
/// The due jobs of a group.
pub(super) const DUE: &str = "SELECT run_at, id, concurrency_key, concurrency_limit FROM queue INDEXED BY queue_ready \
    WHERE worker IS NULL AND parked = 0 AND workspace = ?1 AND tag = ?2 AND priority = ?3 AND run_at <= ?4 \
    ORDER BY run_at, id LIMIT ?5";

/// A job that waits.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    run_at: Micros,
    key: i64,
    concurrency: Option<Concurrency>,
}

/// Jobs of one workspace, tag and priority.
#[derive(Debug)]
struct Group {
    workspace: i64,
    tag: i64,
    priority: i64,
    /// The first of those that wait; of those that are due, in a [`ReadyQueue`].
    jobs: VecDeque<Waiting>,
    /// There may be others in the file.
    more: bool,
    /// How many were read so far.
    read: u32,
}

/// The due jobs of a workspace.
#[derive(Debug)]
pub(super) struct ReadyQueue {
    pub(super) workspace: i64,
    /// Larger priorities first.
    groups: Vec<Group>,
}

impl Waiting {
    /// From four columns, which begin at one.
    fn of(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        let concurrency = codec::concurrency(row.get(first + 2)?, row.get(first + 3)?);
        Ok(Self { run_at: row.get(first)?, key: row.get(first + 1)?, concurrency })
    }
}

impl Group {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (workspace, tag, priority) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Self {
            workspace,
            tag,
            priority,
            jobs: VecDeque::from([Waiting::of(row, 3)?]),
            more: true,
            read: 1,
        })
    }

    /// Reads jobs from the file when those read before are used up.
    fn fill(&mut self, fetch: &mut CachedStatement<'_>, until: Micros, count: u32) -> TxResult<()> {
        // More each time, for there may be many without room for them.
        let count = count.max(self.read).min(MAX_BATCH);
        let found = fetch
            .query_map((self.workspace, self.tag, self.priority, until, count), |row| {
                Waiting::of(row, 0)
            })?;
        for job in found {
            self.jobs.push_back(job?);
        }
        self.more = self.jobs.len() as u32 == count;
        self.read += count;
        Ok(())
    }

    /// When the first job is due that there is room for. Marks nothing as
    /// blocked, for a reader cannot.
    fn first_with_room(
        &self,
        fetch: &mut CachedStatement<'_>,
        running: &mut RunningJobs<'_>,
    ) -> TxResult<Option<Micros>> {
        let mut jobs =
            fetch.query((self.workspace, self.tag, self.priority, Micros::MAX, MAX_PASSED))?;
        let (mut passed, mut last) = (0, None);
        while let Some(row) = jobs.next()? {
            let job = Waiting::of(row, 0)?;
            if running.has_room(job.concurrency)? {
                return Ok(Some(job.run_at));
            }
            passed += 1;
            last = Some(job.run_at);
        }
        Ok(last.filter(|_| passed == MAX_PASSED))
    }

    /// Gives the group up.
    fn close(&mut self) {
        self.jobs.clear();
        self.more = false;
    }
}

/// The lines of all workspaces where something is due, whether or not there is room for it.
pub(super) fn due(conn: &Connection, now: Micros, tags: &[String]) -> TxResult<Vec<ReadyQueue>> {
    let mut queues: Vec<ReadyQueue> = Vec::new();
    for group in groups(conn, tags)? {
        if group.jobs.front().is_none_or(|first| first.run_at > now) {
            continue;
        }
        match queues.last_mut().filter(|queue| queue.workspace == group.workspace) {
            Some(queue) => queue.groups.push(group),
            None => queues.push(ReadyQueue { workspace: group.workspace, groups: vec![group] }),
        }
    }
    for queue in &mut queues {
        queue.groups.sort_by_key(|group| Reverse(group.priority));
    }
    Ok(queues)
}

/// Finds what is next while a claim goes on, and marks as blocked what there is no room for.
pub(super) struct Scan<'c> {
    now: Micros,
    running: RunningJobs<'c>,
    fetch: CachedStatement<'c>,
    block: CachedStatement<'c>,
    blocked: u32,
}

impl<'c> Scan<'c> {
    pub(super) fn new(conn: &'c Connection, now: Micros) -> TxResult<Self> {
        let (fetch, block) = (
            conn.prepare_cached(DUE)?,
            conn.prepare_cached("UPDATE queue SET parked = 1 WHERE id = ?1")?,
        );
        Ok(Self { now, running: RunningJobs::new(conn), fetch, block, blocked: 0 })
    }

    /// True when a workspace has a job that may start.
    pub(super) fn is_ready(&mut self, queue: &mut ReadyQueue) -> TxResult<bool> {
        Ok(self.next(queue, 1)?.is_some())
    }

    /// Takes the next job of a workspace out of its queue: the caller makes it a running one.
    /// `count`: how many will be taken.
    pub(super) fn take(&mut self, queue: &mut ReadyQueue, count: u32) -> TxResult<Option<i64>> {
        let Some(job) = self.next(queue, count)?.and_then(|group| group.jobs.pop_front()) else {
            return Ok(None);
        };
        self.running.start(job.concurrency)?;
        Ok(Some(job.key))
    }

    /// The group whose first job is the workspace's next one.
    fn next<'l>(
        &mut self,
        queue: &'l mut ReadyQueue,
        count: u32,
    ) -> TxResult<Option<&'l mut Group>> {
        let mut best: Option<(i64, (Micros, i64), usize)> = None;
        for (place, group) in queue.groups.iter_mut().enumerate() {
            if best.is_some_and(|(priority, ..)| priority > group.priority) {
                break;
            }
            if let Some(first) = self.first(group, count)?
                && best.is_none_or(|(_, other, _)| first < other)
            {
                best = Some((group.priority, first, place));
            }
        }
        Ok(best.and_then(|(.., place)| queue.groups.get_mut(place)))
    }

    /// The first job of a group that there is room for, as what orders it.
    fn first(&mut self, group: &mut Group, count: u32) -> TxResult<Option<(Micros, i64)>> {
        loop {
            let Some(job) = group.jobs.front() else {
                if !group.more {
                    return Ok(None);
                }
                group.fill(&mut self.fetch, self.now, count)?;
                continue;
            };
            if self.running.has_room(job.concurrency)? {
                return Ok(Some((job.run_at, job.key)));
            }
            if self.blocked == MAX_BLOCKED {
                group.close();
                return Ok(None);
            }
            self.block.execute([job.key])?;
            self.blocked += 1;
            group.jobs.pop_front();
        }
    }
}

/// When the next job becomes due that there is room for.
pub(super) fn next_due(conn: &Connection, tags: &[String]) -> TxResult<Option<Micros>> {
    let snapshot = conn.unchecked_transaction()?;
    let mut running = RunningJobs::new(&snapshot);
    let mut fetch = snapshot.prepare_cached(DUE)?;
    let mut next: Option<Micros> = None;
    for group in groups(&snapshot, tags)? {
        let Some(first) =
            group.jobs.front().filter(|first| next.is_none_or(|next| first.run_at < next))
        else {
            continue;
        };
        next = match running.has_room(first.concurrency)? {
            true => Some(first.run_at),
            false => next.into_iter().chain(group.first_with_room(&mut fetch, &mut running)?).min(),
        };
    }
    Ok(next)
}

/// The groups that there are now, in the index's order, each with its first job.
fn groups(conn: &Connection, tags: &[String]) -> TxResult<Vec<Group>> {
    let mut wanted = HashSet::new();
    for tag in tags {
        wanted.extend(word_row(conn, tag)?);
    }
    let mut leap = conn.prepare_cached(LEAP)?;
    let mut groups = Vec::new();
    let mut last = (i64::MIN, i64::MIN, i64::MIN, Micros::MAX);
    while let Some(group) = leap.query_row(last, Group::of).optional()? {
        last = (group.workspace, group.tag, group.priority, Micros::MAX);
        if tags.is_empty() || wanted.contains(&group.tag) {
            groups.push(group);
        }
    }
    Ok(groups)
}
