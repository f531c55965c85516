//! The end of a run under a claim: what is written of it, and who is told.
//!
//! What a run ended with counts only under the claim it was started with, so a run that lost its
//! lease changes nothing.

use super::runner::Runner;
use crate::clock::{self, micros};
use bytes::Bytes;
use std::time::Duration;
use wasmill_core::queue::retry;
use wasmill_core::{FailureName, JobId, Outcome};
use wasmill_sandbox::{LogBuffer, Run};
use wasmill_store::{Claim, Completion, Micros, NewJob, Retry, RunEnd, RunStatus, canceled_result};

/// Wait before an end is stored again that could not be.
const AGAIN: Duration = Duration::from_millis(250);

/// That a job is held under this process's lease.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) claim: Claim,
    /// How many of the job's attempts before ended with an error.
    pub(super) failures: u32,
}

/// A run's end, as the store keeps it.
pub(super) fn end_of(run: Run, started: Micros, log: Bytes) -> RunEnd {
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

/// Moves a run that has ended under a claim to the run records, or back to the queue when it is
/// tried again or was cut off by a shutdown.
pub(super) async fn end(
    runner: &Runner,
    claimed: Claimed,
    job: &NewJob,
    run: Run,
    started: Micros,
    log: &LogBuffer,
) {
    let Claimed { claim, failures } = claimed;
    let id = claim.id;
    if runner.running.is_lost(id) {
        return;
    }
    let failure = match &run.outcome {
        Outcome::Failure(failure) => Some(failure.name.clone()),
        Outcome::Success(_) => None,
    };
    let was_canceled = failure == Some(FailureName::Canceled);
    let by = runner.running.cancellation(id).filter(|_| was_canceled);
    if was_canceled && by.is_none() {
        return give_back(runner, claim).await;
    }
    let again = failure.filter(retry::may_help).and(job.retry).and_then(|policy| {
        // Without randomness there is no spread, which is all that is lost.
        policy.next(failures.saturating_add(1), getrandom::u32().unwrap_or(u32::MAX / 2))
    });
    let mut end = end_of(run, started, log.finish());
    if let Some(by) = &by {
        end.result = canceled_result(by);
    }
    if let Some(wait) = again {
        let run_at = clock::now().saturating_add(micros(wait));
        store(runner, id, &End::Again(Retry { claim, end, run_at })).await;
        return runner.notifier.queued.notify_one();
    }
    store(runner, id, &End::Over(Completion { claim, end })).await;
    match job.awaited {
        true => runner.notifier.ended(&[id]),
        false => runner.notifier.waiters.ended(&[id]),
    }
    if job.concurrency.is_some() {
        // A place became free, for a job that any node may run.
        runner.notifier.job_queued();
    }
}

/// A job that the shutdown cut off goes back to the queue, and this start does not count.
async fn give_back(runner: &Runner, claim: Claim) {
    let id = claim.id;
    if let Err(error) = runner.store.release(runner.worker, &[claim]).await {
        tracing::error!(%error, job = %id, "a job could not be given back; it is queued again when its lease ends");
    }
    runner.notifier.job_queued();
}

/// What became of a run.
enum End {
    /// The job is over.
    Over(Completion),
    /// It is tried again.
    Again(Retry),
}

/// Stores what became of a run, however often that has to be tried, as long as the job is this
/// process's own. Doing it twice is the same as doing it once: the second time the job is no longer
/// held.
async fn store(runner: &Runner, id: JobId, end: &End) {
    let mut told = false;
    loop {
        let stored = match end {
            End::Over(end) => runner.store.complete(vec![end.clone()]).await,
            End::Again(retry) => runner.store.retry(vec![retry.clone()]).await,
        };
        match stored {
            Ok(held) if held.first() == Some(&true) => return,
            Ok(_) => {
                return tracing::warn!(job = %id, "the job was no longer held; this attempt's result is dropped");
            }
            Err(error) if runner.running.is_lost(id) || runner.stop.ending.is_cancelled() => {
                return tracing::error!(%error, job = %id, "a job's end could not be stored; it runs again when its lease has ended");
            }
            Err(error) if !told => {
                tracing::warn!(%error, job = %id, "a job's end cannot be stored yet");
                told = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(AGAIN).await;
    }
}
