//! The verbs of the queue: which thread does each, and when it is answered.

use super::store::{Need, SqliteStore};
use super::{cancel, claim, enqueue, idempotency, leases, list, ready, report};
use crate::common::codec::unsigned;
use crate::{
    CancelOutcome, Cancellation, Claim, ClaimedJob, Completion, Enqueued, IdempotencyKey, Micros,
    NewJob, Queue, Result, Retry, WorkerId,
};
use async_trait::async_trait;
use wasmill_core::{JobId, WorkspaceId};

#[async_trait]
impl Queue for SqliteStore {
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<()> {
        self.write(Need::Synced, move |tx| enqueue::enqueue(tx, &jobs)).await
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
        self.write(Need::Synced, move |tx| enqueue::adopt(tx, &job, worker, started)).await
    }

    async fn extend_lease(&self, worker: WorkerId, until: Micros) -> Result<bool> {
        self.write(Need::Committed, move |tx| leases::extend(tx, worker, until)).await
    }

    async fn complete(&self, runs: Vec<Completion>) -> Result<Vec<bool>> {
        self.write(Need::Synced, move |tx| report::complete(tx, &runs)).await
    }

    async fn retry(&self, runs: Vec<Retry>) -> Result<Vec<bool>> {
        self.write(Need::Synced, move |tx| report::retry(tx, &runs)).await
    }

    async fn release(&self, worker: WorkerId, jobs: &[Claim]) -> Result<u64> {
        let jobs = jobs.to_vec();
        self.write(Need::Synced, move |tx| report::release(tx, worker, &jobs)).await
    }

    async fn rescue(&self, now: Micros, everything: bool) -> Result<u64> {
        self.write(Need::Synced, move |tx| leases::rescue(tx, now, everything)).await
    }

    async fn cancel(
        &self,
        workspace: &WorkspaceId,
        ids: &[JobId],
        cancellation: &Cancellation,
    ) -> Result<Vec<CancelOutcome>> {
        let (workspace, ids, why) = (workspace.clone(), ids.to_vec(), cancellation.clone());
        self.write(Need::Synced, move |tx| cancel::cancel(tx, &workspace, &ids, &why)).await
    }

    async fn canceled(&self, worker: WorkerId) -> Result<Vec<Claim>> {
        self.read(move |conn| cancel::marked(conn, worker)).await
    }

    async fn queue_depth(&self, workspace: &WorkspaceId) -> Result<u64> {
        if let Some(error) = self.counters.stopped() {
            return Err(error);
        }
        let counts = self.counters.jobs_of(workspace);
        Ok(unsigned(counts.waiting + counts.running))
    }

    async fn queue_position(&self, workspace: &WorkspaceId, at: Micros) -> Result<u64> {
        let workspace = workspace.clone();
        self.read(move |conn| list::position(conn, &workspace, at)).await
    }

    async fn next_due(&self, tags: &[String]) -> Result<Option<Micros>> {
        let tags = tags.to_vec();
        self.read(move |conn| ready::next_due(conn, &tags)).await
    }
}
