//! The worker: claims queued jobs under a lease, runs them, and moves them to the run records.
//!
//! At least once: a job whose process went away is claimed again. What a run ended with counts only
//! under the claim it was started with, so a run that lost its lease changes nothing.

use super::lease::Lease;
use crate::admission::Permits;
use crate::clock;
use crate::modules::Modules;
use crate::nodes::notifier::Notifier;
use crate::resolve::{Resolver, Target};
use crate::run::{Execution, Noted, Runner, failed};
use crate::stop::Stop;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wasmill_core::problem::Code;
use wasmill_core::{Failure, FailureName, Problem};
use wasmill_sandbox::Run;
use wasmill_store::{ClaimedJob, Store};

/// Jobs claimed at once at most: enough to fill the places, few enough to leave some to others.
const CLAIM: u32 = 64;
/// Looked for due jobs at least so often, should a wake-up be missed.
const POLL: Duration = Duration::from_secs(1);
/// Wait before a run is started that could not be just now.
const AGAIN: Duration = Duration::from_millis(100);
/// Wait after a failure of the store.
const PAUSE: Duration = Duration::from_secs(1);

/// The worker of this process.
pub(crate) struct Worker {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) resolver: Arc<Resolver>,
    pub(crate) modules: Arc<Modules>,
    pub(crate) permits: Arc<Permits>,
    pub(crate) runner: Arc<Runner>,
    pub(crate) notifier: Arc<Notifier>,
    pub(crate) lease: Arc<Lease>,
    pub(crate) stop: Stop,
    /// Jobs that run at the same time.
    pub(crate) places: u32,
    /// Tags of the jobs that are claimed; empty: all.
    pub(crate) tags: Vec<String>,
}

impl Worker {
    /// Runs jobs until draining begins, then finishes those that were begun, or gives them back
    /// when the grace period ends.
    pub(crate) async fn work(self: Arc<Self>) {
        let places = Arc::new(Semaphore::new(self.places as usize));
        let tasks = TaskTracker::new();
        while !self.stop.draining.is_cancelled() {
            let claimed = match self.claim(places.available_permits()).await {
                Some(claimed) => claimed,
                None => {
                    self.pause().await;
                    continue;
                }
            };
            let more = !claimed.is_empty();
            for job in claimed {
                let Ok(place) = places.clone().acquire_owned().await else { break };
                let worker = self.clone();
                tasks.spawn(async move {
                    worker.run(job).await;
                    drop(place);
                    worker.notifier.queued.notify_one();
                });
            }
            if more && places.available_permits() > 0 {
                continue;
            }
            tokio::select! {
                () = self.notifier.queued.notified() => {}
                () = tokio::time::sleep(self.until_next().await) => {}
                () = self.stop.draining.cancelled() => {}
            }
        }
        tasks.close();
        tasks.wait().await;
    }

    /// Jobs to run now, at most as many as there are free places. `None` when the store failed.
    async fn claim(&self, places: usize) -> Option<Vec<ClaimedJob>> {
        let free = if self.lease.holds() { (places as u32).min(CLAIM) } else { 0 };
        if free == 0 {
            return Some(Vec::new());
        }
        match self.store.claim(self.runner.worker(), clock::now(), free, &self.tags).await {
            Ok(claimed) => Some(claimed),
            Err(error) => {
                tracing::error!(%error, "queued jobs cannot be claimed");
                None
            }
        }
    }

    /// Waits for the store to recover, but not when the host stops.
    async fn pause(&self) {
        let _ = tokio::time::timeout(PAUSE, self.stop.draining.cancelled()).await;
    }

    /// How long nothing is due.
    async fn until_next(&self) -> Duration {
        match self.store.next_due(&self.tags).await {
            Ok(Some(due)) => {
                let wait = due.saturating_sub(clock::now()).max(10_000);
                Duration::from_micros(wait as u64).min(POLL)
            }
            _ => POLL,
        }
    }

    async fn run(&self, claimed: ClaimedJob) {
        let (id, workspace) = (claimed.job.id, claimed.job.workspace.clone());
        let execution = Execution::of_claim(&self.runner, claimed);
        let noted = Noted::new(&self.runner.running, id, execution.log(), &self.stop.ending);
        self.runner.running.hold(id, &workspace);
        let run = self.outcome(&execution, &noted.cancel()).await;
        execution.end(run).await;
    }

    /// How the run ended. While the store, the modules or a place cannot be had it is waited for
    /// them: that is nothing which the job did.
    async fn outcome(&self, execution: &Execution, cancel: &CancellationToken) -> Run {
        loop {
            match self.attempt(execution, cancel).await {
                Ok(run) => return run,
                Err(Problem { code: Code::Unavailable, .. }) => {}
                Err(problem) => {
                    return failed(Failure::new(FailureName::Internal, problem.detail));
                }
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = cancel.cancelled() => {
                    let message = "The job was stopped before its script was started";
                    return failed(Failure::new(FailureName::Canceled, message));
                }
            }
        }
    }

    async fn attempt(
        &self,
        execution: &Execution,
        cancel: &CancellationToken,
    ) -> Result<Run, Problem> {
        let Some(job) = execution.job() else { return Err(Problem::internal()) };
        let target = Target::Hash(job.version);
        let version = self.resolver.resolve(&job.workspace, &target).await?;
        let script = self.modules.prepared(&version).await?;
        let Some(permit) = self.permits.enter_queued().await else {
            let message = "The host is stopping";
            return Ok(failed(Failure::new(FailureName::Internal, message)));
        };
        execution.run(&version, &script, permit, cancel.clone()).await
    }
}
