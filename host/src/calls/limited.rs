//! Synchronous calls of scripts with a concurrency limit: they wait their turn in the queue, and
//! their callers for their end.
//!
//! What runs beside what is decided where jobs are claimed, in one transaction for all nodes. So
//! these calls are jobs, the first in their workspace's queue, and their answers are read back.

use super::{Invocation, labelled};
use crate::admission::queue_bounds;
use crate::api::jobs::cancel;
use crate::clock;
use crate::host::Host;
use crate::http::respond::{self, Reply};
use crate::nodes::waiters::Waiter;
use crate::resolve::Deployment;
use crate::store_errors::unavailable;
use std::sync::Arc;
use wasmill_core::problem::Code;
use wasmill_core::{JobId, Problem, Unattended, WorkspaceId};
use wasmill_store::{Job, JobState, RunEnd, RunStatus};

/// A call that waits.
pub(super) struct Waiting {
    host: Arc<Host>,
    workspace: WorkspaceId,
    pub(super) id: JobId,
    pub(super) version: Arc<Deployment>,
    waiter: Waiter,
    /// It is over, or goes on without its caller.
    left: bool,
}

/// True when calls of this version have to wait in the queue.
pub(super) fn applies(version: &Deployment) -> bool {
    version.settings.concurrent_limit.is_some()
}

/// Queues the call.
///
/// # Errors
/// 429 when too many jobs wait, 503 when the store cannot take it. Nothing was queued then.
pub(super) async fn enqueue(
    host: &Arc<Host>,
    invocation: Box<Invocation>,
) -> Result<Waiting, Problem> {
    queue_bounds::short_enough(host, &invocation.workspace, invocation.options.queue_limit).await?;
    queue_bounds::room(host, &invocation.workspace).await?;
    let (id, workspace, version) =
        (invocation.id, invocation.workspace.clone(), invocation.version.clone());
    let waiter = host.waiters.wait_for_new(&workspace, id);
    let mut job = invocation.into_job();
    job.awaited = true;
    // Who waits does not wait for what nobody waits for, nor is the call tried again behind the
    // caller's back.
    job.priority = job.priority.max(super::PART_PRIORITY);
    job.retry = None;
    host.store.enqueue(vec![job]).await.map_err(unavailable)?;
    waiter.queued();
    host.job_queued();
    Ok(Waiting { host: host.clone(), workspace, id, version, waiter, left: false })
}

impl Waiting {
    /// Waits for the job's end as long as a caller may wait. `None`: it was not over by then, and
    /// was cancelled unless it goes on.
    ///
    /// # Errors
    /// 503 when its end cannot be read.
    pub(super) async fn end(&mut self) -> Result<Option<RunEnd>, Problem> {
        let wait = self.host.settings.limits.sync_wait;
        match tokio::time::timeout(wait, self.waiter.ended()).await {
            Ok(()) => {
                self.left = true;
                match self.host.store.job(&self.workspace, self.id).await.map_err(unavailable)? {
                    Some(Job { state: JobState::Finished(end), .. }) => Ok(Some(end)),
                    _ => Err(Problem::internal()),
                }
            }
            Err(_) => {
                self.left = true;
                if !self.goes_on(true) {
                    stop(
                        &self.host,
                        &self.workspace,
                        self.id,
                        "the caller's longest wait was over",
                    )
                    .await;
                }
                Ok(None)
            }
        }
    }

    pub(super) fn goes_on(&self, late: bool) -> bool {
        let settings = &self.version.settings;
        (if late { settings.on_sync_timeout } else { settings.on_hang_up }) == Unattended::Continue
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.left || self.goes_on(false) {
            return;
        }
        let (host, workspace, id) = (self.host.clone(), self.workspace.clone(), self.id);
        self.host
            .unattended
            .spawn(async move { stop(&host, &workspace, id, "the caller hung up").await });
    }
}

async fn stop(host: &Host, workspace: &WorkspaceId, id: JobId, why: &str) {
    if let Err(error) = cancel::for_caller(host, workspace, id, why, clock::now()).await {
        tracing::error!(%error, job = %id, "a job that nobody waits for any more could not be cancelled");
    }
}

/// Runs the call in its turn, and answers with its result.
///
/// # Errors
/// As of `enqueue`; 503 when the result cannot be read.
pub(super) async fn run(host: &Arc<Host>, invocation: Box<Invocation>) -> Result<Reply, Problem> {
    let mut waiting = enqueue(host, invocation).await?;
    let (id, version) = (waiting.id, waiting.version.clone());
    let wait = host.settings.limits.sync_wait.as_secs();
    let late = |detail: String| respond::problem(&Problem::new(Code::GatewayTimeout, detail));
    let Some(end) = waiting.end().await? else {
        let reply = match waiting.goes_on(true) {
            true => late(format!(
                "The run did not end within {wait} s; it goes on as the job {id}, and its result can be read there"
            )),
            false => late(format!(
                "The run did not end within {wait} s and was cancelled; start it with /jobs/run/ to let it take longer"
            )),
        };
        return Ok(labelled(reply, id, &version));
    };
    let success = end.status == RunStatus::Success;
    let answered =
        wasmill_core::answer::answer_stored(&end.result, !success, &host.settings.answers);
    let reply = answered.map_or_else(|problem| respond::problem(&problem), respond::answer);
    let mut reply = labelled(reply, id, &version);
    respond::with(&mut reply, "x-wasmill-job-status", if success { "success" } else { "failure" });
    let timing = format!("run;dur={:.3}", end.duration.as_secs_f64() * 1e3);
    respond::with(&mut reply, "server-timing", &timing);
    Ok(reply)
}
