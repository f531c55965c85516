//! What becomes of a job whose every attempt ended with its process: a failure, so that it doesn't loop for ever.

use crate::{Micros, RunEnd, RunStatus};
use bytes::Bytes;
use std::time::Duration;
use wasmill_core::{Failure, FailureName};

/// The end of a job that was started `attempts` times, the last time at `started`, and found without its worker at `now`.
pub(crate) fn exhausted(attempts: u32, started: Micros, now: Micros) -> RunEnd {
    let times = if attempts == 1 { "time" } else { "times" };
    let message = format!("the process that was running this job ended before it had finished, {attempts} {times}; it is not tried again");
    RunEnd {
        status: RunStatus::Failure,
        started,
        duration: Duration::from_micros(u64::try_from(now.saturating_sub(started)).unwrap_or(0)),
        memory_peak_bytes: 0,
        result: Failure::new(FailureName::Internal, message).to_result(),
        log: Bytes::new(),
    }
}
