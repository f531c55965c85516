//! Finding one job, wherever it is.
//!
//! Both tables are read in one snapshot: a job that moved from the queue to the run records between
//! two reads would otherwise be in neither, or in both.

use super::fault::{Fault, TxResult};
use super::names::{assigned_key, workspace_row};
use super::rows;
use crate::Job;
use crate::common::codec::Extent;
use rusqlite::{Connection, OptionalExtension};
use wasmill_core::{JobId, WorkspaceId};

/// One job of a workspace.
pub(super) fn find(
    conn: &Connection,
    workspace: &WorkspaceId,
    id: &JobId,
) -> TxResult<Option<Job>> {
    let snapshot = conn.unchecked_transaction()?;
    let Some(workspace) = workspace_row(&snapshot, workspace)? else {
        return Ok(None);
    };
    let own = id.is_native().then(|| (id.key(), Some(id.tail())));
    if let Some((key, tail)) = own
        && let Some(job) = find_at(&snapshot, workspace, key, tail)?
    {
        return Ok(Some(job));
    }
    match assigned_key(&snapshot, id)? {
        Some(key) => find_at(&snapshot, workspace, key, None),
        None => Ok(None),
    }
}

fn find_at(
    conn: &Connection,
    workspace: i64,
    key: i64,
    tail: Option<i64>,
) -> TxResult<Option<Job>> {
    for queue in [true, false] {
        let which = "WHERE j.id = ?1 AND j.tail IS ?2 AND j.workspace = ?3";
        let sql = rows::select(queue, Extent::Whole, None, which);
        let mut statement = conn.prepare_cached(&sql)?;
        let mut found = statement.query((key, tail, workspace))?;
        if let Some(row) = found.next()? {
            return Ok(Some(rows::job(row, queue, Extent::Whole)?.1));
        }
    }
    Ok(None)
}

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whereabouts {
    Waiting,
    Running,
    Finished,
}

/// The key of a job of a workspace, and where the job is.
pub(super) fn locate(
    conn: &Connection,
    workspace: i64,
    id: &JobId,
) -> TxResult<Option<(i64, Whereabouts)>> {
    let look = |key: i64, tail: Option<i64>| {
        let sql = "SELECT worker IS NOT NULL, 0 FROM queue WHERE id = ?1 AND tail IS ?2 AND workspace = ?3 \
            UNION ALL SELECT 0, 1 FROM run WHERE id = ?1 AND tail IS ?2 AND workspace = ?3";
        let found = conn.prepare_cached(sql)?.query_row((key, tail, workspace), |row| {
            Ok(match (row.get(0)?, row.get(1)?) {
                (_, true) => Whereabouts::Finished,
                (true, false) => Whereabouts::Running,
                (false, false) => Whereabouts::Waiting,
            })
        });
        Ok::<_, Fault>(found.optional()?.map(|found| (key, found)))
    };
    if id.is_native()
        && let Some(found) = look(id.key(), Some(id.tail()))?
    {
        return Ok(Some(found));
    }
    match assigned_key(conn, id)? {
        Some(key) => look(key, None),
        None => Ok(None),
    }
}

/// Which of these jobs are over, or unknown.
pub(super) fn ended(conn: &Connection, jobs: Vec<(WorkspaceId, JobId)>) -> TxResult<Vec<JobId>> {
    let snapshot = conn.unchecked_transaction()?;
    let mut over = Vec::new();
    for (workspace, id) in jobs {
        let found = match workspace_row(&snapshot, &workspace)? {
            Some(workspace) => locate(&snapshot, workspace, &id)?,
            None => None,
        };
        if found.is_none_or(|(_, whereabouts)| whereabouts == Whereabouts::Finished) {
            over.push(id);
        }
    }
    Ok(over)
}
