//! The worker: claims queued jobs under a lease, runs them, and moves them to the run records.
//!
//! At least once: a job whose process went away is claimed again. What a run ended with counts only
//! under the claim it was started with, so a run that lost its lease changes nothing.

use super::end_of;
use crate::calls::environment;
use crate::clock;
use crate::host::Host;
use crate::resolve::{Deployment, Target};
use crate::values::{Unfilled, fill};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wasmill_core::problem::Code;
use wasmill_core::queue::retry;
use wasmill_core::{Failure, FailureName, JobId, Outcome, Problem, Usage};
use wasmill_sandbox::{Call, LogBuffer, Prepared, Run};
use wasmill_store::{Claim, ClaimedJob, Completion, Micros, NewJob, Retry, canceled_result};

/// Jobs claimed at once at most: enough to fill the places, few enough to leave some to others.
const CLAIM: u32 = 64;
/// Looked for due jobs at least so often, should a wake-up be missed.
const POLL: Duration = Duration::from_secs(1);
/// Wait before an end is stored again that could not be.
const AGAIN: Duration = Duration::from_millis(250);
/// Wait after a failure of the store.
const PAUSE: Duration = Duration::from_secs(1);

/// A job that is held under a claim.
pub(crate) struct Held {
    pub(crate) claim: Claim,
    /// What was queued.
    pub(crate) job: NewJob,
    /// How many of its attempts before ended with an error.
    pub(crate) failures: u32,
    /// When the run began.
    pub(crate) started: Micros,
}

/// Runs jobs until draining begins, then finishes those that were begun, or gives them back when
/// the grace period ends.
pub(crate) async fn work(host: Arc<Host>) {
    let places = Arc::new(Semaphore::new(host.settings.workers as usize));
    let tasks = TaskTracker::new();
    while !host.stop.draining.is_cancelled() {
        let free =
            if host.lease.holds() { (places.available_permits() as u32).min(CLAIM) } else { 0 };
        let claimed = match free {
            0 => Vec::new(),
            free => {
                match host.store.claim(host.worker, clock::now(), free, &host.settings.tags).await {
                    Ok(claimed) => claimed,
                    Err(error) => {
                        tracing::error!(%error, "queued jobs cannot be claimed");
                        pause(&host).await;
                        continue;
                    }
                }
            }
        };
        let more = !claimed.is_empty();
        for job in claimed {
            let Ok(place) = places.clone().acquire_owned().await else { break };
            let host = host.clone();
            tasks.spawn(async move {
                run(&host, job).await;
                drop(place);
                host.queued.notify_one();
            });
        }
        if more && places.available_permits() > 0 {
            continue;
        }
        tokio::select! {
            () = host.queued.notified() => {}
            () = tokio::time::sleep(until_next(&host).await) => {}
            () = host.stop.draining.cancelled() => {}
        }
    }
    tasks.close();
    tasks.wait().await;
}

/// Waits for the store to recover, but not when the host stops.
async fn pause(host: &Host) {
    let _ = tokio::time::timeout(PAUSE, host.stop.draining.cancelled()).await;
}

/// How long nothing is due.
async fn until_next(host: &Host) -> Duration {
    match host.store.next_due(&host.settings.tags).await {
        Ok(Some(due)) => {
            Duration::from_micros(due.saturating_sub(clock::now()).max(10_000) as u64).min(POLL)
        }
        _ => POLL,
    }
}

async fn run(host: &Arc<Host>, claimed: ClaimedJob) {
    let ClaimedJob { job, attempt, failures, .. } = claimed;
    let id = job.id;
    let log = Arc::new(LogBuffer::new(host.settings.run_limits.log_bytes));
    let cancel = host.running.begin(id, log.clone(), &host.stop.ending);
    host.running.hold(id, &job.workspace);
    let started = clock::now();
    let run = outcome(host, &job, log.clone(), &cancel).await;
    finish(host, Held { claim: Claim { id, attempt }, job, failures, started }, run, &log).await;
    host.running.end(id);
}

/// Moves a run that has ended under a claim to the run records, or back to the queue when it is
/// tried again or was cut off by a shutdown.
pub(crate) async fn finish(host: &Host, held: Held, run: Run, log: &LogBuffer) {
    let Held { claim, job, failures, started } = held;
    let id = claim.id;
    if host.running.is_lost(id) {
        return;
    }
    let failure = match &run.outcome {
        Outcome::Failure(failure) => Some(failure.name.clone()),
        Outcome::Success(_) => None,
    };
    let by = host.running.cancellation(id).filter(|_| failure == Some(FailureName::Canceled));
    if failure == Some(FailureName::Canceled) && by.is_none() {
        // Cut off by the shutdown: it goes back to the queue and this start does not count.
        if let Err(error) = host.store.release(host.worker, &[claim]).await {
            tracing::error!(%error, job = %id, "a job could not be given back; it is queued again when its lease ends");
        }
        return host.job_queued();
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
        let run_at = clock::now().saturating_add(wait.as_micros() as Micros);
        store(host, id, &End::Again(Retry { claim, end, run_at })).await;
        return host.queued.notify_one();
    }
    store(host, id, &End::Over(Completion { claim, end })).await;
    match job.awaited {
        true => host.ended(&[id]),
        false => host.waiters.ended(&[id]),
    }
    if job.concurrency.is_some() {
        // A place became free, for a job that any node may run.
        host.job_queued();
    }
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
async fn store(host: &Host, id: JobId, end: &End) {
    let mut told = false;
    loop {
        let stored = match end {
            End::Over(end) => host.store.complete(vec![end.clone()]).await,
            End::Again(retry) => host.store.retry(vec![retry.clone()]).await,
        };
        match stored {
            Ok(held) if held.first() == Some(&true) => return,
            Ok(_) => {
                return tracing::warn!(job = %id, "the job was no longer held; this attempt's result is dropped");
            }
            Err(error) if host.running.is_lost(id) || host.stop.ending.is_cancelled() => {
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

/// The version and its compiled script. While the store or the modules cannot be reached it is
/// waited for them: that is nothing which the job did. `None`: it was stopped meanwhile.
async fn made_ready(
    host: &Host,
    job: &NewJob,
    cancel: &CancellationToken,
) -> Result<(Arc<Deployment>, Arc<Prepared>), Option<Problem>> {
    loop {
        let ready = async {
            let version = host
                .resolver
                .resolve(&*host.store, &job.workspace, &Target::Hash(job.version))
                .await?;
            let script = host.prepared(&version).await?;
            Ok((version, script))
        };
        match ready.await {
            Ok(ready) => return Ok(ready),
            Err(Problem { code: Code::Unavailable, .. }) => {}
            Err(problem) => return Err(Some(problem)),
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = cancel.cancelled() => return Err(None),
        }
    }
}

/// A run that was stopped before it began.
fn stopped() -> Run {
    ended(Failure::new(FailureName::Canceled, "The job was stopped before its script was started"))
}

/// A run that ended so before its script was started.
fn ended(failure: Failure) -> Run {
    Run { outcome: Outcome::Failure(failure), usage: Usage::default(), saturated: false }
}

async fn outcome(
    host: &Arc<Host>,
    job: &NewJob,
    log: Arc<LogBuffer>,
    cancel: &CancellationToken,
) -> Run {
    let failed = |message: String| ended(Failure::new(FailureName::Internal, message));
    let (version, script) = match made_ready(host, job, cancel).await {
        Ok(ready) => ready,
        Err(Some(problem)) => return failed(problem.detail),
        Err(None) => return stopped(),
    };
    let Ok(args) = String::from_utf8(job.args.to_vec()) else {
        return failed("The job's stored arguments are damaged".into());
    };
    let limits = job.timeout.map_or(version.limits, |timeout| version.limits.within(timeout));
    let (args, confidential): (Arc<str>, bool) = loop {
        match fill(host, &job.workspace, &args, limits.args_bytes).await {
            Ok(filled) => break (filled.as_ref().into(), matches!(filled, Cow::Owned(_))),
            Err(Unfilled::Failed(failure)) => return ended(failure),
            Err(Unfilled::Away(_)) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = cancel.cancelled() => return stopped(),
        }
    };
    loop {
        let Some(_place) = host.admission.enter_queued().await else {
            return failed("The host is stopping".into());
        };
        let call = Call {
            args: args.clone(),
            confidential,
            environment: environment(host, &job.workspace, &version, job.id),
            limits,
            log: log.clone(),
            cancel: cancel.clone(),
        };
        let run = host.sandbox.invoke(&script, call).await;
        if !run.saturated {
            return run;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
