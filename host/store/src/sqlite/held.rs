//! Jobs that workers have, and what ends that.

use super::fault::TxResult;
use super::job_counts::JobCounts;
use super::names::assigned_key;
use super::tx::Tx;
use super::{concurrency, record};
use crate::common::codec;
use crate::{Cancellation, Claim, Micros, RunEnd, WorkerId};
use rusqlite::{OptionalExtension, Row};

/// The row of a job that a worker has.
pub(super) struct Held {
    pub(super) key: i64,
    pub(super) worker: WorkerId,
    pub(super) attempt: u32,
    /// How many of its attempts ended with an error.
    pub(super) failures: u32,
    /// How many may be lost.
    pub(super) max_attempts: u32,
    pub(super) started: Option<Micros>,
    pub(super) canceled: Option<Cancellation>,
    workspace: i64,
    /// The key whose limit it counts for.
    concurrency_key: Option<i64>,
}

/// The columns of one.
pub(super) const HELD: &str = "q.id, q.workspace, q.worker, q.attempt, q.failures, q.max_attempts, q.started, q.concurrency_key, x.name, x.reason, x.at";

impl Held {
    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let canceled = match row.get(8)? {
            Some(by) => Some(Cancellation { by, reason: row.get(9)?, at: row.get(10)? }),
            None => None,
        };
        Ok(Self {
            key: row.get(0)?,
            workspace: row.get(1)?,
            worker: row.get(2)?,
            attempt: codec::count(row.get::<_, i64>(3)?),
            failures: codec::count(row.get::<_, i64>(4)?),
            max_attempts: codec::count(row.get::<_, i64>(5)?),
            started: row.get(6)?,
            concurrency_key: row.get(7)?,
            canceled,
        })
    }

    /// Moves the job to the run records.
    pub(super) fn finish(&self, tx: &mut Tx<'_>, end: &RunEnd) -> TxResult<()> {
        record::finish(tx, self.key, self.workspace, JobCounts::COMPLETED, end)?;
        concurrency::unblock(tx.conn, self.concurrency_key)
    }

    /// Says that the job went back to the queue.
    pub(super) fn returned(&self, tx: &mut Tx<'_>) -> TxResult<()> {
        tx.counts.push((self.workspace, JobCounts::RETURNED));
        concurrency::unblock(tx.conn, self.concurrency_key)
    }
}

/// The job of a claim, when it still is held under it.
pub(super) fn held(tx: &Tx<'_>, claim: &Claim) -> TxResult<Option<Held>> {
    let find = |key: i64, tail: Option<i64>| {
        let sql = format!(
            "SELECT {HELD} FROM queue q LEFT JOIN cancel x ON x.id = q.id \
             WHERE q.id = ?1 AND q.tail IS ?2 AND q.attempt = ?3 AND q.worker IS NOT NULL"
        );
        tx.conn.prepare_cached(&sql)?.query_row((key, tail, claim.attempt), Held::of).optional()
    };
    if claim.id.is_native()
        && let Some(held) = find(claim.id.key(), Some(claim.id.tail()))?
    {
        return Ok(Some(held));
    }
    let key = if tx.names.has_assigned_keys { assigned_key(tx.conn, &claim.id)? } else { None };
    match key {
        Some(key) => Ok(find(key, None)?),
        None => Ok(None),
    }
}
