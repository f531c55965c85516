//! The verbs of the queue and of the run records as callers know them: which thread does each, and
//! when it is answered.

use super::{
    Need, SqliteStore, attempts, cancel, claim, erase, idempotency, leases, line, list, lookup,
    purge, queue, runs,
};
use crate::{
    CancelOutcome, Cancellation, Claim, ClaimedJob, Completion, Counts, Enqueued, IdempotencyKey,
    Job, JobAttempt, JobFilter, Jobs, Micros, NewJob, Result, Retry, RunRecord, WorkerId,
};
use async_trait::async_trait;
use wasmill_core::{JobId, ScriptPath, WorkspaceId};

#[async_trait]
impl Jobs for SqliteStore {
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<()> {
        self.write(Need::Synced, move |tx| queue::enqueue(tx, &jobs)).await
    }

    async fn enqueue_once(&self, key: &IdempotencyKey, job: NewJob) -> Result<Enqueued> {
        let key = *key;
        self.write(Need::Synced, move |tx| idempotency::enqueue_once(tx, &key, &job)).await
    }

    async fn purge_idempotency(&self, now: Micros, limit: u32) -> Result<u64> {
        self.write(Need::Committed, move |tx| idempotency::purge(tx, now, limit)).await
    }

    async fn claim(
        &self,
        worker: WorkerId,
        now: Micros,
        limit: u32,
        tags: &[String],
    ) -> Result<Vec<ClaimedJob>> {
        let tags = tags.to_vec();
        // A claim that a power cut undoes is made again; only its attempt is not counted.
        self.write(Need::Committed, move |tx| claim::claim(tx, worker, now, limit, &tags)).await
    }

    async fn adopt(&self, job: NewJob, worker: WorkerId, started: Micros) -> Result<Claim> {
        self.write(Need::Synced, move |tx| queue::adopt(tx, &job, worker, started)).await
    }

    async fn cancel(
        &self,
        workspace: &WorkspaceId,
        ids: &[JobId],
        by: &str,
        reason: Option<&str>,
        at: Micros,
    ) -> Result<Vec<CancelOutcome>> {
        let (workspace, ids) = (workspace.clone(), ids.to_vec());
        let why = Cancellation { by: by.to_owned(), reason: reason.map(str::to_owned), at };
        self.write(Need::Synced, move |tx| cancel::cancel(tx, &workspace, &ids, &why)).await
    }

    async fn canceled(&self, worker: WorkerId) -> Result<Vec<Claim>> {
        self.read(move |conn| cancel::marked(conn, worker)).await
    }

    async fn extend_lease(&self, worker: WorkerId, until: Micros) -> Result<bool> {
        self.write(Need::Committed, move |tx| leases::extend(tx, worker, until)).await
    }

    async fn rescue(&self, now: Micros, everything: bool) -> Result<u64> {
        self.write(Need::Synced, move |tx| leases::rescue(tx, now, everything)).await
    }

    async fn release(&self, worker: WorkerId, jobs: &[Claim]) -> Result<u64> {
        let jobs = jobs.to_vec();
        self.write(Need::Synced, move |tx| queue::release(tx, worker, &jobs)).await
    }

    async fn complete(&self, runs: Vec<Completion>) -> Result<Vec<bool>> {
        self.write(Need::Synced, move |tx| queue::complete(tx, &runs)).await
    }

    async fn retry(&self, runs: Vec<Retry>) -> Result<Vec<bool>> {
        self.write(Need::Synced, move |tx| queue::retry(tx, &runs)).await
    }

    async fn attempts(&self, workspace: &WorkspaceId, id: JobId) -> Result<Vec<JobAttempt>> {
        let workspace = workspace.clone();
        self.read(move |conn| attempts::read(conn, &workspace, &id)).await
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

    async fn ended(&self, jobs: &[(WorkspaceId, JobId)]) -> Result<Vec<JobId>> {
        let jobs = jobs.to_vec();
        self.read(move |conn| lookup::ended(conn, jobs)).await
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

    async fn queue_depth(&self, workspace: &WorkspaceId) -> Result<u64> {
        if let Some(error) = self.counters.stopped() {
            return Err(error);
        }
        let tally = self.counters.tally(workspace);
        Ok(unsigned(tally.waiting + tally.running))
    }

    async fn counts(&self, workspace: &WorkspaceId) -> Result<Counts> {
        if self.has_pending_records() {
            self.catch_up().await?;
        }
        if let Some(error) = self.counters.stopped() {
            return Err(error);
        }
        let tally = self.counters.tally(workspace);
        Ok(Counts {
            queued: unsigned(tally.waiting),
            running: unsigned(tally.running),
            suspended: 0,
            completed: unsigned(tally.finished),
        })
    }

    async fn queue_position(&self, workspace: &WorkspaceId, at: Micros) -> Result<u64> {
        let workspace = workspace.clone();
        self.read(move |conn| list::position(conn, &workspace, at)).await
    }

    async fn next_due(&self, tags: &[String]) -> Result<Option<Micros>> {
        let tags = tags.to_vec();
        self.read(move |conn| line::next_due(conn, &tags)).await
    }
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
