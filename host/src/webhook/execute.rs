//! One run within a request: a place, the script, the sandbox, and a record of it whatever happens.
//!
//! The run lives in the request's own future. A caller that hangs up drops that future, and with it the sandbox; the
//! guard in here then records the run as canceled.

use super::{Invocation, environment};
use crate::host::Host;
use crate::jobs::end_of;
use crate::resolve::Deployment;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use wasmill_core::problem::Code;
use wasmill_core::{Failure, FailureName, JobId, Outcome, Problem, Usage};
use wasmill_sandbox::{Call, LogBuffer, Prepared, Run};
use wasmill_store::{NewJob, RunRecord, RunStatus};

/// A call with a place to run in and its script at hand: nothing can refuse it any more.
pub(crate) struct Admitted {
    invocation: Invocation,
    script: Arc<Prepared>,
    log: Arc<LogBuffer>,
    waited: Duration,
    _place: OwnedSemaphorePermit,
}

/// A finished run that is not yet recorded.
pub(crate) struct Execution {
    /// How it went.
    pub(crate) run: Run,
    /// True when it was cut off because the caller's longest wait was over.
    pub(crate) late: bool,
    /// Time before it was started.
    pub(crate) waited: Duration,
    record: Record,
}

/// Finds a place for a call.
///
/// # Errors
/// 503 when none becomes free in time, 500 when the script cannot be made ready.
pub(crate) async fn admit(host: &Host, invocation: Invocation) -> Result<Admitted, Problem> {
    let arrived = Instant::now();
    let _place = host.admission.enter().await?;
    let script = host.prepared(&invocation.version).await?;
    let log = Arc::new(LogBuffer::new(invocation.version.limits.log_bytes));
    Ok(Admitted { invocation, script, log, waited: arrived.elapsed(), _place })
}

impl Admitted {
    /// The run's id, which is its job's.
    pub(crate) fn id(&self) -> JobId {
        self.invocation.id
    }

    /// What is run.
    pub(crate) fn version(&self) -> &Arc<Deployment> {
        &self.invocation.version
    }

    /// The log, which can be read while it grows.
    pub(crate) fn log(&self) -> &Arc<LogBuffer> {
        &self.log
    }

    /// Runs it.
    ///
    /// # Errors
    /// 503 when the engine has no room for another instance; nothing was started then.
    pub(crate) async fn execute(self, host: &Arc<Host>) -> Result<Execution, Problem> {
        let Admitted { invocation, script, log, waited, _place } = self;
        let version = invocation.version.clone();
        let call = Call {
            args: invocation.arguments.as_str().into(),
            environment: environment(host, &invocation.workspace, &version, invocation.id),
            limits: invocation.options.timeout.map_or(version.limits, |timeout| version.limits.within(timeout)),
            log: log.clone(),
            cancel: host.stop.ending.clone(),
        };
        let mut record = Record { host: host.clone(), job: Some(invocation.into_job()), log, begun: Instant::now() };
        let wait = host.settings.limits.sync_wait;
        let Ok(run) = timeout(wait, host.sandbox.invoke(&script, call)).await else {
            let message = format!("The caller's longest wait of {} s was over; the run was cancelled", wait.as_secs());
            let run = ended(FailureName::Timeout, message, record.begun.elapsed());
            return Ok(Execution { run, late: true, waited, record });
        };
        if run.saturated {
            record.job = None;
            return Err(Problem::new(Code::Unavailable, "All places for running scripts are taken; nothing was started").retry_after(1));
        }
        Ok(Execution { run, late: false, waited, record })
    }
}

impl Execution {
    /// Records the run. Its caller waits for the disk only where the operator wants it so.
    pub(crate) async fn record(mut self) {
        let Some(job) = self.record.job.take() else { return };
        let started = job.created;
        let record = RunRecord { job, end: end_of(self.run, started, self.record.log.finish()) };
        let host = &self.record.host;
        if !host.settings.durable_sync {
            host.store.record(record);
        } else if let Err(error) = host.store.record_durably(record).await {
            tracing::error!(%error, "a run could not be recorded");
        }
    }
}

fn ended(name: FailureName, message: impl Into<String>, wall: Duration) -> Run {
    Run { outcome: Outcome::Failure(Failure::new(name, message)), usage: Usage { wall, ..Usage::default() }, saturated: false }
}

/// Holds what a record needs. Dropped with the job still in it, the caller has hung up.
struct Record {
    host: Arc<Host>,
    job: Option<NewJob>,
    log: Arc<LogBuffer>,
    begun: Instant,
}

impl Drop for Record {
    fn drop(&mut self) {
        let Some(job) = self.job.take() else { return };
        let run = ended(FailureName::Canceled, "The caller hung up before the run ended", self.begun.elapsed());
        let started = job.created;
        let mut end = end_of(run, started, self.log.finish());
        end.status = RunStatus::Canceled;
        self.host.store.record(RunRecord { job, end });
    }
}
