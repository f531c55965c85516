//! How runs end.

use super::{Claim, NewJob};
use crate::Micros;
use bytes::Bytes;
use serde_json::value::RawValue;
use std::time::Duration;

/// How a finished job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunStatus {
    /// With a result.
    Success,
    /// With an error.
    Failure,
    /// It was cancelled.
    Canceled,
}

/// How and when a run ended, and with what.
#[derive(Debug, Clone)]
pub struct RunEnd {
    /// How.
    pub status: RunStatus,
    /// When it was started.
    pub started: Micros,
    /// How long it took.
    pub duration: Duration,
    /// Largest memory, bytes.
    pub memory_peak_bytes: u64,
    /// The result, or `{"error":{...}}`.
    pub result: Box<RawValue>,
    /// Log text, lines ending in `\n`.
    pub log: Bytes,
    /// The payload (arguments, result and log) is not kept. When such an end is stored, the result
    /// and the log are never written, nor are the arguments of a run that was never queued; those
    /// of a queued one are erased. Read back, the arguments and the log are empty and the result is
    /// `null`.
    pub deleted: bool,
}

impl RunEnd {
    /// When it was over.
    pub fn completed(&self) -> Micros {
        self.started.saturating_add(super::micros(self.duration))
    }

    /// The same end with nothing of the run's payload.
    pub(crate) fn emptied(self, deleted: bool) -> Self {
        Self { result: RawValue::NULL.to_owned(), log: Bytes::new(), deleted, ..self }
    }
}

/// The end of a claimed job.
#[derive(Debug, Clone)]
pub struct Completion {
    /// Under which claim.
    pub claim: Claim,
    /// The end.
    pub end: RunEnd,
}

/// A finished synchronous run, which never was in the queue.
#[derive(Debug, Clone)]
pub struct RunRecord {
    /// What would have been queued.
    pub job: NewJob,
    /// The end.
    pub end: RunEnd,
}
