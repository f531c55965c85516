//! The ends that no worker reports: of a job that was cancelled while nobody ran it, and of one
//! whose every attempt ended with its process, which fails so that it doesn't loop for ever.

use crate::{Cancellation, Micros, RunEnd, RunStatus};
use bytes::Bytes;
use serde_json::value::{RawValue, to_raw_value};
use std::time::Duration;
use wasmill_core::{Failure, FailureName};

/// The end of a job that was started `attempts` times, the last time at `started`, and found
/// without its worker at `now`.
pub(crate) fn exhausted(attempts: u32, started: Micros, now: Micros) -> RunEnd {
    let times = if attempts == 1 { "time" } else { "times" };
    let message = format!(
        "the process that was running this job ended before it had finished, {attempts} {times}; it is not tried again"
    );
    RunEnd {
        status: RunStatus::Failure,
        started,
        duration: between(started, now),
        memory_peak_bytes: 0,
        result: Failure::new(FailureName::Internal, message).to_result(),
        log: Bytes::new(),
        deleted: false,
    }
}

/// The end of an attempt whose worker went away: started at `started`, and found so at `now`.
pub(crate) fn lost(started: Micros, now: Micros) -> RunEnd {
    let message = "the process that was running this job went away; it was queued again";
    RunEnd {
        result: Failure::new(FailureName::Internal, message).to_result(),
        ..exhausted(1, started, now)
    }
}

/// The end of a job that was cancelled and is not running at `now`. `started` is `None` when it was
/// waiting.
pub(crate) fn canceled(
    cancellation: &Cancellation,
    started: Option<Micros>,
    now: Micros,
) -> RunEnd {
    let started = started.unwrap_or(now);
    RunEnd {
        status: RunStatus::Canceled,
        started,
        duration: between(started, now),
        memory_peak_bytes: 0,
        result: canceled_result(cancellation),
        log: Bytes::new(),
        deleted: false,
    }
}

/// The result of a cancelled job: `{"error":{"name":"Canceled","message","reason","canceler"}}`.
pub fn canceled_result(cancellation: &Cancellation) -> Box<RawValue> {
    let Cancellation { by, reason, .. } = cancellation;
    let reason = reason.as_deref().unwrap_or("no reason given");
    let message = format!("Job canceled: {reason} by {by}");
    let failure = Failure::new(FailureName::Canceled, message);
    let name = failure.name.as_str();
    let body = serde_json::json!({"error": {"name": name, "message": failure.message, "reason": reason, "canceler": by}});
    // Maps of text can always be written; should that ever fail, the plain form says the same.
    to_raw_value(&body).unwrap_or_else(|_| failure.to_result())
}

fn between(from: Micros, to: Micros) -> Duration {
    Duration::from_micros(u64::try_from(to.saturating_sub(from)).unwrap_or(0))
}
