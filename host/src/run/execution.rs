//! One run of one job, and the end that it leaves, whatever happens to it.
//!
//! A run that its caller waits for lives in the request's own future. A caller that hangs up drops
//! that future, and with it the sandbox; the guard in here then records the run as canceled. Runs
//! of scripts that may go on without their caller live in a task of their own: see `detached`.

use super::claimed::{self, Claimed};
use super::invocation::Invocation;
use super::runner::Runner;
use crate::admission::Permit;
use crate::clock;
use crate::resolve::Deployment;
use crate::values::Unfilled;
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use wasmill_core::problem::Code;
use wasmill_core::{Failure, FailureName, Outcome, Problem, Usage};
use wasmill_sandbox::{Call, LogBuffer, Prepared, Run};
use wasmill_store::{Claim, ClaimedJob, Micros, NewJob, RunRecord, RunStatus, StoreError};

/// A job that is run once, now.
pub(crate) struct Execution {
    runner: Arc<Runner>,
    /// `None` once its end was written, or when nothing is to be written.
    job: Option<Box<NewJob>>,
    /// The claim under which the job is held. Without one nothing of it is stored before it ends.
    claim: OnceLock<Claimed>,
    log: Arc<LogBuffer>,
    /// When the job began, as its record says it.
    started: Micros,
    begun: Instant,
    /// Between the arrival of the call and now.
    waited: Duration,
}

impl Execution {
    /// Of a call whose caller waits. Until it ends nothing of it is stored.
    pub(crate) fn of_call(runner: &Arc<Runner>, invocation: Invocation) -> Self {
        let begun = Instant::now();
        let waited = begun.saturating_duration_since(invocation.arrival.instant);
        let log = Arc::new(LogBuffer::new(invocation.version.limits.log_bytes));
        let job = Box::new(invocation.into_job());
        let (runner, started) = (runner.clone(), job.created);
        Self { runner, job: Some(job), claim: OnceLock::new(), log, started, begun, waited }
    }

    /// Of a job that this process's worker has claimed.
    pub(crate) fn of_claim(runner: &Arc<Runner>, claimed: ClaimedJob) -> Self {
        let ClaimedJob { job, attempt, failures, .. } = claimed;
        let claim = Claimed { claim: Claim { id: job.id, attempt }, failures };
        Self {
            runner: runner.clone(),
            job: Some(Box::new(job)),
            claim: OnceLock::from(claim),
            log: Arc::new(LogBuffer::new(runner.run_limits.log_bytes)),
            started: clock::now(),
            begun: Instant::now(),
            waited: Duration::ZERO,
        }
    }

    /// What is run, as long as its end was not written.
    pub(crate) fn job(&self) -> Option<&NewJob> {
        self.job.as_deref()
    }

    /// What runs it.
    pub(super) fn runner(&self) -> &Arc<Runner> {
        &self.runner
    }

    /// The log, which can be read while it grows.
    pub(crate) fn log(&self) -> &Arc<LogBuffer> {
        &self.log
    }

    /// Runs the job once: puts in what its arguments refer to, which is never written anywhere,
    /// and calls the script. The permit is given back when that is done.
    ///
    /// # Errors
    /// 503 when nothing was started, because the store or the engine had no room for it just now.
    pub(crate) async fn run(
        &self,
        version: &Arc<Deployment>,
        script: &Arc<Prepared>,
        _permit: Permit,
        cancel: CancellationToken,
    ) -> Result<Run, Problem> {
        let Some(job) = &self.job else { return Err(Problem::internal()) };
        let Ok(args) = std::str::from_utf8(&job.args) else {
            let message = "The job's stored arguments are damaged";
            return Ok(ended(FailureName::Internal, message, Duration::ZERO));
        };
        let limits = job.timeout.map_or(version.limits, |timeout| version.limits.within(timeout));
        let filled = self.runner.values.fill(&job.workspace, args, limits.args_bytes).await;
        let args = match filled {
            Ok(args) => args,
            Err(Unfilled::Failed(failure)) => return Ok(failed(failure)),
            Err(Unfilled::Away(detail)) => {
                return Err(Problem::new(Code::Unavailable, detail).retry_after(5));
            }
        };
        let call = Call {
            confidential: matches!(args, Cow::Owned(_)),
            args: args.into(),
            environment: self.runner.environment(&job.workspace, version, job.id),
            limits,
            log: self.log.clone(),
            cancel,
        };
        let run = self.runner.sandbox.invoke(script, call).await;
        if run.saturated {
            let detail = "All places for running scripts are taken; nothing was started";
            return Err(Problem::new(Code::Unavailable, detail).retry_after(1));
        }
        Ok(run)
    }

    /// Writes how the run ended: to the run records, or, when the job is tried again or was cut
    /// off by a shutdown, to the queue.
    pub(crate) async fn end(mut self, run: Run) {
        let Some(job) = self.job.take() else { return };
        match self.claim.take() {
            Some(claimed) => {
                claimed::end(&self.runner, claimed, &job, run, self.started, &self.log).await;
            }
            None => self.record(*job, run).await,
        }
    }

    async fn record(&self, job: NewJob, run: Run) {
        let record = self.recorded(job, run);
        let store = &self.runner.store;
        if !self.runner.durable_sync {
            store.record(record);
        } else if let Err(error) = store.record_durably(record).await {
            tracing::error!(%error, "a run could not be recorded");
        }
    }

    fn recorded(&self, job: NewJob, run: Run) -> RunRecord {
        let mut end = claimed::end_of(run, self.started, self.log.finish());
        // Of such a run nothing but the fact of it is ever written.
        end.deleted = job.erasure.when_read;
        RunRecord { job, end }
    }

    /// Nothing was started, so nothing is written.
    pub(super) fn forget(mut self) {
        self.job = None;
    }

    /// What its caller is told whose longest wait was over before the run.
    pub(super) fn late(&self) -> Run {
        let seconds = self.runner.sync_wait.as_secs();
        let message =
            format!("The caller's longest wait of {seconds} s was over; the run was cancelled");
        ended(FailureName::Timeout, message, self.begun.elapsed())
    }

    /// Time between the call's arrival and the run's start.
    pub(super) fn waited(&self) -> Duration {
        self.waited
    }

    /// Makes the run a claimed job of this process's worker while it is running: from here on it
    /// is found, followed, cancelled, fenced and rescued like any other.
    ///
    /// # Errors
    /// When the store cannot take it. Then it is still only a call.
    pub(super) async fn adopt(&self) -> Result<(), StoreError> {
        let Some(job) = &self.job else {
            return Err(StoreError::Unavailable("the run was recorded already".into()));
        };
        let Runner { store, running, worker, .. } = &*self.runner;
        let claim = store.adopt((**job).clone(), *worker, self.started).await?;
        running.hold(job.id, &job.workspace);
        // It is set once: only the one task that the run lives in adopts it.
        let _ = self.claim.set(Claimed { claim, failures: 0 });
        Ok(())
    }
}

impl Drop for Execution {
    /// Dropped before its end was written, its caller has hung up. A claimed job is started again
    /// when its lease has ended.
    fn drop(&mut self) {
        let Some(job) = self.job.take().filter(|_| self.claim.get().is_none()) else { return };
        let message = "The caller hung up before the run ended";
        let run = ended(FailureName::Canceled, message, self.begun.elapsed());
        let mut record = self.recorded(*job, run);
        record.end.status = RunStatus::Canceled;
        self.runner.store.record(record);
    }
}

/// A run that ended so.
pub(super) fn ended(name: FailureName, message: impl Into<String>, wall: Duration) -> Run {
    let usage = Usage { wall, ..Usage::default() };
    Run { outcome: Outcome::Failure(Failure::new(name, message)), usage, saturated: false }
}

/// A run that failed before its script was started.
pub(crate) fn failed(failure: Failure) -> Run {
    Run { outcome: Outcome::Failure(failure), usage: Usage::default(), saturated: false }
}
