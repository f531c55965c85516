//! Rows of jobs and the values they stand for, whichever of the two tables they are in.

use super::corrupt;
use super::fault::Fault;
use crate::{Cancellation, Erasure, Job, JobState, NewJob, RunEnd, RunStatus, Trigger};
use bytes::Bytes;
use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde_json::value::RawValue;
use std::time::Duration;
use wasmill_core::queue::{Concurrency, RetryPolicy};
use wasmill_core::{Digest, JobId};

/// What is told in the log of a run whose payload was dropped.
const NOT_KEPT: &[u8] =
    b"wasmill: runs finished faster than they could be recorded; the arguments, the result and the log of this one were not kept\n";

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

/// The query for jobs of one table; both give the columns that [`job`] reads. `CROSS JOIN` keeps
/// the order of the loops.
pub(super) fn select(queue: bool, extent: Extent, index: Option<&str>, which: &str) -> String {
    let state = match queue {
        true => "j.started, NULL, NULL, NULL, 0",
        false => "j.started, j.status, j.duration, j.memory, j.deleted",
    };
    let failures = if queue { "j.failures" } else { "0" };
    let body = match (queue, extent) {
        (_, Extent::Line) => "NULL, NULL, NULL",
        (true, _) => "(SELECT args FROM queue_args WHERE id = j.id), NULL, NULL",
        (false, Extent::LineWithArgs) => {
            "coalesce(j.args, b.args, (SELECT args FROM queue_args WHERE id = j.id)), NULL, NULL"
        }
        (false, Extent::Whole) => {
            "coalesce(j.args, b.args, (SELECT args FROM queue_args WHERE id = j.id)), coalesce(j.result, b.result), coalesce(j.log, b.log)"
        }
    };
    let table = if queue { "queue" } else { "run" };
    let index = index.map(|name| format!("INDEXED BY {name}")).unwrap_or_default();
    let beside = match (queue, extent) {
        (false, Extent::Whole | Extent::LineWithArgs) => "LEFT JOIN run_body b ON b.id = j.id",
        _ => "",
    };
    format!(
        "SELECT j.id, j.tail, CASE WHEN j.tail IS NULL THEN (SELECT uuid FROM alias WHERE key = j.id) END, \
         w.name, v.hash, s.path, v.kind, c.name, c.token, j.trigger, j.created, j.run_at, j.timeout, j.max_attempts, \
         j.attempt, {state}, {body}, t.text, j.priority, (SELECT text FROM word WHERE id = j.label), j.parent, j.root, \
         x.name, x.reason, x.at, e.when_read, e.after, j.retry, j.concurrency_key, j.concurrency_limit, j.awaited, {failures} \
         FROM {table} j {index} CROSS JOIN workspace w ON w.id = j.workspace CROSS JOIN version v ON v.id = j.version \
         CROSS JOIN script s ON s.id = j.script CROSS JOIN caller c ON c.id = j.caller CROSS JOIN word t ON t.id = j.tag \
         LEFT JOIN cancel x ON x.id = j.id LEFT JOIN erasure e ON e.id = j.id {beside} {which}"
    )
}

/// A job, and its key, from a row of [`select`].
pub(super) fn job(row: &Row<'_>, queue: bool, extent: Extent) -> Result<(i64, Job), Fault> {
    let key: i64 = row.get(0)?;
    let id = id(key, row.get(1)?, row.get_ref(2)?)?;
    let created = row.get(10)?;
    let workspace = text(row, 3, "workspace.name")?;
    let path = text(row, 5, "script.path")?;
    let kind = text(row, 6, "version.kind")?;
    let job = NewJob {
        id,
        workspace: workspace.parse().map_err(|error| corrupt("workspace.name", error))?,
        version: Digest(row.get(4)?),
        created_by: row.get(7)?,
        token: token(row.get_ref(8)?)?,
        trigger: trigger(row.get(9)?)?,
        created,
        run_at: row.get::<_, Option<i64>>(11)?.unwrap_or(created),
        timeout: row.get::<_, Option<i64>>(12)?.map(duration),
        max_attempts: count(row.get(13)?),
        retry: retry(row)?,
        concurrency: concurrency(row.get(34)?, row.get(35)?),
        awaited: row.get(36)?,
        tag: row.get(23)?,
        priority: row.get(24)?,
        label: row.get(25)?,
        parent: job_id(row, 26, "parent")?,
        root: job_id(row, 27, "root")?,
        erasure: Erasure {
            when_read: row.get::<_, Option<bool>>(31)?.unwrap_or(false),
            after: row.get::<_, Option<i64>>(32)?.map(duration),
        },
        args: bytes(row, 20)?,
    };
    let started: Option<i64> = row.get(15)?;
    let state = match (queue, started) {
        (true, None) => JobState::Waiting,
        (true, Some(at)) => JobState::Running(at),
        (false, None) => return Err(corrupt("run.started", "it is missing")),
        (false, Some(at)) => JobState::Finished(end(row, at, extent)?),
    };
    let path = path.parse().map_err(|error| corrupt("script.path", error))?;
    let kind = kind.parse().map_err(|error| corrupt("version.kind", error))?;
    let canceled = match row.get(28)? {
        Some(by) => Some(Cancellation { by, reason: row.get(29)?, at: row.get(30)? }),
        None => None,
    };
    Ok((key, Job { job, path, kind, attempt: count(row.get(14)?), canceled, state }))
}

/// A job's id from its key, its tail or, without one, what the alias table has.
pub(super) fn id(key: i64, tail: Option<i64>, alias: ValueRef<'_>) -> Result<JobId, Fault> {
    match tail {
        Some(tail) => Ok(JobId::from_key(key, tail)),
        None => {
            let uuid = alias.as_str().map_err(|error| corrupt("alias.uuid", error))?;
            uuid.parse().map_err(|error| corrupt("alias.uuid", error))
        }
    }
}

/// How many attempts of a queued job ended with an error, from a row of [`select`].
pub(super) fn failures(row: &Row<'_>) -> rusqlite::Result<u32> {
    row.get(37).map(count)
}

/// A concurrency limit from its two columns.
pub(super) fn concurrency(key: Option<i64>, limit: Option<i64>) -> Option<Concurrency> {
    key.zip(limit).map(|(key, limit)| Concurrency { key, limit: count(limit) })
}

/// The text of a retry policy.
pub(super) fn retry_text(retry: Option<&RetryPolicy>) -> Result<Option<String>, Fault> {
    retry.map(serde_json::to_string).transpose().map_err(|error| corrupt("retry", error))
}

fn retry(row: &Row<'_>) -> Result<Option<RetryPolicy>, Fault> {
    let text = row.get_ref(33)?.as_str_or_null().map_err(|error| corrupt("retry", error))?;
    text.map(serde_json::from_str).transpose().map_err(|error| corrupt("retry", error))
}

fn end(row: &Row<'_>, started: i64, extent: Extent) -> Result<RunEnd, Fault> {
    let deleted: bool = row.get(19)?;
    let result: Option<Vec<u8>> = row.get(21)?;
    let (result, log) = match (result, extent) {
        (Some(result), _) => (json(result)?, bytes(row, 22)?),
        (None, Extent::Whole) if !deleted => {
            (RawValue::NULL.to_owned(), Bytes::from_static(NOT_KEPT))
        }
        (None, _) => (RawValue::NULL.to_owned(), Bytes::new()),
    };
    Ok(RunEnd {
        status: status(row.get(16)?)?,
        started,
        duration: duration(row.get(17)?),
        memory_peak_bytes: u64::try_from(row.get::<_, i64>(18)?).unwrap_or(0),
        result,
        log,
        deleted,
    })
}

pub(super) fn json(bytes: Vec<u8>) -> Result<Box<RawValue>, Fault> {
    let text = String::from_utf8(bytes).map_err(|error| corrupt("run_body.result", error))?;
    RawValue::from_string(text).map_err(|error| corrupt("run_body.result", error))
}

fn job_id(row: &Row<'_>, column: usize, name: &str) -> Result<Option<JobId>, Fault> {
    let id = row.get_ref(column)?.as_str_or_null().map_err(|error| corrupt(name, error))?;
    id.map(|id| id.parse().map_err(|error| corrupt(name, error))).transpose()
}

fn text<'r>(row: &'r Row<'_>, column: usize, name: &str) -> Result<&'r str, Fault> {
    row.get_ref(column)?.as_str().map_err(|error| corrupt(name, error))
}

fn bytes(row: &Row<'_>, column: usize) -> Result<Bytes, Fault> {
    Ok(row.get::<_, Option<Vec<u8>>>(column)?.map(Bytes::from).unwrap_or_default())
}

fn token(value: ValueRef<'_>) -> Result<Option<[u8; 32]>, Fault> {
    match value.as_blob() {
        Ok([]) => Ok(None),
        Ok(digest) => match digest.try_into() {
            Ok(digest) => Ok(Some(digest)),
            Err(_) => Err(corrupt("caller.token", "it does not have 32 bytes")),
        },
        Err(error) => Err(corrupt("caller.token", error)),
    }
}

pub(super) fn duration(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

pub(super) fn count(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

pub(super) fn trigger_number(trigger: Trigger) -> i64 {
    match trigger {
        Trigger::Webhook => 0,
        Trigger::Manual => 1,
    }
}

fn trigger(number: i64) -> Result<Trigger, Fault> {
    match number {
        0 => Ok(Trigger::Webhook),
        1 => Ok(Trigger::Manual),
        other => Err(corrupt("trigger", other)),
    }
}

pub(super) fn status_number(status: RunStatus) -> i64 {
    match status {
        RunStatus::Success => 0,
        RunStatus::Failure => 1,
        RunStatus::Canceled => 2,
    }
}

pub(super) fn status(number: i64) -> Result<RunStatus, Fault> {
    match number {
        0 => Ok(RunStatus::Success),
        1 => Ok(RunStatus::Failure),
        2 => Ok(RunStatus::Canceled),
        other => Err(corrupt("run.status", other)),
    }
}
