//! Lists of jobs: a walk along one index, newest or oldest first, that stops when the list is full.
//!
//! Both tables are read in one snapshot: a job that moved from the queue to the run records between
//! two reads would otherwise be in neither, or in both.

use super::fault::TxResult;
use super::names::{assigned_key, word_row, workspace_row};
use super::rows;
use crate::common::codec::{self, Extent};
use crate::common::keys::bounds;
use crate::{Job, JobFilter, MAX_LIST, Micros, RunStatus};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use wasmill_core::{JobId, WorkspaceId};

/// The rows and keys that a filter's names and ids stand for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resolved {
    pub(super) workspace: i64,
    pub(super) script: Option<i64>,
    pub(super) version: Option<i64>,
    pub(super) tag: Option<i64>,
    pub(super) label: Option<i64>,
    /// Keys between which the jobs are, ends excluded.
    pub(super) keys: (i64, i64),
}

/// A workspace's jobs that fit a filter.
pub(super) fn list(
    conn: &Connection,
    workspace: &WorkspaceId,
    filter: &JobFilter,
) -> TxResult<Vec<Job>> {
    let snapshot = conn.unchecked_transaction()?;
    let Some(resolved) = resolve(&snapshot, workspace, filter)? else {
        return Ok(Vec::new());
    };
    let extent = Extent::of_list(filter.with_args);
    let mut jobs: Vec<(i64, Job)> = Vec::new();
    for queue in [true, false] {
        if !(if queue { filter.wants_queued() } else { filter.wants_finished() }) {
            continue;
        }
        let (sql, values) = statement(queue, &resolved, filter);
        let mut statement = snapshot.prepare_cached(&sql)?;
        let mut found = statement.query(params_from_iter(values))?;
        while let Some(row) = found.next()? {
            jobs.push(rows::job(row, queue, extent)?);
        }
    }
    jobs.sort_unstable_by_key(|(key, _)| if filter.ascending { *key } else { -*key });
    jobs.truncate(filter.limit.min(MAX_LIST) as usize);
    Ok(jobs.into_iter().map(|(_, job)| job).collect())
}

/// How many of a workspace's waiting jobs are to start before a moment.
pub(super) fn position(conn: &Connection, workspace: &WorkspaceId, at: Micros) -> TxResult<u64> {
    let Some(workspace) = workspace_row(conn, workspace)? else {
        return Ok(0);
    };
    let sql = "SELECT count(*) FROM queue INDEXED BY queue_workspace WHERE workspace = ?1 AND worker IS NULL AND run_at < ?2";
    let ahead: i64 = conn.prepare_cached(sql)?.query_row((workspace, at), |row| row.get(0))?;
    Ok(codec::unsigned(ahead))
}

/// `None`: something that the filter names does not exist, and so nothing fits.
fn resolve(
    conn: &Connection,
    workspace: &WorkspaceId,
    filter: &JobFilter,
) -> TxResult<Option<Resolved>> {
    let Some(workspace) = workspace_row(conn, workspace)? else {
        return Ok(None);
    };
    let (mut low, mut high) = bounds(&filter.created);
    if let Some(id) = &filter.after {
        let Some(key) = cursor(conn, id)? else { return Ok(None) };
        low = low.max(key);
    }
    if let Some(id) = &filter.before {
        let Some(key) = cursor(conn, id)? else { return Ok(None) };
        high = high.min(key);
    }
    let mut resolved = Resolved {
        workspace,
        script: None,
        version: None,
        tag: None,
        label: None,
        keys: (low, high),
    };
    if let Some(path) = &filter.path {
        let sql = "SELECT id FROM script WHERE workspace = ?1 AND path = ?2";
        resolved.script = conn
            .prepare_cached(sql)?
            .query_row((workspace, path.as_str()), |row| row.get(0))
            .optional()?;
    }
    if let Some(hash) = &filter.version {
        let sql = "SELECT id, script FROM version WHERE workspace = ?1 AND hash = ?2";
        let row = conn
            .prepare_cached(sql)?
            .query_row((workspace, hash.0), |row| Ok((row.get(0)?, row.get(1)?)));
        let Some((version, script)) = row.optional()? else { return Ok(None) };
        if filter.path.is_none() {
            // Only for its index: a version has one script.
            resolved.script = Some(script);
        }
        resolved.version = Some(version);
    }
    let word = |text: &Option<String>| text.as_ref().map_or(Ok(None), |text| word_row(conn, text));
    resolved.tag = word(&filter.tag)?;
    resolved.label = word(&filter.label)?;
    let is_missing = (filter.path.is_some() && resolved.script.is_none())
        || (filter.tag.is_some() && resolved.tag.is_none())
        || (filter.label.is_some() && resolved.label.is_none());
    Ok((!is_missing).then_some(resolved))
}

/// The key of a cursor. `None`: an id that was never seen and carries no time; nothing is known to
/// lie beyond it.
fn cursor(conn: &Connection, id: &JobId) -> TxResult<Option<i64>> {
    Ok(assigned_key(conn, id)?.or_else(|| id.is_native().then(|| id.key())))
}

/// The query of one table. Every part of it is a constant; what was asked for is in the values
/// only.
pub(super) fn statement(
    queue: bool,
    resolved: &Resolved,
    filter: &JobFilter,
) -> (String, Vec<Value>) {
    let failed = filter.wants_failed();
    let by_script = resolved.script.is_some();
    let index = match (queue, filter.parent.is_some(), by_script) {
        (true, true, _) => "queue_parent",
        (true, false, true) => "queue_script",
        (true, false, false) if filter.running == Some(true) => "queue_running",
        (true, false, false) => "queue_workspace",
        (false, true, _) => "run_parent",
        (false, false, true) if failed => "run_script_failed",
        (false, false, true) => "run_script",
        (false, false, false) if failed => "run_workspace_failed",
        (false, false, false) => "run_workspace",
    };
    let mut parts = Parts::default();
    parts.if_some("j.parent = ?", filter.parent.map(|id| id.to_string()));
    parts.if_some("j.script = ?", resolved.script);
    if filter.parent.is_some() || !by_script {
        parts.and("j.workspace = ?", resolved.workspace);
    }
    parts.and("j.id > ?", resolved.keys.0);
    parts.and("j.id < ?", resolved.keys.1);
    parts.if_some("j.version = ?", resolved.version);
    parts.if_some("j.tag = ?", resolved.tag);
    parts.if_some("j.label = ?", resolved.label);
    parts.if_some("j.trigger = ?", filter.trigger.map(codec::trigger_number));
    parts.if_some("j.created > ?", filter.created.after);
    parts.if_some("j.created < ?", filter.created.before);
    parts.if_some("j.started > ?", filter.started.after);
    parts.if_some("j.started < ?", filter.started.before);
    parts.if_some("j.caller IN (SELECT id FROM caller WHERE name = ?)", filter.created_by.clone());
    if let Some(start) = &filter.path_start {
        parts.and("j.script IN (SELECT id FROM script WHERE workspace = ?", resolved.workspace);
        parts.and("path >= ?", start.clone());
        // No path has characters beyond this one.
        parts.and("path < ?)", format!("{start}\u{10ffff}"));
    }
    if queue {
        parts.if_some("j.run_at <= ?", filter.due_by);
        match filter.running {
            Some(true) => parts.all.push("j.worker IS NOT NULL"),
            Some(false) => parts.all.push("j.worker IS NULL"),
            None => {}
        }
    } else {
        if failed {
            parts.all.push("j.status <> 0");
        }
        // Also beside the line above: a list that wants both is empty.
        if filter.success == Some(true) {
            parts.all.push("j.status = 0");
        }
        if !filter.statuses.is_empty() {
            for (status, part) in [
                (RunStatus::Success, "j.status <> 0"),
                (RunStatus::Failure, "j.status <> 1"),
                (RunStatus::Canceled, "j.status <> 2"),
            ] {
                if !filter.statuses.contains(&status) {
                    parts.all.push(part);
                }
            }
        }
        parts.if_some("j.started + j.duration > ?", filter.completed.after);
        parts.if_some("j.started + j.duration < ?", filter.completed.before);
    }
    let order = if filter.ascending { "ASC" } else { "DESC" };
    parts.values.push(Value::from(filter.limit.min(MAX_LIST)));
    let which = format!("WHERE {} ORDER BY j.id {order} LIMIT ?", parts.all.join(" AND "));
    (rows::select(queue, Extent::of_list(filter.with_args), Some(index), &which), parts.values)
}

/// Conditions, and the values of their placeholders in order.
#[derive(Default)]
struct Parts {
    all: Vec<&'static str>,
    values: Vec<Value>,
}

impl Parts {
    fn and(&mut self, part: &'static str, value: impl Into<Value>) {
        self.all.push(part);
        self.values.push(value.into());
    }

    fn if_some(&mut self, part: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.and(part, value);
        }
    }
}
