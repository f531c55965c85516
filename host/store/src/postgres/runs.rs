//! The verbs of the run records: which calls are committed together, and what is written first.

use super::store::PostgresStore;
use crate::{Counts, Job, JobAttempt, JobFilter, Micros, Result, RunRecord, Runs};
use async_trait::async_trait;
use std::sync::Arc;
use wasmill_core::{JobId, ScriptPath, WorkspaceId};

#[async_trait]
impl Runs for PostgresStore {
    fn record(&self, run: RunRecord) -> bool {
        self.recorder.record(run)
    }

    async fn record_durably(&self, run: RunRecord) -> Result<()> {
        self.records.call(Arc::new(run)).await
    }

    fn dropped_records(&self) -> u64 {
        self.recorder.dropped_records()
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

    async fn attempts(&self, workspace: &WorkspaceId, id: JobId) -> Result<Vec<JobAttempt>> {
        match self.shared.workspace_row(workspace).await? {
            Some(workspace) => self.shared.attempts_of(workspace, id).await,
            None => Ok(Vec::new()),
        }
    }

    async fn counts(&self, workspace: &WorkspaceId) -> Result<Counts> {
        self.recorded().await?;
        self.shared.count(workspace).await
    }

    async fn ended(&self, jobs: &[(WorkspaceId, JobId)]) -> Result<Vec<JobId>> {
        match jobs.is_empty() {
            true => Ok(Vec::new()),
            false => self.shared.over(jobs).await,
        }
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
}
