//! Queued jobs: the worker that runs them, and what is known of the ones running right now.

pub(crate) mod house;
pub(crate) mod lead;
pub(crate) mod lease;
mod retention;
pub(crate) mod running;
pub(crate) mod worker;

use bytes::Bytes;
use wasmill_core::{FailureName, Outcome};
use wasmill_sandbox::Run;
use wasmill_store::{Micros, RunEnd, RunStatus};

/// A run's end, as the store keeps it.
pub(crate) fn end_of(run: Run, started: Micros, log: Bytes) -> RunEnd {
    let (status, result) = match run.outcome {
        Outcome::Success(result) => (RunStatus::Success, result),
        Outcome::Failure(failure) if failure.name == FailureName::Canceled => {
            (RunStatus::Canceled, failure.to_result())
        }
        Outcome::Failure(failure) => (RunStatus::Failure, failure.to_result()),
    };
    RunEnd {
        status,
        started,
        duration: run.usage.wall,
        memory_peak_bytes: run.usage.memory_peak_bytes,
        result,
        log,
        deleted: false,
    }
}
