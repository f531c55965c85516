//! Calls of scripts with a concurrency limit whose callers wait: they take their turn in the queue,
//! and their callers wait for their end.
//!
//! What runs beside what is decided where jobs are claimed, in one transaction for all nodes. So
//! these calls are jobs, the first in their workspace's queue, and their answers are read back.

use super::answers::{Millis, add_status, waited};
use crate::clock;
use crate::host::Host;
use crate::http::respond::{self, Reply};
use crate::jobs::cancel;
use crate::nodes::waiters::Waiter;
use crate::resolve::Deployment;
use crate::run::{Invocation, WAITED_PRIORITY, Wait};
use crate::store_errors::unavailable;
use std::sync::Arc;
use wasmill_core::answer::answer_stored;
use wasmill_core::{JobId, Problem, WithoutCaller, WorkspaceId};
use wasmill_store::{Job, JobState, RunEnd, RunStatus};

/// A call that waits for its turn and for its end.
pub(super) struct Turn {
    host: Arc<Host>,
    workspace: WorkspaceId,
    pub(super) id: JobId,
    pub(super) version: Arc<Deployment>,
    waiter: Waiter,
    /// The job is over, or goes on without its caller.
    left: bool,
}

impl Turn {
    /// Queues the call.
    ///
    /// # Errors
    /// 503 when the store cannot take it. Nothing was queued then.
    pub(super) async fn take(host: &Arc<Host>, invocation: Invocation) -> Result<Self, Problem> {
        let (id, workspace) = (invocation.id, invocation.workspace.clone());
        let version = invocation.version.clone();
        let waiter = host.notifier.waiters.wait_for_new(&workspace, id);
        let mut job = invocation.into_job();
        job.awaited = true;
        // Who waits does not wait for what nobody waits for, nor is the call tried again behind the
        // caller's back.
        job.priority = job.priority.max(WAITED_PRIORITY);
        job.retry = None;
        host.store.enqueue(vec![job]).await.map_err(unavailable)?;
        waiter.queued();
        host.notifier.job_queued();
        Ok(Self { host: host.clone(), workspace, id, version, waiter, left: false })
    }

    /// Waits for the job's end as long as a caller may wait. `None`: it was not over by then, and
    /// was cancelled unless it goes on.
    ///
    /// # Errors
    /// 503 when its end cannot be read.
    pub(super) async fn end(&mut self) -> Result<Option<RunEnd>, Problem> {
        let wait = self.host.settings.limits.sync_wait;
        let in_time = tokio::time::timeout(wait, self.waiter.ended()).await.is_ok();
        self.left = true;
        if !in_time {
            if !self.goes_on(true) {
                let why = "the caller's longest wait was over";
                stop(&self.host, &self.workspace, self.id, why).await;
            }
            return Ok(None);
        }
        match self.host.store.job(&self.workspace, self.id).await.map_err(unavailable)? {
            Some(Job { state: JobState::Finished(end), .. }) => Ok(Some(end)),
            _ => Err(Problem::internal()),
        }
    }

    fn goes_on(&self, late: bool) -> bool {
        let settings = &self.version.settings;
        let wanted = if late { settings.on_sync_timeout } else { settings.on_hang_up };
        wanted == WithoutCaller::Continue
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.left || self.goes_on(false) {
            return;
        }
        let (host, workspace, id) = (self.host.clone(), self.workspace.clone(), self.id);
        let stopping = async move { stop(&host, &workspace, id, "the caller hung up").await };
        self.host.runner.detached.spawn(stopping);
    }
}

async fn stop(host: &Host, workspace: &WorkspaceId, id: JobId, why: &str) {
    let canceled = cancel::for_caller(&host.runner, workspace, id, why, clock::now()).await;
    if let Err(error) = canceled {
        tracing::error!(%error, job = %id, "a job that nobody waits for any more could not be cancelled");
    }
}

/// Runs the call in its turn, and answers with its result.
///
/// # Errors
/// 503 when the store cannot take it, or when the result cannot be read.
pub(crate) async fn run(host: &Arc<Host>, invocation: Invocation) -> Result<Reply, Problem> {
    let mut turn = Turn::take(host, invocation).await?;
    let end = turn.end().await?;
    let wait = match &end {
        Some(_) => Wait::Ended,
        None if turn.goes_on(true) => Wait::GoesOn,
        None => Wait::Late,
    };
    let settings = &host.settings;
    let success = end.as_ref().is_some_and(|end| end.status == RunStatus::Success);
    let result = || match &end {
        Some(end) => answer_stored(&end.result, !success, &settings.answers),
        None => Err(Problem::internal()),
    };
    let mut reply = waited(wait, result, settings.limits.sync_wait, turn.id, &turn.version);
    if let Some(end) = &end {
        add_status(&mut reply, success);
        let timing = format!("run;dur={}", Millis(end.duration));
        respond::with(&mut reply, "server-timing", &timing);
    }
    Ok(reply)
}
