//! Rows of jobs and the values they stand for.

use super::db::{get, optional_text, text};
use super::fault::{Fault, TxResult, corrupt};
use super::names::{Rows, Shown};
use super::shared::Shared;
use super::uuid::Uuid;
use crate::common::codec::{self, Extent};
use crate::model::duration;
use crate::{Cancellation, Erasure, Job, JobState, NewJob, Result, RunEnd};
use bytes::Bytes;
use tokio_postgres::Row;
use wasmill_core::JobId;

/// Which table says where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Waiting,
    Running,
    Finished,
}

/// The columns that [`NewJob`]s are made of, of a row of `job` named `j`.
pub(super) fn job_columns(args: bool) -> String {
    let args = if args { "j.args" } else { "NULL::bytea" };
    format!(
        "j.id, j.tail, CASE WHEN j.tail IS NULL THEN (SELECT a.uuid FROM alias a WHERE a.key = j.id) END, j.workspace, j.version, \
         j.caller, j.tag, j.created, j.run_at, j.max_attempts, j.label, j.timeout, j.concurrency_key, j.concurrency_limit, \
         j.erase_after, j.priority, j.trigger, j.when_read, j.awaited, j.parent, j.root, j.retry, {args}"
    )
}

/// The columns that follow [`job_columns`] to make a [`Job`], with its row of that table named `s`.
pub(super) fn state_columns(table: Table, extent: Extent) -> String {
    let end = match (table, extent) {
        (Table::Waiting, _) => {
            "0::smallint, s.attempt, NULL::bigint, NULL::smallint, NULL::bigint, NULL::bigint, false, NULL::bytea, NULL::bytea"
        }
        (Table::Running, _) => {
            "1::smallint, s.attempt, s.started, NULL::smallint, NULL::bigint, NULL::bigint, false, NULL::bytea, NULL::bytea"
        }
        (Table::Finished, Extent::Whole) => {
            "2::smallint, s.attempt, s.started, s.status, s.duration, s.memory, s.deleted, s.result, s.log"
        }
        (Table::Finished, _) => {
            "2::smallint, s.attempt, s.started, s.status, s.duration, s.memory, s.deleted, NULL::bytea, NULL::bytea"
        }
    };
    format!("{end}, c.name, c.reason, c.at")
}

impl Table {
    /// Its name in SQL.
    pub(super) fn name(self) -> &'static str {
        match self {
            Table::Waiting => "waiting",
            Table::Running => "running",
            Table::Finished => "finished",
        }
    }
}

impl Shared {
    /// The jobs of rows that have the columns of [`job_columns`] and [`state_columns`].
    pub(super) async fn jobs(&self, rows: &[Row], extent: Extent) -> Result<Vec<Job>> {
        let names = names(rows).map_err(Fault::into_error)?;
        self.shown(&names, |shown| rows.iter().map(|row| job(row, shown, extent)).collect()).await
    }
}

/// The dictionary rows that rows of [`job_columns`] refer to.
pub(super) fn names(rows: &[Row]) -> TxResult<Rows> {
    let mut names = Rows::default();
    for row in rows {
        names.workspaces.insert(get(row, 3)?);
        names.versions.insert(get(row, 4)?);
        names.callers.insert(get(row, 5)?);
        names.words.insert(get(row, 6)?);
        names.words.extend(get::<Option<i64>>(row, 10)?);
    }
    Ok(names)
}

/// A job's id from its key and its tail or, of a job whose key was assigned, the id that the table
/// `alias` has for it.
pub(super) fn id(key: i64, tail: Option<i64>, foreign: Option<Uuid>) -> TxResult<JobId> {
    match (tail, foreign) {
        (Some(tail), _) => Ok(JobId::from_key(key, tail)),
        (None, Some(Uuid(id))) => Ok(id),
        (None, None) => Err(corrupt("alias.uuid", "it is missing")),
    }
}

/// What was asked for, from the columns of [`job_columns`].
pub(super) fn new_job(row: &Row, shown: &Shown) -> TxResult<NewJob> {
    let lost = |what: &str| corrupt(what, "there is no such row");
    let workspace = shown.workspaces.get(&get(row, 3)?).ok_or_else(|| lost("job.workspace"))?;
    let version = shown.versions.get(&get(row, 4)?).ok_or_else(|| lost("job.version"))?;
    let caller = shown.callers.get(&get(row, 5)?).ok_or_else(|| lost("job.caller"))?;
    let tag = shown.words.get(&get(row, 6)?).ok_or_else(|| lost("job.tag"))?;
    let label = match get::<Option<i64>>(row, 10)? {
        Some(label) => Some(shown.words.get(&label).ok_or_else(|| lost("job.label"))?.to_string()),
        None => None,
    };
    let uuid = |column: usize| Ok::<_, Fault>(get::<Option<Uuid>>(row, column)?.map(|Uuid(id)| id));
    Ok(NewJob {
        id: id(get(row, 0)?, get(row, 1)?, get(row, 2)?)?,
        workspace: workspace.clone(),
        version: version.hash,
        created_by: caller.name.to_string(),
        token: caller.token,
        trigger: codec::trigger(get::<i16>(row, 16)?)?,
        created: get(row, 7)?,
        run_at: get(row, 8)?,
        timeout: get::<Option<i64>>(row, 11)?.map(duration),
        max_attempts: codec::count(get::<i64>(row, 9)?),
        retry: codec::retry(get(row, 21)?)?,
        concurrency: codec::concurrency(get(row, 12)?, get(row, 13)?),
        parent: uuid(19)?,
        root: uuid(20)?,
        tag: tag.to_string(),
        priority: get(row, 15)?,
        label,
        erasure: Erasure {
            when_read: get(row, 17)?,
            after: get::<Option<i64>>(row, 14)?.map(duration),
        },
        awaited: get(row, 18)?,
        args: bytes(row, 22)?,
    })
}

/// A job from all columns.
fn job(row: &Row, shown: &Shown, extent: Extent) -> TxResult<Job> {
    let job = new_job(row, shown)?;
    let version = shown
        .versions
        .get(&get(row, 4)?)
        .ok_or_else(|| corrupt("job.version", "there is no such row"))?;
    let started: Option<i64> = get(row, 25)?;
    let state = match (get::<i16>(row, 23)?, started) {
        (0, _) => JobState::Waiting,
        (1, Some(started)) => JobState::Running(started),
        (2, Some(started)) => JobState::Finished(end(row, 26, started, extent)?),
        _ => return Err(corrupt("job", "its start is missing")),
    };
    let canceled = match get::<Option<&[u8]>>(row, 32)? {
        Some(_) => Some(Cancellation {
            by: text(row, 32)?,
            reason: optional_text(row, 33)?,
            at: get(row, 34)?,
        }),
        None => None,
    };
    Ok(Job {
        job,
        path: version.path.clone(),
        kind: version.kind,
        attempt: codec::count(get::<i32>(row, 24)?),
        canceled,
        state,
    })
}

/// An end from six columns: status, duration, memory, deleted, result and log.
pub(super) fn end(row: &Row, first: usize, started: i64, extent: Extent) -> TxResult<RunEnd> {
    let deleted: bool = get(row, first + 3)?;
    let payload = codec::payload(get(row, first + 4)?, get(row, first + 5)?, deleted, extent)?;
    let (result, log) = payload;
    Ok(RunEnd {
        status: codec::status(get::<i16>(row, first)?)?,
        started,
        duration: duration(get(row, first + 1)?),
        memory_peak_bytes: codec::unsigned(get(row, first + 2)?),
        result,
        log,
        deleted,
    })
}

fn bytes(row: &Row, column: usize) -> TxResult<Bytes> {
    Ok(get::<Option<Vec<u8>>>(row, column)?.map(Bytes::from).unwrap_or_default())
}
