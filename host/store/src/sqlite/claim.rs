//! Taking jobs: of each workspace as many as its share is, and of one workspace those that are
//! next.

use super::fault::TxResult;
use super::job_counts::JobCounts;
use super::ready::{self, ReadyQueue, Scan};
use super::rows;
use super::tx::Tx;
use crate::common::codec::Extent;
use crate::{ClaimedJob, Job, Micros, WorkerId};
use rusqlite::Row;
use std::collections::BTreeMap;
use wasmill_core::WorkspaceId;

pub(super) fn claim(
    tx: &mut Tx<'_>,
    worker: WorkerId,
    now: Micros,
    limit: u32,
    tags: &[String],
) -> TxResult<Vec<ClaimedJob>> {
    let conn = tx.conn;
    let mut claimed = Vec::new();
    let mut queues: BTreeMap<WorkspaceId, (u32, ReadyQueue)> = BTreeMap::new();
    if limit > 0 {
        for queue in ready::due(conn, now, tags)? {
            let (workspace, weight) = tx.tenant(queue.workspace)?;
            queues.insert(workspace, (weight, queue));
        }
    }
    if queues.is_empty() {
        return Ok(claimed);
    }
    let mut scan = Scan::new(conn, now)?;
    let mut shares = tx.shares().clone();
    let take = "UPDATE queue SET worker = ?2, started = ?3, attempt = attempt + 1 WHERE id = ?1";
    let mut take = conn.prepare_cached(take)?;
    let sql = rows::select(true, Extent::Whole, None, "WHERE j.id = ?1");
    let mut read = conn.prepare_cached(&sql)?;
    loop {
        let room = limit.saturating_sub(claimed.len() as u32);
        let mut ready = Vec::new();
        for (workspace, (weight, queue)) in queues.iter_mut().filter(|_| room > 0) {
            if scan.is_ready(queue)? {
                ready.push((workspace.clone(), *weight));
            }
        }
        if ready.is_empty() {
            break;
        }
        for (workspace, count) in shares.plan(&ready, room) {
            let Some((weight, queue)) = queues.get_mut(&workspace) else { continue };
            let mut taken = 0;
            while taken < count
                && let Some(key) = scan.take(queue, count - taken)?
            {
                take.execute((key, worker, now))?;
                tx.counts.push((queue.workspace, JobCounts::CLAIMED));
                for job in read.query_and_then([key], job)? {
                    claimed.push(job?);
                }
                taken += 1;
            }
            shares.charge(&workspace, *weight, taken);
        }
    }
    tx.charged = Some(shares);
    Ok(claimed)
}

fn job(row: &Row<'_>) -> TxResult<ClaimedJob> {
    let failures = rows::failures(row)?;
    let (_, Job { job, path, attempt, .. }) = rows::job(row, true, Extent::Whole)?;
    Ok(ClaimedJob { job, attempt, failures, path })
}
