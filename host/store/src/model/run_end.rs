//! How runs end.

use super::time::{Micros, micros};
use bytes::Bytes;
use serde_json::value::RawValue;
use std::time::Duration;

/// How a finished job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunStatus {
    /// The run returned a result.
    Success,
    /// The run failed.
    Failure,
    /// The job was cancelled.
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
        self.started.saturating_add(micros(self.duration))
    }

    /// The same end with nothing of the run's payload.
    pub(crate) fn emptied(self, deleted: bool) -> Self {
        Self { result: RawValue::NULL.to_owned(), log: Bytes::new(), deleted, ..self }
    }
}
