//! How many jobs a workspace has, and how that changes.

use rusqlite::Connection;
use std::collections::HashMap;
use std::ops::AddAssign;

/// Jobs by where they are; also a change of that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct JobCounts {
    pub(super) waiting: i64,
    pub(super) running: i64,
    pub(super) finished: i64,
}

impl JobCounts {
    /// A job came into the queue.
    pub(super) const ENQUEUED: Self = Self { waiting: 1, running: 0, finished: 0 };
    /// A worker took one.
    pub(super) const CLAIMED: Self = Self { waiting: -1, running: 1, finished: 0 };
    /// One that was begun outside of the queue came under a worker's lease.
    pub(super) const ADOPTED: Self = Self { waiting: 0, running: 1, finished: 0 };
    /// One went back to the queue.
    pub(super) const RETURNED: Self = Self { waiting: 1, running: -1, finished: 0 };
    /// One ended before anybody took it.
    pub(super) const WITHDRAWN: Self = Self { waiting: -1, running: 0, finished: 1 };
    /// One ended.
    pub(super) const COMPLETED: Self = Self { waiting: 0, running: -1, finished: 1 };
    /// One was recorded that never was in the queue.
    pub(super) const RECORDED: Self = Self { waiting: 0, running: 0, finished: 1 };
    /// One that had ended was forgotten.
    pub(super) const PURGED: Self = Self { waiting: 0, running: 0, finished: -1 };
}

impl AddAssign for JobCounts {
    fn add_assign(&mut self, change: Self) {
        self.waiting += change.waiting;
        self.running += change.running;
        self.finished += change.finished;
    }
}

/// Adds a batch's changes up, and writes down how many runs each workspace has from then on.
pub(super) fn sum(
    conn: &Connection,
    changes: Vec<(i64, JobCounts)>,
) -> rusqlite::Result<HashMap<i64, JobCounts>> {
    let mut sums: HashMap<i64, JobCounts> = HashMap::new();
    for (workspace, change) in changes {
        *sums.entry(workspace).or_default() += change;
    }
    let mut update = conn.prepare_cached("UPDATE workspace SET runs = runs + ?2 WHERE id = ?1")?;
    for (workspace, sum) in &sums {
        if sum.finished != 0 {
            update.execute((workspace, sum.finished))?;
        }
    }
    drop(update);
    Ok(sums)
}
