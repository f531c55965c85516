//! How values stand in columns: the numbers, words and JSON texts that every back end keeps, and
//! how they are read back. What a column holds that no back end writes is `Corrupt`.

use crate::{NewJob, Result, RunEnd, RunStatus, StoreError, Trigger};
use bytes::Bytes;
use serde_json::value::RawValue;
use std::fmt::Display;
use wasmill_core::limits::DeclaredLimits;
use wasmill_core::queue::{Concurrency, RetryPolicy};
use wasmill_core::{Digest, Kind, Runnable};

/// What is told in the log of a run whose payload was dropped.
const NOT_KEPT: &[u8] =
    b"wasmill: runs finished faster than they could be recorded; the arguments, the result and the log of this one were not kept\n";

/// How much of a job is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Everything.
    Whole,
    /// What lists show: without arguments, result and log.
    Line,
    /// What lists show, with arguments.
    LineWithArgs,
}

impl Extent {
    /// What a list reads of its jobs.
    pub(crate) fn of_list(with_args: bool) -> Self {
        if with_args { Extent::LineWithArgs } else { Extent::Line }
    }
}

/// What `column` holds is not what this program writes there.
pub(crate) fn corrupt(column: &str, detail: impl Display) -> StoreError {
    StoreError::Corrupt(format!("{column}: {detail}"))
}

/// An unsigned number for a column of signed ones; what doesn't fit is cut to the largest.
pub(crate) fn signed(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// A column of a number that is not below zero; what doesn't fit is cut.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A column of a small number that is not below zero; what doesn't fit is cut.
pub(crate) fn count(number: impl Into<i64>) -> u32 {
    u32::try_from(number.into().clamp(0, u32::MAX.into())).unwrap_or(0)
}

/// The column `trigger`.
pub(crate) fn trigger_number(trigger: Trigger) -> i16 {
    match trigger {
        Trigger::Webhook => 0,
        Trigger::Manual => 1,
    }
}

/// What [`trigger_number`] wrote.
pub(crate) fn trigger(number: impl Into<i64>) -> Result<Trigger> {
    match number.into() {
        0 => Ok(Trigger::Webhook),
        1 => Ok(Trigger::Manual),
        other => Err(corrupt("job.trigger", other)),
    }
}

/// The column `status`.
pub(crate) fn status_number(status: RunStatus) -> i16 {
    match status {
        RunStatus::Success => 0,
        RunStatus::Failure => 1,
        RunStatus::Canceled => 2,
    }
}

/// What [`status_number`] wrote.
pub(crate) fn status(number: impl Into<i64>) -> Result<RunStatus> {
    match number.into() {
        0 => Ok(RunStatus::Success),
        1 => Ok(RunStatus::Failure),
        2 => Ok(RunStatus::Canceled),
        other => Err(corrupt("run.status", other)),
    }
}

/// The column `retry`: a policy as JSON.
pub(crate) fn retry_text(job: &NewJob) -> Result<Option<String>> {
    let text = job.retry.as_ref().map(serde_json::to_string).transpose();
    text.map_err(|error| corrupt("job.retry", error))
}

/// What [`retry_text`] wrote.
pub(crate) fn retry(text: Option<&str>) -> Result<Option<RetryPolicy>> {
    text.map(serde_json::from_str).transpose().map_err(|error| corrupt("job.retry", error))
}

/// The columns `concurrency_key` and `concurrency_limit`.
pub(crate) fn concurrency(key: Option<i64>, limit: Option<i64>) -> Option<Concurrency> {
    key.zip(limit).map(|(key, limit)| Concurrency { key, limit: count(limit) })
}

/// The columns `module` and `kind` of a version.
pub(crate) fn runnable_columns(runnable: &Runnable) -> ([u8; 32], &'static str) {
    match runnable {
        Runnable::Module { module, kind } => (module.0, kind.as_str()),
    }
}

/// What [`runnable_columns`] gave.
pub(crate) fn runnable(module: [u8; 32], kind: &str) -> Result<Runnable> {
    Ok(Runnable::Module { module: Digest(module), kind: module_kind(kind)? })
}

/// The kind of a version's module by the column `kind`.
pub(crate) fn module_kind(kind: &str) -> Result<Kind> {
    kind.parse().map_err(|error| corrupt("version.kind", error))
}

/// The column `limits` of a version: the author's limits as JSON.
pub(crate) fn limits_text(limits: &DeclaredLimits) -> Result<String> {
    serde_json::to_string(limits).map_err(|error| corrupt("version.limits", error))
}

/// What [`limits_text`] wrote.
pub(crate) fn limits(text: &str) -> Result<DeclaredLimits> {
    serde_json::from_str(text).map_err(|error| corrupt("version.limits", error))
}

/// The columns `result` and `log` of an end; none of one whose payload is not kept.
pub(crate) fn payload_columns(end: &RunEnd) -> (Option<&[u8]>, Option<&[u8]>) {
    if end.deleted {
        return (None, None);
    }
    (Some(end.result.get().as_bytes()), Some(end.log.as_ref()).filter(|log| !log.is_empty()))
}

/// The result and the log by these columns. Where a finished run that is read whole has none
/// although they were not deleted, its log says that they were dropped.
pub(crate) fn payload(
    result: Option<Vec<u8>>,
    log: Option<Vec<u8>>,
    deleted: bool,
    extent: Extent,
) -> Result<(Box<RawValue>, Bytes)> {
    Ok(match (result, extent) {
        (Some(result), _) => (json(result)?, log.map(Bytes::from).unwrap_or_default()),
        (None, Extent::Whole) if !deleted => {
            (RawValue::NULL.to_owned(), Bytes::from_static(NOT_KEPT))
        }
        (None, _) => (RawValue::NULL.to_owned(), Bytes::new()),
    })
}

fn json(bytes: Vec<u8>) -> Result<Box<RawValue>> {
    let text = String::from_utf8(bytes).map_err(|error| corrupt("run.result", error))?;
    RawValue::from_string(text).map_err(|error| corrupt("run.result", error))
}
