//! The worker: claims queued jobs under a lease, runs them, and moves them to the run records.
//!
//! At least once: a job whose process went away is claimed again. A completion counts only under the claim it was
//! started with, so a run that lost its lease changes nothing.

use super::end_of;
use crate::clock;
use crate::host::Host;
use crate::resolve::Target;
use crate::values::fill;
use crate::webhook::environment;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wasmill_core::{Failure, FailureName, Outcome, Usage};
use wasmill_sandbox::{Call, LogBuffer, Run};
use wasmill_store::{Claim, ClaimedJob, Completion, Micros, StoreError, WorkerId, canceled_result};

/// How long a worker's jobs stay its own without a sign of life.
const LEASE: Duration = Duration::from_secs(20);
/// Between two signs of life.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Jobs claimed at once at most: enough to fill the places, few enough to leave some to others.
const CLAIM: u32 = 64;
/// Looked for due jobs at least so often, should a wake-up be missed.
const POLL: Duration = Duration::from_secs(1);
/// Wait after a failure of the store.
const PAUSE: Duration = Duration::from_secs(1);

fn lease_end() -> Micros {
    clock::now().saturating_add(LEASE.as_micros() as Micros)
}

/// Runs jobs until draining begins, then finishes those that were begun, or gives them back when the grace period ends.
pub(crate) async fn work(host: Arc<Host>) {
    let worker = host.worker;
    let places = Arc::new(Semaphore::new(host.settings.workers as usize));
    let tasks = TaskTracker::new();
    // Before the first claim: a worker without a lease counts as one that went away.
    if let Err(error) = host.store.extend_lease(worker, lease_end()).await {
        tracing::error!(%error, "the worker's lease cannot be taken");
    }
    let heartbeat = tokio::spawn(keep_lease(host.clone(), worker));
    while !host.stop.draining.is_cancelled() {
        let free = (places.available_permits() as u32).min(CLAIM);
        let claimed = match free {
            0 => Vec::new(),
            free => match host.store.claim(worker, clock::now(), free, &[]).await {
                Ok(claimed) => claimed,
                Err(error) => {
                    tracing::error!(%error, "queued jobs cannot be claimed");
                    pause(&host).await;
                    continue;
                }
            },
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
    heartbeat.abort();
}

/// Waits for the store to recover, but not when the host stops.
async fn pause(host: &Host) {
    let _ = tokio::time::timeout(PAUSE, host.stop.draining.cancelled()).await;
}

/// How long nothing is due.
async fn until_next(host: &Host) -> Duration {
    match host.store.next_due(&[]).await {
        Ok(Some(due)) => Duration::from_micros(due.saturating_sub(clock::now()).max(10_000) as u64).min(POLL),
        _ => POLL,
    }
}

async fn keep_lease(host: Arc<Host>, worker: WorkerId) {
    loop {
        match host.store.extend_lease(worker, lease_end()).await {
            Ok(()) => rescue(&host).await,
            // Without a lease this worker's own jobs would be among the lost ones.
            Err(error) => tracing::error!(%error, "the worker's lease cannot be extended"),
        }
        tokio::time::sleep(HEARTBEAT).await;
    }
}

async fn rescue(host: &Host) {
    match host.store.rescue(clock::now(), false).await {
        Ok(0) => {}
        Ok(rescued) => {
            tracing::warn!(rescued, "jobs of a worker that went away were queued again");
            host.queued.notify_one();
        }
        Err(error) => tracing::error!(%error, "lost jobs cannot be looked for"),
    }
}

async fn run(host: &Arc<Host>, claimed: ClaimedJob) {
    let (id, claim) = (claimed.job.id, Claim { id: claimed.job.id, attempt: claimed.attempt });
    let log = Arc::new(LogBuffer::new(host.settings.run_limits.log_bytes));
    let cancel = host.running.begin(id, log.clone(), &host.stop.ending);
    let started = clock::now();
    let run = outcome(host, &claimed, log.clone(), &cancel).await;
    finish(host, claim, run, started, &log).await;
    host.running.end(id);
}

/// Moves a run that has ended under a claim to the run records, or back to the queue when it was cut off by a shutdown.
pub(crate) async fn finish(host: &Host, claim: Claim, run: Run, started: Micros, log: &LogBuffer) {
    let id = claim.id;
    let canceled = matches!(&run.outcome, Outcome::Failure(failure) if failure.name == FailureName::Canceled);
    let by = host.running.cancellation(id).filter(|_| canceled);
    if canceled && by.is_none() {
        // Cut off by the shutdown: it goes back to the queue and this start does not count.
        if let Err(error) = host.store.release(host.worker, &[claim]).await {
            tracing::error!(%error, job = %id, "a job could not be given back; it is queued again when its lease ends");
        }
    } else {
        let mut end = end_of(run, started, log.finish());
        if let Some(by) = &by {
            end.result = canceled_result(by);
        }
        match complete(host, Completion { claim, end }).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!(job = %id, attempt = claim.attempt, "the job was no longer held; this attempt's result is dropped"),
            Err(error) => tracing::error!(%error, job = %id, "a job's end could not be stored; it runs again after the next start"),
        }
    }
}

/// Stores a job's end, as soon as there is room for it: its lease is this worker's, who lives, so that nobody else would
/// ever end it. Meanwhile its place is taken, and no other job is started whose end could not be stored either. False when
/// the job was no longer held.
async fn complete(host: &Host, completion: Completion) -> Result<bool, StoreError> {
    let mut waits = false;
    loop {
        match host.store.complete(vec![completion.clone()]).await {
            Ok(held) => return Ok(held.first() == Some(&true)),
            Err(error @ (StoreError::Full(_) | StoreError::Unavailable(_))) if !host.stop.draining.is_cancelled() => {
                if !waits {
                    tracing::warn!(%error, job = %completion.claim.id, "a job's end cannot be stored yet");
                    waits = true;
                }
                pause(host).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn outcome(host: &Arc<Host>, claimed: &ClaimedJob, log: Arc<LogBuffer>, cancel: &CancellationToken) -> Run {
    let failed = |message: String| Run {
        outcome: Outcome::Failure(Failure::new(FailureName::Internal, message)),
        usage: Usage::default(),
        saturated: false,
    };
    let job = &claimed.job;
    let version = match host.resolver.resolve(&*host.store, &job.workspace, &Target::Hash(job.version)).await {
        Ok(version) => version,
        Err(problem) => return failed(problem.detail),
    };
    let script = match host.prepared(&version).await {
        Ok(script) => script,
        Err(problem) => return failed(problem.detail),
    };
    let Ok(args) = String::from_utf8(job.args.to_vec()) else {
        return failed("The job's stored arguments are damaged".into());
    };
    let limits = job.timeout.map_or(version.limits, |timeout| version.limits.within(timeout));
    let (args, confidential): (Arc<str>, bool) = match fill(host, &job.workspace, &args, limits.args_bytes).await {
        Ok(filled) => (filled.as_ref().into(), matches!(filled, Cow::Owned(_))),
        Err(failure) => return Run { outcome: Outcome::Failure(failure), usage: Usage::default(), saturated: false },
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
