//! Reading jobs back, wherever they are.
//!
//! Both tables are read in one snapshot: a job that moved from the queue to the run records between two reads would
//! otherwise be in neither, or in both.

use super::fault::Fault;
use super::rows::{self, Extent};
use super::tx::{alias, workspace_row};
use crate::{Job, JobFilter, MAX_LIST};
use rusqlite::{Connection, OptionalExtension};
use wasmill_core::{JobId, WorkspaceId};

type Outcome<T> = std::result::Result<T, Fault>;

/// One job of a workspace.
pub(super) fn find(conn: &Connection, workspace: &WorkspaceId, id: &JobId) -> Outcome<Option<Job>> {
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
    match alias(&snapshot, id)? {
        Some(key) => find_at(&snapshot, workspace, key, None),
        None => Ok(None),
    }
}

fn find_at(conn: &Connection, workspace: i64, key: i64, tail: Option<i64>) -> Outcome<Option<Job>> {
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

/// A workspace's jobs, newest first.
pub(super) fn list(conn: &Connection, workspace: &WorkspaceId, filter: &JobFilter) -> Outcome<Vec<Job>> {
    let snapshot = conn.unchecked_transaction()?;
    let Some(workspace) = workspace_row(&snapshot, workspace)? else {
        return Ok(Vec::new());
    };
    let before = match &filter.before {
        None => i64::MAX,
        Some(id) => match alias(&snapshot, id)? {
            Some(key) => key,
            None if id.is_native() => id.key(),
            // An id that was never seen and carries no time: nothing is known to be older.
            None => return Ok(Vec::new()),
        },
    };
    let script: Option<i64> = match &filter.path {
        None => None,
        Some(path) => {
            let sql = "SELECT id FROM script WHERE workspace = ?1 AND path = ?2";
            let mut statement = snapshot.prepare_cached(sql)?;
            let row = statement.query_row((workspace, path.as_str()), |row| row.get(0));
            match row.optional()? {
                Some(script) => Some(script),
                None => return Ok(Vec::new()),
            }
        }
    };
    let limit = filter.limit.min(MAX_LIST);
    let failed = filter.success == Some(false);
    let mut jobs: Vec<(i64, Job)> = Vec::new();
    for queue in [true, false] {
        // A job in the queue has neither failed nor not failed yet.
        if filter.queued.is_some_and(|wanted| wanted != queue) || (queue && filter.success.is_some()) {
            continue;
        }
        let index = match (queue, script.is_some(), failed) {
            (true, false, _) => "queue_workspace",
            (true, true, _) => "queue_script",
            (false, false, false) => "run_workspace",
            (false, true, false) => "run_script",
            (false, false, true) => "run_workspace_failed",
            (false, true, true) => "run_script_failed",
        };
        let of = if script.is_some() { "j.script" } else { "j.workspace" };
        let status = match filter.success {
            Some(true) => "AND j.status = 0",
            Some(false) => "AND j.status <> 0",
            None => "",
        };
        let which = format!("WHERE {of} = ?1 AND j.id < ?2 {status} ORDER BY j.id DESC LIMIT ?3");
        let sql = rows::select(queue, Extent::Line, Some(index), &which);
        let mut statement = snapshot.prepare_cached(&sql)?;
        let mut found = statement.query((script.unwrap_or(workspace), before, limit))?;
        while let Some(row) = found.next()? {
            jobs.push(rows::job(row, queue, Extent::Line)?);
        }
    }
    jobs.sort_unstable_by_key(|(key, _)| std::cmp::Reverse(*key));
    jobs.truncate(limit as usize);
    Ok(jobs.into_iter().map(|(_, job)| job).collect())
}
