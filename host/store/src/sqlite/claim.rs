//! Taking jobs: of each workspace as many as its share is, and of one workspace those that are
//! next.

use super::fault::Fault;
use super::line::{self, Line, Scan};
use super::rows::{self, Extent};
use super::tally::Tally;
use super::tx::Tx;
use crate::{ClaimedJob, Job, Micros, WorkerId};
use rusqlite::Row;
use std::collections::BTreeMap;
use wasmill_core::WorkspaceId;

type Outcome<T> = std::result::Result<T, Fault>;

pub(super) fn claim(
    tx: &mut Tx<'_>,
    worker: WorkerId,
    now: Micros,
    limit: u32,
    tags: &[String],
) -> Outcome<Vec<ClaimedJob>> {
    let conn = tx.conn;
    let mut claimed = Vec::new();
    let mut lines: BTreeMap<WorkspaceId, (u32, Line)> = BTreeMap::new();
    if limit > 0 {
        for line in line::due(conn, now, tags)? {
            let (workspace, weight) = tx.tenant(line.workspace)?;
            lines.insert(workspace, (weight, line));
        }
    }
    if lines.is_empty() {
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
        for (workspace, (weight, line)) in lines.iter_mut().filter(|_| room > 0) {
            if scan.is_ready(line)? {
                ready.push((workspace.clone(), *weight));
            }
        }
        if ready.is_empty() {
            break;
        }
        for (workspace, count) in shares.plan(&ready, room) {
            let Some((weight, line)) = lines.get_mut(&workspace) else { continue };
            let mut taken = 0;
            while taken < count
                && let Some(key) = scan.take(line, count - taken)?
            {
                take.execute((key, worker, now))?;
                tx.tallies.push((line.workspace, Tally::CLAIMED));
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

fn job(row: &Row<'_>) -> Outcome<ClaimedJob> {
    let failures = rows::failures(row)?;
    let (_, Job { job, path, attempt, .. }) = rows::job(row, true, Extent::Whole)?;
    Ok(ClaimedJob { job, attempt, failures, path })
}
