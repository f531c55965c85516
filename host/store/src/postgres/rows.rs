//! Rows of jobs and the values they stand for.

use super::Shared;
use super::db::{duration, get, optional_text, text};
use super::fault::{Outcome, corrupt};
use super::names::{Rows, Shown};
use super::uuid::Uuid;
use crate::{Cancellation, Erasure, Job, JobState, NewJob, Result, RunEnd, RunStatus, Trigger};
use bytes::Bytes;
use serde_json::value::RawValue;
use tokio_postgres::Row;
use wasmill_core::JobId;
use wasmill_core::queue::{Concurrency, RetryPolicy};

/// What is told in the log of a run whose payload was dropped.
const NOT_KEPT: &[u8] =
    b"wasmill: runs finished faster than they could be recorded; the arguments, the result and the log of this one were not kept\n";

/// Bits of a key below its milliseconds.
const COUNTER_BITS: u32 = 12;
/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// How much of a job is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Everything.
    Whole,
    /// What lists show: without arguments, result and log.
    Line,
    /// The same with arguments.
    LineWithArgs,
}

/// Which table says where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
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

/// What follows them to make a [`Job`] that is there, with its row of that table named `s`.
pub(super) fn state_columns(place: Place, extent: Extent) -> String {
    let end = match (place, extent) {
        (Place::Waiting, _) => {
            "0::smallint, s.attempt, NULL::bigint, NULL::smallint, NULL::bigint, NULL::bigint, false, NULL::bytea, NULL::bytea"
        }
        (Place::Running, _) => {
            "1::smallint, s.attempt, s.started, NULL::smallint, NULL::bigint, NULL::bigint, false, NULL::bytea, NULL::bytea"
        }
        (Place::Finished, Extent::Whole) => {
            "2::smallint, s.attempt, s.started, s.status, s.duration, s.memory, s.deleted, s.result, s.log"
        }
        (Place::Finished, _) => {
            "2::smallint, s.attempt, s.started, s.status, s.duration, s.memory, s.deleted, NULL::bytea, NULL::bytea"
        }
    };
    format!("{end}, c.name, c.reason, c.at")
}

impl Place {
    /// The table's name.
    pub(super) fn table(self) -> &'static str {
        match self {
            Place::Waiting => "waiting",
            Place::Running => "running",
            Place::Finished => "finished",
        }
    }
}

impl Shared {
    /// The jobs of rows that have the columns of [`job_columns`] and [`state_columns`].
    pub(super) async fn jobs(&self, rows: &[Row], extent: Extent) -> Result<Vec<Job>> {
        let names = names(rows).map_err(super::fault::Fault::into_error)?;
        self.shown(&names, |shown| rows.iter().map(|row| job(row, shown, extent)).collect()).await
    }
}

/// The dictionary rows that rows of [`job_columns`] refer to.
pub(super) fn names(rows: &[Row]) -> Outcome<Rows> {
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

/// A job's id from its key, its tail or, without one, what the alias table has.
pub(super) fn id(key: i64, tail: Option<i64>, alias: Option<Uuid>) -> Outcome<JobId> {
    match (tail, alias) {
        (Some(tail), _) => Ok(JobId::from_key(key, tail)),
        (None, Some(Uuid(id))) => Ok(id),
        (None, None) => Err(corrupt("alias.uuid", "it is missing")),
    }
}

/// What was asked for, from the columns of [`job_columns`].
pub(super) fn new_job(row: &Row, shown: &Shown) -> Outcome<NewJob> {
    let lost = |what: &str| corrupt(what, "there is no such row");
    let workspace = shown.workspaces.get(&get(row, 3)?).ok_or_else(|| lost("job.workspace"))?;
    let version = shown.versions.get(&get(row, 4)?).ok_or_else(|| lost("job.version"))?;
    let caller = shown.callers.get(&get(row, 5)?).ok_or_else(|| lost("job.caller"))?;
    let tag = shown.words.get(&get(row, 6)?).ok_or_else(|| lost("job.tag"))?;
    let label = match get::<Option<i64>>(row, 10)? {
        Some(label) => Some(shown.words.get(&label).ok_or_else(|| lost("job.label"))?.to_string()),
        None => None,
    };
    let uuid = |column: usize| {
        Ok::<_, super::fault::Fault>(get::<Option<Uuid>>(row, column)?.map(|Uuid(id)| id))
    };
    let retry: Option<&str> = get(row, 21)?;
    let concurrency = match (get::<Option<i64>>(row, 12)?, get::<Option<i64>>(row, 13)?) {
        (Some(key), Some(limit)) => Some(Concurrency { key, limit: count(limit) }),
        _ => None,
    };
    Ok(NewJob {
        id: id(get(row, 0)?, get(row, 1)?, get(row, 2)?)?,
        workspace: workspace.clone(),
        version: version.hash,
        created_by: caller.name.to_string(),
        token: caller.token,
        trigger: trigger(get(row, 16)?)?,
        created: get(row, 7)?,
        run_at: get(row, 8)?,
        timeout: get::<Option<i64>>(row, 11)?.map(duration),
        max_attempts: count(get(row, 9)?),
        retry: retry.map(retry_of).transpose()?,
        concurrency,
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
fn job(row: &Row, shown: &Shown, extent: Extent) -> Outcome<Job> {
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
        attempt: attempt(get(row, 24)?),
        canceled,
        state,
    })
}

/// An end from six columns: status, duration, memory, deleted, result and log.
pub(super) fn end(row: &Row, first: usize, started: i64, extent: Extent) -> Outcome<RunEnd> {
    let deleted: bool = get(row, first + 3)?;
    let result: Option<Vec<u8>> = get(row, first + 4)?;
    let (result, log) = match (result, extent) {
        (Some(result), _) => (json(result)?, bytes(row, first + 5)?),
        (None, Extent::Whole) if !deleted => {
            (RawValue::NULL.to_owned(), Bytes::from_static(NOT_KEPT))
        }
        (None, _) => (RawValue::NULL.to_owned(), Bytes::new()),
    };
    Ok(RunEnd {
        status: status(get(row, first)?)?,
        started,
        duration: duration(get(row, first + 1)?),
        memory_peak_bytes: u64::try_from(get::<i64>(row, first + 2)?).unwrap_or(0),
        result,
        log,
        deleted,
    })
}

/// The day of a key, in SQL.
pub(super) fn day(key: &str) -> String {
    format!("(({key} >> {COUNTER_BITS}) / {DAY})::integer")
}

/// The day of a key, counted from 1970.
pub(super) fn day_of(key: i64) -> i32 {
    i32::try_from((key >> COUNTER_BITS) / DAY).unwrap_or(i32::MAX)
}

/// The first key of a day.
pub(super) fn first_of_day(day: i64) -> i64 {
    day.saturating_mul(DAY) << COUNTER_BITS
}

fn json(bytes: Vec<u8>) -> Outcome<Box<RawValue>> {
    let text = String::from_utf8(bytes).map_err(|error| corrupt("finished.result", error))?;
    RawValue::from_string(text).map_err(|error| corrupt("finished.result", error))
}

fn bytes(row: &Row, column: usize) -> Outcome<Bytes> {
    Ok(get::<Option<Vec<u8>>>(row, column)?.map(Bytes::from).unwrap_or_default())
}

fn count(number: i64) -> u32 {
    u32::try_from(number.clamp(0, u32::MAX.into())).unwrap_or(0)
}

/// The number of an attempt.
pub(super) fn attempt(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

pub(super) fn retry_text(policy: &RetryPolicy) -> Outcome<String> {
    serde_json::to_string(policy).map_err(|error| corrupt("job.retry", error))
}

fn retry_of(text: &str) -> Outcome<RetryPolicy> {
    serde_json::from_str(text).map_err(|error| corrupt("job.retry", error))
}

pub(super) fn trigger_number(trigger: Trigger) -> i16 {
    match trigger {
        Trigger::Webhook => 0,
        Trigger::Manual => 1,
    }
}

fn trigger(number: i16) -> Outcome<Trigger> {
    match number {
        0 => Ok(Trigger::Webhook),
        1 => Ok(Trigger::Manual),
        other => Err(corrupt("job.trigger", other)),
    }
}

pub(super) fn status_number(status: RunStatus) -> i16 {
    match status {
        RunStatus::Success => 0,
        RunStatus::Failure => 1,
        RunStatus::Canceled => 2,
    }
}

fn status(number: i16) -> Outcome<RunStatus> {
    match number {
        0 => Ok(RunStatus::Success),
        1 => Ok(RunStatus::Failure),
        2 => Ok(RunStatus::Canceled),
        other => Err(corrupt("status", other)),
    }
}
