//! The verbs of the queue and of the run records as callers know them: which of them gather, and
//! what is written first.

use super::PostgresStore;
use crate::{
    CancelOutcome, Cancellation, Claim, ClaimedJob, Completion, Counts, Enqueued, IdempotencyKey,
    Job, JobAttempt, JobFilter, Jobs, Micros, NewJob, Result, Retry, RunRecord, WorkerId,
};
use async_trait::async_trait;
use std::sync::Arc;
use wasmill_core::{JobId, ScriptPath, WorkspaceId};

#[async_trait]
impl Jobs for PostgresStore {
    async fn enqueue(&self, mut jobs: Vec<NewJob>) -> Result<()> {
        match (jobs.len(), jobs.pop()) {
            (1, Some(job)) => self.enqueues.call(Arc::new(job)).await,
            (_, Some(last)) => {
                jobs.push(last);
                self.shared.enqueue_together(&jobs).await
            }
            (_, None) => Ok(()),
        }
    }

    async fn enqueue_once(&self, key: &IdempotencyKey, job: NewJob) -> Result<Enqueued> {
        self.shared.enqueue_unless(key, &job).await
    }

    async fn purge_idempotency(&self, now: Micros, limit: u32) -> Result<u64> {
        self.shared.purge_keys(now, limit).await
    }

    async fn claim(
        &self,
        worker: WorkerId,
        now: Micros,
        limit: u32,
        tags: &[String],
    ) -> Result<Vec<ClaimedJob>> {
        self.shared.claim_jobs(worker, now, limit, tags).await
    }

    async fn adopt(&self, job: NewJob, worker: WorkerId, started: Micros) -> Result<Claim> {
        self.shared.adopt_job(&job, worker, started).await
    }

    async fn cancel(
        &self,
        workspace: &WorkspaceId,
        ids: &[JobId],
        by: &str,
        reason: Option<&str>,
        at: Micros,
    ) -> Result<Vec<CancelOutcome>> {
        // A run that is over and not written yet is over, not unknown.
        self.recorded().await?;
        let why = Cancellation { by: by.to_owned(), reason: reason.map(str::to_owned), at };
        self.shared.cancel_jobs(workspace, ids, &why).await
    }

    async fn canceled(&self, worker: WorkerId) -> Result<Vec<Claim>> {
        self.shared.marked(worker).await
    }

    async fn extend_lease(&self, worker: WorkerId, until: Micros) -> Result<bool> {
        self.shared.extend(worker, until).await
    }

    async fn rescue(&self, now: Micros, everything: bool) -> Result<u64> {
        self.shared.rescue_jobs(now, everything).await
    }

    async fn release(&self, worker: WorkerId, jobs: &[Claim]) -> Result<u64> {
        self.shared.release_jobs(worker, jobs).await
    }

    async fn complete(&self, runs: Vec<Completion>) -> Result<Vec<bool>> {
        match runs.is_empty() {
            true => Ok(Vec::new()),
            false => self.completions.call(Arc::new(runs)).await,
        }
    }

    async fn retry(&self, runs: Vec<Retry>) -> Result<Vec<bool>> {
        match runs.is_empty() {
            true => Ok(Vec::new()),
            false => self.retries.call(Arc::new(runs)).await,
        }
    }

    async fn attempts(&self, workspace: &WorkspaceId, id: JobId) -> Result<Vec<JobAttempt>> {
        match self.shared.workspace_row(workspace).await? {
            Some(workspace) => self.shared.attempts_of(workspace, id).await,
            None => Ok(Vec::new()),
        }
    }

    fn record(&self, run: RunRecord) -> bool {
        self.recorder.record(run)
    }

    async fn record_durably(&self, run: RunRecord) -> Result<()> {
        self.records.call(Arc::new(run)).await
    }

    fn dropped_records(&self) -> u64 {
        self.recorder.dropped_records()
    }

    async fn erase(&self, workspace: &WorkspaceId, ids: &[JobId]) -> Result<u64> {
        self.recorded().await?;
        self.shared.erase_jobs(workspace, ids).await
    }

    async fn erase_due(&self, now: Micros, limit: u32) -> Result<u64> {
        self.recorded().await?;
        self.shared.erase_overdue(now, limit).await
    }

    async fn purge_runs(
        &self,
        workspace: &WorkspaceId,
        path: Option<&ScriptPath>,
        completed_before: Micros,
        limit: u32,
    ) -> Result<u64> {
        self.recorded().await?;
        self.shared.purge(workspace, path, completed_before, limit).await
    }

    async fn ended(&self, jobs: &[(WorkspaceId, JobId)]) -> Result<Vec<JobId>> {
        match jobs.is_empty() {
            true => Ok(Vec::new()),
            false => self.shared.over(jobs).await,
        }
    }

    async fn flush(&self) -> Result<()> {
        self.recorder.settle(true).await
    }

    async fn job(&self, workspace: &WorkspaceId, id: JobId) -> Result<Option<Job>> {
        // Asked before looking, so that a record which is written in between is not missed.
        let pending = self.recorder.has_pending();
        match self.shared.find(workspace, id).await? {
            None if pending => {
                self.recorder.settle(false).await?;
                self.shared.find(workspace, id).await
            }
            found => Ok(found),
        }
    }

    async fn list_jobs(&self, workspace: &WorkspaceId, filter: &JobFilter) -> Result<Vec<Job>> {
        self.recorded().await?;
        self.shared.list(workspace, filter).await
    }

    async fn queue_depth(&self, workspace: &WorkspaceId) -> Result<u64> {
        let Some(workspace) = self.shared.workspace_row(workspace).await? else {
            return Ok(0);
        };
        match self.shared.depths.known(workspace) {
            Some(depth) => Ok(depth),
            None => self.depth_looks.call(workspace).await,
        }
    }

    async fn counts(&self, workspace: &WorkspaceId) -> Result<Counts> {
        self.recorded().await?;
        self.shared.count(workspace).await
    }

    async fn queue_position(&self, workspace: &WorkspaceId, at: Micros) -> Result<u64> {
        self.shared.position(workspace, at).await
    }

    async fn next_due(&self, tags: &[String]) -> Result<Option<Micros>> {
        match tags {
            [] => self.shared.next_due_of(None).await,
            tags => self.shared.next_due_of(Some(&self.shared.tag_rows(tags).await?)).await,
        }
    }
}

impl PostgresStore {
    /// Waits until what was recorded before is written.
    async fn recorded(&self) -> Result<()> {
        match self.recorder.has_pending() {
            true => self.recorder.settle(false).await,
            false => Ok(()),
        }
    }
}
