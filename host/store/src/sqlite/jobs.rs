//! The verbs of the queue and of the run records as callers know them: which thread does each, and when it is answered.

use super::{Need, SqliteStore, lookup, queue, runs};
use crate::{Claim, ClaimedJob, Completion, Job, JobFilter, Jobs, Micros, NewJob, Result, RunRecord, WorkerId};
use async_trait::async_trait;
use wasmill_core::{JobId, WorkspaceId};

#[async_trait]
impl Jobs for SqliteStore {
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<()> {
        self.write(Need::Synced, move |tx| queue::enqueue(tx, &jobs)).await
    }

    async fn claim(&self, worker: WorkerId, now: Micros, limit: u32) -> Result<Vec<ClaimedJob>> {
        // A claim that a power cut undoes is made again; only its attempt is not counted.
        self.write(Need::Committed, move |tx| queue::claim(tx, worker, now, limit)).await
    }

    async fn extend_lease(&self, worker: WorkerId, until: Micros) -> Result<()> {
        self.write(Need::Committed, move |tx| queue::extend_lease(tx, worker, until)).await
    }

    async fn rescue(&self, now: Micros, everything: bool) -> Result<u64> {
        self.write(Need::Synced, move |tx| queue::rescue(tx, now, everything)).await
    }

    async fn release(&self, worker: WorkerId, jobs: &[Claim]) -> Result<u64> {
        let jobs = jobs.to_vec();
        self.write(Need::Synced, move |tx| queue::release(tx, worker, &jobs)).await
    }

    async fn complete(&self, runs: Vec<Completion>) -> Result<Vec<bool>> {
        self.write(Need::Synced, move |tx| queue::complete(tx, &runs)).await
    }

    fn record(&self, run: RunRecord) -> bool {
        self.try_record(run)
    }

    async fn record_durably(&self, run: RunRecord) -> Result<()> {
        self.write(Need::Synced, move |tx| runs::insert(tx, &run, true)).await
    }

    fn dropped_records(&self) -> u64 {
        self.stats().dropped_records
    }

    async fn flush(&self) -> Result<()> {
        self.settle(Need::Synced).await
    }

    async fn job(&self, workspace: &WorkspaceId, id: JobId) -> Result<Option<Job>> {
        // Asked before looking, so that a record which is written in between is not missed.
        let pending = self.has_pending_records();
        let look = |workspace: WorkspaceId| self.read(move |conn| lookup::find(conn, &workspace, &id));
        match look(workspace.clone()).await? {
            None if pending => {
                self.settle(Need::Committed).await?;
                look(workspace.clone()).await
            }
            found => Ok(found),
        }
    }

    async fn list_jobs(&self, workspace: &WorkspaceId, filter: &JobFilter) -> Result<Vec<Job>> {
        if self.has_pending_records() {
            self.settle(Need::Committed).await?;
        }
        let (workspace, filter) = (workspace.clone(), filter.clone());
        self.read(move |conn| lookup::list(conn, &workspace, &filter)).await
    }

    async fn queue_depth(&self, workspace: &WorkspaceId) -> Result<u64> {
        if let Some(error) = self.counters.stopped() {
            return Err(error);
        }
        let depth = self.counters.depth();
        let row = depth.workspaces.get(workspace);
        let queued = row.and_then(|row| depth.queued.get(row)).copied().unwrap_or(0);
        Ok(u64::try_from(queued).unwrap_or(0))
    }

    async fn next_due(&self) -> Result<Option<Micros>> {
        self.read(queue::next_due).await
    }
}
