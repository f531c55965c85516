//! Lists of jobs: walks along one index of each table, newest or oldest first, that stop when the
//! list is full.
//!
//! All tables are read by one statement, and so in one snapshot: a job that moved between two would
//! otherwise be in neither, or in both.

use super::columns::unstorable;
use super::db::{Db, get};
use super::fault::{Fault, TxResult};
use super::lookup::own;
use super::rows::{Table, job_columns, state_columns};
use super::shared::Shared;
use super::uuid::Uuid;
use crate::common::codec::{Extent, status_number, trigger_number, unsigned};
use crate::common::keys::bounds;
use crate::{Job, JobFilter, MAX_LIST, Micros, Result, RunStatus};
use std::cmp::Reverse;
use std::fmt::Write as _;
use tokio_postgres::types::ToSql;
use wasmill_core::{JobId, WorkspaceId};

/// A value of a statement.
type Value = Box<dyn ToSql + Sync + Send>;

/// The rows and keys that a filter's names and ids stand for.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) workspace: i64,
    pub(super) script: Option<i64>,
    pub(super) version: Option<i64>,
    pub(super) tag: Option<i64>,
    pub(super) label: Option<i64>,
    pub(super) callers: Option<Vec<i64>>,
    pub(super) scripts: Option<Vec<i64>>,
    /// Keys between which the jobs are, ends excluded.
    pub(super) keys: (i64, i64),
}

impl Shared {
    /// A workspace's jobs that fit a filter.
    pub(super) async fn list(
        &self,
        workspace: &WorkspaceId,
        filter: &JobFilter,
    ) -> Result<Vec<Job>> {
        let Some(resolved) = self.resolve(workspace, filter).await? else {
            return Ok(Vec::new());
        };
        let Some((sql, values)) = statement(&resolved, filter) else {
            return Ok(Vec::new());
        };
        let values: Vec<&(dyn ToSql + Sync)> =
            values.iter().map(|value| value.as_ref() as &(dyn ToSql + Sync)).collect();
        let (sql, values) = (&sql, &values);
        let mut rows = self.statement(move |db| async move { db.rows(sql, values).await }).await?;
        // Within a table they are in order already.
        let key = |row: &tokio_postgres::Row| get::<i64>(row, 0).unwrap_or_default();
        match filter.ascending {
            true => rows.sort_by_key(key),
            false => rows.sort_by_key(|row| Reverse(key(row))),
        }
        rows.truncate(filter.limit.min(MAX_LIST) as usize);
        self.jobs(&rows, Extent::of_list(filter.with_args)).await
    }

    /// How many of a workspace's waiting jobs are to start before a moment.
    pub(super) async fn position(&self, workspace: &WorkspaceId, at: Micros) -> Result<u64> {
        let Some(workspace) = self.workspace_row(workspace).await? else {
            return Ok(0);
        };
        let sql = "SELECT count(*) FROM waiting WHERE workspace = $1 AND run_at < $2";
        let ahead: i64 = self
            .statement(move |db| async move { get(&db.one(sql, &[&workspace, &at]).await?, 0) })
            .await?;
        Ok(unsigned(ahead))
    }

    /// `None`: something that the filter names does not exist, and so nothing fits.
    async fn resolve(
        &self,
        workspace: &WorkspaceId,
        filter: &JobFilter,
    ) -> Result<Option<Resolved>> {
        let Some(workspace) = self.workspace_row(workspace).await? else {
            return Ok(None);
        };
        let keys = bounds(&filter.created);
        let (mut tag, mut label) = (None, None);
        for (wanted, row) in [(&filter.tag, &mut tag), (&filter.label, &mut label)] {
            if let Some(word) = wanted {
                *row = self.word_row(word).await?;
                if row.is_none() {
                    return Ok(None);
                }
            }
        }
        let mut resolved = Resolved {
            workspace,
            script: None,
            version: None,
            tag,
            label,
            callers: None,
            scripts: None,
            keys,
        };
        let is_plain = filter.path.is_none()
            && filter.version.is_none()
            && filter.created_by.is_none()
            && filter.path_start.is_none()
            && filter.before.is_none()
            && filter.after.is_none();
        if is_plain {
            return Ok(Some(resolved));
        }
        let found =
            self.statement(move |db| async move { names(&db, workspace, filter).await }).await?;
        if (filter.path.is_some() && found.script.is_none())
            || (filter.version.is_some() && found.version.is_none())
        {
            return Ok(None);
        }
        // One that was never seen and carries no time: nothing is known to lie beyond it.
        let key = |id: &JobId, assigned: Option<i64>| assigned.or_else(|| own(id));
        if let Some(id) = &filter.after {
            let Some(key) = key(id, found.after) else { return Ok(None) };
            resolved.keys.0 = key.max(resolved.keys.0);
        }
        if let Some(id) = &filter.before {
            let Some(key) = key(id, found.before) else { return Ok(None) };
            resolved.keys.1 = key.min(resolved.keys.1);
        }
        let Found { script, version, callers, scripts, .. } = found;
        // A version has one script: that is only for its index.
        resolved.script = script.or(version.map(|(_, script)| script));
        if let (Some(script), Some((_, of))) = (script, version)
            && script != of
        {
            return Ok(None);
        }
        resolved.version = version.map(|(version, _)| version);
        (resolved.callers, resolved.scripts) = (callers, scripts);
        Ok(Some(resolved))
    }
}

/// What a filter's names stand for.
#[derive(Debug, Default)]
struct Found {
    script: Option<i64>,
    /// With its script.
    version: Option<(i64, i64)>,
    callers: Option<Vec<i64>>,
    scripts: Option<Vec<i64>>,
    after: Option<i64>,
    before: Option<i64>,
}

async fn names(db: &Db, workspace: i64, filter: &JobFilter) -> TxResult<Found> {
    let mut found = Found::default();
    if let Some(path) = &filter.path {
        let sql = "SELECT id FROM script WHERE workspace = $1 AND path = $2";
        found.script = db
            .row(sql, &[&workspace, &path.as_str()])
            .await?
            .map(|row| get(&row, 0))
            .transpose()?;
    }
    if let Some(hash) = &filter.version {
        let sql = "SELECT id, script FROM version WHERE workspace = $1 AND hash = $2";
        let row = db.row(sql, &[&workspace, &hash.0.as_slice()]).await?;
        found.version =
            row.map(|row| Ok::<_, Fault>((get(&row, 0)?, get(&row, 1)?))).transpose()?;
    }
    if let Some(name) = &filter.created_by {
        let rows = db.rows("SELECT id FROM caller WHERE name = $1", &[&name.as_bytes()]).await?;
        found.callers = Some(rows.iter().map(|row| get(row, 0)).collect::<TxResult<_>>()?);
    }
    if let Some(start) = &filter.path_start {
        // No path has characters beyond this one.
        let end = format!("{start}\u{10ffff}");
        let sql = "SELECT id FROM script WHERE workspace = $1 AND path >= $2 AND path < $3";
        let rows = match unstorable(start) {
            true => Vec::new(),
            false => db.rows(sql, &[&workspace, start, &end]).await?,
        };
        found.scripts = Some(rows.iter().map(|row| get(row, 0)).collect::<TxResult<_>>()?);
    }
    for (cursor, key) in [(&filter.after, &mut found.after), (&filter.before, &mut found.before)] {
        if let Some(id) = cursor {
            let row = db.row("SELECT key FROM alias WHERE uuid = $1", &[&Uuid(*id)]).await?;
            *key = row.map(|row| get(&row, 0)).transpose()?;
        }
    }
    Ok(found)
}

/// The query and its values. Every part of its text is a constant; what was asked for is in the
/// values only. `None`: nothing can fit.
pub(super) fn statement(resolved: &Resolved, filter: &JobFilter) -> Option<(String, Vec<Value>)> {
    let mut values: Vec<Value> = Vec::new();
    let mut tables = Vec::new();
    for which in [Table::Waiting, Table::Running, Table::Finished] {
        let is_wanted = match which {
            Table::Waiting => {
                filter.wants_queued() && filter.running != Some(true) && filter.started.is_open()
            }
            Table::Running => filter.wants_queued() && filter.running != Some(false),
            Table::Finished => filter.wants_finished(),
        };
        if is_wanted {
            tables.push(format!("({})", table(which, resolved, filter, &mut values)));
        }
    }
    (!tables.is_empty()).then(|| (tables.join(" UNION ALL "), values))
}

/// The query of one table.
fn table(which: Table, resolved: &Resolved, filter: &JobFilter, values: &mut Vec<Value>) -> String {
    let mut parts = Parts { text: String::new(), values };
    // What the walk is along, and what is looked at job by job.
    let by_parent = filter.parent.is_some();
    if let Some(parent) = filter.parent {
        parts.and("j.parent =", Uuid(parent));
        parts.and("j.workspace =", resolved.workspace);
    } else if resolved.script.is_none() {
        parts.and("s.workspace =", resolved.workspace);
    }
    parts.if_some("s.script =", resolved.script);
    let walk = if by_parent { "j" } else { "s" };
    let (low, high) = (format!("{walk}.id >"), format!("{walk}.id <"));
    parts.and(&low, resolved.keys.0);
    parts.and(&high, resolved.keys.1);
    if which == Table::Finished {
        let failed = filter.wants_failed();
        if failed {
            parts.raw("s.status <> 0");
        }
        // Also beside the line above: a list that wants both is empty.
        if filter.success == Some(true) {
            parts.raw("s.status = 0");
        }
        if !filter.statuses.is_empty() {
            for status in [RunStatus::Success, RunStatus::Failure, RunStatus::Canceled] {
                if !filter.statuses.contains(&status) {
                    parts.and("s.status <>", status_number(status));
                }
            }
        }
        parts.if_some("s.started + s.duration >", filter.completed.after);
        parts.if_some("s.started + s.duration <", filter.completed.before);
    }
    if which != Table::Waiting {
        parts.if_some("s.started >", filter.started.after);
        parts.if_some("s.started <", filter.started.before);
    }
    parts.if_some("j.version =", resolved.version);
    parts.if_some("j.tag =", resolved.tag);
    parts.if_some("j.label =", resolved.label);
    parts.if_some("j.trigger =", filter.trigger.map(trigger_number));
    parts.if_some("j.created >", filter.created.after);
    parts.if_some("j.created <", filter.created.before);
    if which != Table::Finished {
        parts.if_some("j.run_at <=", filter.due_by);
    }
    if let Some(callers) = &resolved.callers {
        parts.any("j.caller", callers.clone());
    }
    if let Some(scripts) = &resolved.scripts {
        parts.any("s.script", scripts.clone());
    }
    let condition = std::mem::take(&mut parts.text);
    let order = if filter.ascending { "ASC" } else { "DESC" };
    let limit = parts.value(i64::from(filter.limit.min(MAX_LIST)));
    let columns = format!(
        "{}, {}",
        job_columns(filter.with_args),
        state_columns(which, Extent::of_list(filter.with_args))
    );
    let (name, beside) = (which.name(), "LEFT JOIN cancellation c ON c.job = j.id");
    // A row of the other table is found by its key only, however many there are: that keeps the
    // order of the walk.
    match by_parent {
        true => format!(
            "SELECT {columns} FROM job j CROSS JOIN LATERAL (SELECT * FROM {name} s WHERE s.id = j.id AND s.workspace = j.workspace LIMIT 1) s \
             {beside} WHERE {condition} ORDER BY j.id {order} LIMIT {limit}"
        ),
        false => format!(
            "SELECT {columns} FROM {name} s CROSS JOIN LATERAL (SELECT * FROM job j WHERE j.id = s.id LIMIT 1) j \
             {beside} WHERE {condition} ORDER BY s.id {order} LIMIT {limit}"
        ),
    }
}

/// Conditions, and the values of their placeholders in order.
struct Parts<'v> {
    text: String,
    values: &'v mut Vec<Value>,
}

impl Parts<'_> {
    /// The placeholder of a further value.
    fn value(&mut self, value: impl ToSql + Sync + Send + 'static) -> String {
        self.values.push(Box::new(value));
        format!("${}", self.values.len())
    }

    fn raw(&mut self, part: &str) {
        let and = if self.text.is_empty() { "" } else { " AND " };
        // Writing to a string does not fail.
        let _ = write!(self.text, "{and}{part}");
    }

    fn and(&mut self, part: &str, value: impl ToSql + Sync + Send + 'static) {
        let place = self.value(value);
        self.raw(&format!("{part} {place}"));
    }

    fn if_some(&mut self, part: &str, value: Option<impl ToSql + Sync + Send + 'static>) {
        if let Some(value) = value {
            self.and(part, value);
        }
    }

    fn any(&mut self, column: &str, values: Vec<i64>) {
        let place = self.value(values);
        self.raw(&format!("{column} = ANY ({place})"));
    }
}
