//! One run within a request: a place, the script, the sandbox, and a record of it whatever happens.
//!
//! The run lives in the request's own future. A caller that hangs up drops that future, and with it
//! the sandbox; the guard in here then records the run as canceled. Runs of scripts that may go on
//! without their caller live in a task of their own: see `unattended`.

use super::{Invocation, environment, unattended};
use crate::host::Host;
use crate::jobs::end_of;
use crate::patience::within;
use crate::resolve::Deployment;
use crate::values::fill;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use wasmill_core::problem::Code;
use wasmill_core::{Failure, FailureName, JobId, Outcome, Problem, Usage};
use wasmill_sandbox::{Call, LogBuffer, Prepared, Run};
use wasmill_store::{NewJob, RunEnd, RunRecord, RunStatus};

/// A call with a place to run in and its script at hand: nothing can refuse it any more.
pub(crate) struct Admitted {
    invocation: Box<Invocation>,
    script: Arc<Prepared>,
    log: Arc<LogBuffer>,
    waited: Duration,
    place: OwnedSemaphorePermit,
}

/// How a caller's wait for a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// With the run.
    Ended,
    /// Before it: it took too long, and was cut off.
    Late,
    /// Before it: it took too long, and goes on as a job.
    GoesOn,
}

/// A run whose caller need not wait any longer, and that is not yet recorded.
pub(crate) struct Execution {
    /// How it went. Of a run that goes on, that it is late.
    pub(crate) run: Run,
    /// How the wait ended.
    pub(crate) wait: Wait,
    /// Time before it was started.
    pub(crate) waited: Duration,
    /// What is recorded.
    pub(super) record: Record,
}

/// Finds a place for a call.
///
/// # Errors
/// 503 when none becomes free in time, 500 when the script cannot be made ready.
pub(crate) async fn admit(host: &Host, invocation: Box<Invocation>) -> Result<Admitted, Problem> {
    let arrived = Instant::now();
    let place = host.admission.enter().await?;
    let script = host.prepared(&invocation.version).await?;
    let log = Arc::new(LogBuffer::new(invocation.version.limits.log_bytes));
    Ok(Admitted { invocation, script, log, waited: arrived.elapsed(), place })
}

/// A run that can be started, and the record that it will leave.
pub(super) struct Begun {
    pub(super) record: Record,
    pub(super) waited: Duration,
    script: Arc<Prepared>,
    call: Result<Call, Failure>,
    _place: OwnedSemaphorePermit,
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
        if self.version().settings.goes_on() {
            return Box::pin(unattended::execute(self, host)).await;
        }
        let mut begun = self.begin(host, host.stop.ending.clone()).await;
        let wait = host.settings.limits.sync_wait;
        match within(wait, begun.run(host)).await {
            Ok(run) => begun.over(run),
            Err(_) => Ok(begun.late(Wait::Late, wait)),
        }
    }

    /// Puts together what is run: what the arguments refer to is put in now, and never written
    /// anywhere.
    pub(super) async fn begin(self, host: &Arc<Host>, cancel: CancellationToken) -> Begun {
        let Admitted { invocation, script, log, waited, place } = self;
        let Invocation { id, workspace, version, arguments, options, .. } = &*invocation;
        let limits =
            options.timeout.map_or(version.limits, |timeout| version.limits.within(timeout));
        let call = fill(host, workspace, arguments.as_str(), limits.args_bytes)
            .await
            .map_err(Failure::from)
            .map(|args| Call {
                confidential: matches!(args, Cow::Owned(_)),
                args: args.into(),
                environment: environment(host, workspace, version, *id),
                limits,
                log: log.clone(),
                cancel,
            });
        let unkept = version.settings.delete_after_use;
        let record = Record {
            host: host.clone(),
            job: Some(Box::new(invocation.into_job())),
            log,
            begun: Instant::now(),
            unkept,
        };
        Begun { record, waited, script, call, _place: place }
    }
}

impl Begun {
    /// Runs it; to be called once.
    pub(super) fn run(&mut self, host: &Arc<Host>) -> impl Future<Output = Run> + Send + 'static {
        let call = std::mem::replace(
            &mut self.call,
            Err(Failure::new(FailureName::Internal, "the run was started before")),
        );
        let (host, script) = (host.clone(), self.script.clone());
        async move {
            match call {
                Ok(call) => host.sandbox.invoke(&script, call).await,
                Err(failure) => Run {
                    outcome: Outcome::Failure(failure),
                    usage: Usage::default(),
                    saturated: false,
                },
            }
        }
    }

    /// The run has ended.
    ///
    /// # Errors
    /// 503 when it was not even started.
    pub(super) fn over(mut self, run: Run) -> Result<Execution, Problem> {
        if run.saturated {
            self.record.job = None;
            return Err(Problem::new(
                Code::Unavailable,
                "All places for running scripts are taken; nothing was started",
            )
            .retry_after(1));
        }
        Ok(Execution { run, wait: Wait::Ended, waited: self.waited, record: self.record })
    }

    /// The caller's longest wait was over before the run.
    pub(super) fn late(self, how: Wait, wait: Duration) -> Execution {
        late(self.record, how, self.waited, wait)
    }
}

/// What a caller is told whose longest wait was over before the run.
pub(super) fn late(record: Record, how: Wait, waited: Duration, wait: Duration) -> Execution {
    let message = format!(
        "The caller's longest wait of {} s was over; the run was cancelled",
        wait.as_secs()
    );
    let run = ended(FailureName::Timeout, message, record.begun.elapsed());
    Execution { run, wait: how, waited, record }
}

impl Execution {
    /// Records the run, unless it goes on. Its caller waits for the disk only where the operator
    /// wants it so.
    pub(crate) async fn record(mut self) {
        let Some(job) = self.record.job.take() else { return };
        let end = self.record.end(self.run, &job);
        let host = &self.record.host;
        let record = RunRecord { job: *job, end };
        if !host.settings.durable_sync {
            host.store.record(record);
        } else if let Err(error) = host.store.record_durably(record).await {
            tracing::error!(%error, "a run could not be recorded");
        }
    }
}

fn ended(name: FailureName, message: impl Into<String>, wall: Duration) -> Run {
    Run {
        outcome: Outcome::Failure(Failure::new(name, message)),
        usage: Usage { wall, ..Usage::default() },
        saturated: false,
    }
}

/// Holds what a record needs. Dropped with the job still in it, the caller has hung up.
pub(super) struct Record {
    pub(super) host: Arc<Host>,
    pub(super) job: Option<Box<NewJob>>,
    log: Arc<LogBuffer>,
    begun: Instant,
    /// Nothing of the run but the fact of it is ever written.
    unkept: bool,
}

impl Record {
    /// Where the run's log is.
    pub(super) fn log(&self) -> &Arc<LogBuffer> {
        &self.log
    }

    fn end(&self, run: Run, job: &NewJob) -> RunEnd {
        let mut end = end_of(run, job.created, self.log.finish());
        end.deleted = self.unkept;
        end
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let Some(job) = self.job.take() else { return };
        let run = ended(
            FailureName::Canceled,
            "The caller hung up before the run ended",
            self.begun.elapsed(),
        );
        let mut end = self.end(run, &job);
        end.status = RunStatus::Canceled;
        self.host.store.record(RunRecord { job: *job, end });
    }
}
