//! The verbs of the run records: which thread does each, and when it is answered.

use super::store::{Need, SqliteStore};
use super::{attempts, erase, list, lookup, purge, record};
use crate::common::codec::unsigned;
use crate::{Counts, Job, JobAttempt, JobFilter, Micros, Result, RunRecord, Runs};
use async_trait::async_trait;
use wasmill_core::{JobId, ScriptPath, WorkspaceId};

#[async_trait]
impl Runs for SqliteStore {
    fn record(&self, run: RunRecord) -> bool {
        self.try_record(run)
    }

    async fn record_durably(&self, run: RunRecord) -> Result<()> {
        self.write(Need::Synced, move |tx| record::insert(tx, &run, true)).await
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
        let look =
            |workspace: WorkspaceId| self.read(move |conn| lookup::find(conn, &workspace, &id));
        match look(workspace.clone()).await? {
            None if pending => {
                self.catch_up().await?;
                look(workspace.clone()).await
            }
            found => Ok(found),
        }
    }

    async fn list_jobs(&self, workspace: &WorkspaceId, filter: &JobFilter) -> Result<Vec<Job>> {
        if self.has_pending_records() {
            self.catch_up().await?;
        }
        let (workspace, filter) = (workspace.clone(), filter.clone());
        self.read(move |conn| list::list(conn, &workspace, &filter)).await
    }

    async fn attempts(&self, workspace: &WorkspaceId, id: JobId) -> Result<Vec<JobAttempt>> {
        let workspace = workspace.clone();
        self.read(move |conn| attempts::read(conn, &workspace, &id)).await
    }

    async fn counts(&self, workspace: &WorkspaceId) -> Result<Counts> {
        if self.has_pending_records() {
            self.catch_up().await?;
        }
        if let Some(error) = self.counters.stopped() {
            return Err(error);
        }
        let counts = self.counters.jobs_of(workspace);
        Ok(Counts {
            queued: unsigned(counts.waiting),
            running: unsigned(counts.running),
            suspended: 0,
            completed: unsigned(counts.finished),
        })
    }

    async fn ended(&self, jobs: &[(WorkspaceId, JobId)]) -> Result<Vec<JobId>> {
        let jobs = jobs.to_vec();
        self.read(move |conn| lookup::ended(conn, jobs)).await
    }

    async fn erase(&self, workspace: &WorkspaceId, ids: &[JobId]) -> Result<u64> {
        let (workspace, ids) = (workspace.clone(), ids.to_vec());
        self.write(Need::Synced, move |tx| erase::erase(tx, &workspace, &ids)).await
    }

    async fn erase_due(&self, now: Micros, limit: u32) -> Result<u64> {
        if self.has_pending_records() {
            self.catch_up().await?;
        }
        // Nearly always nothing is due, and then nothing is written.
        match self.read(move |conn| erase::is_due(conn, now)).await? {
            true => self.write(Need::Synced, move |tx| erase::erase_due(tx, now, limit)).await,
            false => Ok(0),
        }
    }

    async fn purge_runs(
        &self,
        workspace: &WorkspaceId,
        path: Option<&ScriptPath>,
        completed_before: Micros,
        limit: u32,
    ) -> Result<u64> {
        if self.has_pending_records() {
            self.settle(Need::Committed).await?;
        }
        let old =
            purge::Old { workspace: workspace.clone(), path: path.cloned(), completed_before };
        // As for what is to be erased. One that a power cut undoes is made again.
        let asked = old.clone();
        match self.read(move |conn| Ok(!asked.find(conn, 1)?.is_empty())).await? {
            true => self.write(Need::Committed, move |tx| purge::purge(tx, &old, limit)).await,
            false => Ok(0),
        }
    }
}
