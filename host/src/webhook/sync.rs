//! A call that is answered with its result: run here and now, within the request.
//!
//! The run lives in the request's own future. A caller that hangs up drops that future, and with it the sandbox; the
//! guard below then records the run as cancelled.

use super::{Invocation, environment};
use crate::host::Host;
use crate::jobs::end_of;
use crate::serve::respond::{self, Reply};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Instant;
use tokio::time::timeout;
use wasmill_core::answer::answer;
use wasmill_core::problem::Code;
use wasmill_core::{Failure, FailureName, Outcome, Problem, Usage};
use wasmill_sandbox::{Call, LogBuffer, Run};
use wasmill_store::{NewJob, RunRecord, RunStatus};

/// Runs the call and answers with its result.
///
/// # Errors
/// 503 when no place is free, 504 when the host's longest wait is over, 500 when the answer cannot be sent.
pub(crate) async fn run(host: &Arc<Host>, invocation: Invocation) -> Result<Reply, Problem> {
    let arrived = Instant::now();
    let _place = host.admission.enter().await?;
    let script = host.prepared(&invocation.version).await?;
    let (id, version) = (invocation.id, invocation.version.clone());
    let log = Arc::new(LogBuffer::new(version.limits.log_bytes));
    let call = Call {
        args: invocation.arguments.as_str().to_owned().into(),
        environment: environment(host, &invocation.workspace, &version, id),
        limits: version.limits,
        log: log.clone(),
        cancel: host.stop.ending.child_token(),
    };
    let mut record = Record::begin(host, invocation.into_job(), log);
    let waited = arrived.elapsed();
    let Ok(run) = timeout(host.settings.limits.sync_wait, host.sandbox.invoke(&script, call)).await else {
        let wait = host.settings.limits.sync_wait.as_secs();
        let late = Failure::new(FailureName::Timeout, format!("The caller's longest wait of {wait} s was over; the run was cancelled"));
        record
            .finish(Run { outcome: Outcome::Failure(late), usage: Usage { wall: arrived.elapsed(), ..Usage::default() }, saturated: false })
            .await;
        let problem = Problem::new(
            Code::GatewayTimeout,
            format!("The run did not end within {wait} s and was cancelled; start it with /jobs/run/ to let it take longer"),
        );
        return Ok(labelled(respond::problem(&problem), &id.to_string(), &version.hash_text, false));
    };
    if run.saturated {
        record.forget();
        return Err(Problem::new(Code::Unavailable, "All places for running scripts are taken; nothing was started").retry_after(1));
    }
    let success = run.outcome.is_success();
    let reply = match answer(&run.outcome, &host.settings.answers) {
        Ok(answer) => respond::answer(answer),
        Err(problem) => respond::problem(&problem),
    };
    let mut reply = labelled(reply, &id.to_string(), &version.hash_text, success);
    let timing = format!("queue;dur={:.3}, run;dur={:.3}", millis(waited), millis(run.usage.wall));
    respond::with(&mut reply, "server-timing", &timing);
    record.finish(run).await;
    Ok(reply)
}

fn millis(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn labelled(mut reply: Reply, id: &str, version: &str, success: bool) -> Reply {
    respond::with(&mut reply, "x-wasmill-job-id", id);
    respond::with(&mut reply, "x-wasmill-version", version);
    respond::with(&mut reply, "x-wasmill-job-status", if success { "success" } else { "failure" });
    respond::with(&mut reply, "access-control-allow-origin", "*");
    reply
}

/// The run's record, written exactly once: with its outcome, or as cancelled when the caller hung up.
struct Record {
    host: Arc<Host>,
    job: Option<NewJob>,
    log: Arc<LogBuffer>,
    begun: Instant,
}

impl Record {
    fn begin(host: &Arc<Host>, job: NewJob, log: Arc<LogBuffer>) -> Self {
        Self { host: host.clone(), job: Some(job), log, begun: Instant::now() }
    }

    async fn finish(&mut self, run: Run) {
        let Some(job) = self.job.take() else { return };
        let started = job.created;
        let end = end_of(run, started, Bytes::from(self.log.finish()));
        let record = RunRecord { job, end };
        if !self.host.settings.durable_sync {
            self.host.store.record(record);
        } else if let Err(error) = self.host.store.record_durably(record).await {
            tracing::error!(%error, "a run could not be recorded");
        }
    }

    fn forget(&mut self) {
        self.job = None;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let Some(job) = self.job.take() else { return };
        let failure = Failure::new(FailureName::Canceled, "The caller hung up before the run ended");
        let started = job.created;
        let run =
            Run { outcome: Outcome::Failure(failure), usage: Usage { wall: self.begun.elapsed(), ..Usage::default() }, saturated: false };
        let mut end = end_of(run, started, Bytes::from(self.log.finish()));
        end.status = RunStatus::Canceled;
        self.host.store.record(RunRecord { job, end });
    }
}
