//! The verbs of the queue: which calls are committed together, and what is written first.

use super::store::PostgresStore;
use crate::{
    CancelOutcome, Cancellation, Claim, ClaimedJob, Completion, Enqueued, IdempotencyKey, Micros,
    NewJob, Queue, Result, Retry, WorkerId,
};
use async_trait::async_trait;
use std::sync::Arc;
use wasmill_core::{JobId, WorkspaceId};

#[async_trait]
impl Queue for PostgresStore {
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

    async fn extend_lease(&self, worker: WorkerId, until: Micros) -> Result<bool> {
        self.shared.extend(worker, until).await
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

    async fn release(&self, worker: WorkerId, jobs: &[Claim]) -> Result<u64> {
        self.shared.release_jobs(worker, jobs).await
    }

    async fn rescue(&self, now: Micros, everything: bool) -> Result<u64> {
        self.shared.rescue_jobs(now, everything).await
    }

    async fn cancel(
        &self,
        workspace: &WorkspaceId,
        ids: &[JobId],
        cancellation: &Cancellation,
    ) -> Result<Vec<CancelOutcome>> {
        // A run that is over and not written yet is over, not unknown.
        self.recorded().await?;
        self.shared.cancel_jobs(workspace, ids, cancellation).await
    }

    async fn canceled(&self, worker: WorkerId) -> Result<Vec<Claim>> {
        self.shared.marked(worker).await
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
