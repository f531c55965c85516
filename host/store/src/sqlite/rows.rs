//! Rows of jobs and the values they stand for, whichever of the two tables they are in.

use super::fault::{TxResult, corrupt};
use crate::common::codec::{self, Extent};
use crate::model::duration;
use crate::{Cancellation, Erasure, Job, JobState, NewJob, RunEnd};
use bytes::Bytes;
use rusqlite::Row;
use rusqlite::types::ValueRef;
use wasmill_core::{Digest, JobId};

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
pub(super) fn job(row: &Row<'_>, queue: bool, extent: Extent) -> TxResult<(i64, Job)> {
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
        trigger: codec::trigger(row.get::<_, i64>(9)?)?,
        created,
        run_at: row.get::<_, Option<i64>>(11)?.unwrap_or(created),
        timeout: row.get::<_, Option<i64>>(12)?.map(duration),
        max_attempts: codec::count(row.get::<_, i64>(13)?),
        retry: codec::retry(nullable_text(row, 33, "job.retry")?)?,
        concurrency: codec::concurrency(row.get(34)?, row.get(35)?),
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
    let kind = codec::module_kind(kind)?;
    let canceled = match row.get(28)? {
        Some(by) => Some(Cancellation { by, reason: row.get(29)?, at: row.get(30)? }),
        None => None,
    };
    Ok((
        key,
        Job { job, path, kind, attempt: codec::count(row.get::<_, i64>(14)?), canceled, state },
    ))
}

/// A job's id from its key and its tail or, of a job whose key was assigned, the id that the table
/// `alias` has for it.
pub(super) fn id(key: i64, tail: Option<i64>, foreign: ValueRef<'_>) -> TxResult<JobId> {
    match tail {
        Some(tail) => Ok(JobId::from_key(key, tail)),
        None => {
            let uuid = foreign.as_str().map_err(|error| corrupt("alias.uuid", error))?;
            uuid.parse().map_err(|error| corrupt("alias.uuid", error))
        }
    }
}

/// How many attempts of a queued job ended with an error, from a row of [`select`].
pub(super) fn failures(row: &Row<'_>) -> rusqlite::Result<u32> {
    row.get::<_, i64>(37).map(codec::count)
}

fn end(row: &Row<'_>, started: i64, extent: Extent) -> TxResult<RunEnd> {
    let deleted: bool = row.get(19)?;
    let (result, log) = codec::payload(row.get(21)?, row.get(22)?, deleted, extent)?;
    Ok(RunEnd {
        status: codec::status(row.get::<_, i64>(16)?)?,
        started,
        duration: duration(row.get(17)?),
        memory_peak_bytes: codec::unsigned(row.get(18)?),
        result,
        log,
        deleted,
    })
}

fn job_id(row: &Row<'_>, column: usize, name: &str) -> TxResult<Option<JobId>> {
    nullable_text(row, column, name)?
        .map(|id| id.parse().map_err(|error| corrupt(name, error)))
        .transpose()
}

fn text<'r>(row: &'r Row<'_>, column: usize, name: &str) -> TxResult<&'r str> {
    row.get_ref(column)?.as_str().map_err(|error| corrupt(name, error))
}

fn nullable_text<'r>(row: &'r Row<'_>, column: usize, name: &str) -> TxResult<Option<&'r str>> {
    row.get_ref(column)?.as_str_or_null().map_err(|error| corrupt(name, error))
}

fn bytes(row: &Row<'_>, column: usize) -> TxResult<Bytes> {
    Ok(row.get::<_, Option<Vec<u8>>>(column)?.map(Bytes::from).unwrap_or_default())
}

fn token(value: ValueRef<'_>) -> TxResult<Option<[u8; 32]>> {
    match value.as_blob() {
        Ok([]) => Ok(None),
        Ok(digest) => match digest.try_into() {
            Ok(digest) => Ok(Some(digest)),
            Err(_) => Err(corrupt("caller.token", "it does not have 32 bytes")),
        },
        Err(error) => Err(corrupt("caller.token", error)),
    }
}
