//! The verbs of the durable queue: jobs that wait, and those that workers hold.

use crate::{
    CancelOutcome, Cancellation, Claim, ClaimedJob, Completion, Enqueued, IdempotencyKey, Micros,
    NewJob, Result, Retry, WorkerId,
};
use async_trait::async_trait;
use wasmill_core::{JobId, WorkspaceId};

/// The durable queue: jobs that wait, their claims, leases, retries and ends.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Queues jobs; returns once they are durable. All or none. `Conflict` when an id is taken,
    /// `NotFound` when the workspace has no such version or it is deleted.
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<()>;
    /// Queues a job unless one was queued under this key before, in the job's workspace and not yet
    /// expired when the job was `created`. Errors as of `enqueue`; the key is then not used up.
    async fn enqueue_once(&self, key: &IdempotencyKey, job: NewJob) -> Result<Enqueued>;
    /// Forgets up to `limit` keys that have expired at `now`, the oldest first, and returns how
    /// many.
    async fn purge_idempotency(&self, now: Micros, limit: u32) -> Result<u64>;
    /// Takes up to `limit` waiting jobs that are due at `now` and have one of `tags` (none: any
    /// tag) under `worker`'s lease, and counts the attempt. How many of each workspace goes by
    /// [`wasmill_core::queue::Shares`] over the workspaces' weights. Within a workspace larger
    /// priorities come first, then earlier times, then older jobs; those whose concurrency limit is
    /// reached, the jobs just taken included, are passed over.
    async fn claim(
        &self,
        worker: WorkerId,
        now: Micros,
        limit: u32,
        tags: &[String],
    ) -> Result<Vec<ClaimedJob>>;
    /// Takes a run that was begun outside of the queue in as a running job of `worker`, started at
    /// `started`, as if that worker had claimed it as its first attempt: from then on it is held,
    /// fenced and rescued like any other. Durable on return. `Conflict` when its id is taken,
    /// `NotFound` when the workspace has no such version; one that was deleted meanwhile is no
    /// reason to refuse.
    async fn adopt(&self, job: NewJob, worker: WorkerId, started: Micros) -> Result<Claim>;
    /// Notes that a worker is alive: its jobs are its own until `until`. Registers an unknown
    /// worker, and returns false then: one that was known before has lost what it held to `rescue`.
    async fn extend_lease(&self, worker: WorkerId, until: Micros) -> Result<bool>;
    /// Moves claimed jobs to the run records in one atomic step; durable on return. Returns which
    /// of them were still held under that claim, in order: a stale attempt changes nothing. What
    /// the worker reports of a job that is marked as cancelled is kept as it is.
    async fn complete(&self, runs: Vec<Completion>) -> Result<Vec<bool>>;
    /// Notes claimed runs that failed as attempts and gives their jobs back to the queue, in one
    /// atomic step; durable on return. Returns which of them were still held, as `complete` does.
    /// One that is marked as cancelled is completed with that end instead.
    async fn retry(&self, runs: Vec<Retry>) -> Result<Vec<bool>>;
    /// Gives a worker's claimed jobs back without counting the attempt: they were cut off by a
    /// shutdown. One that is marked as cancelled becomes a run record instead and is not among
    /// those counted.
    async fn release(&self, worker: WorkerId, jobs: &[Claim]) -> Result<u64>;
    /// Gives running jobs whose worker's lease ended before `now` back to the queue and returns how
    /// many; the attempt stays counted, and is kept as lost. A job of which as many attempts as it
    /// may have were lost becomes a failed run record instead, and one that is marked as cancelled
    /// a cancelled one; they are not among them. Workers without a lease are forgotten. With
    /// `everything`, all running jobs: for the start of a host that is alone with its store.
    async fn rescue(&self, now: Micros, everything: bool) -> Result<u64>;
    /// Cancels jobs, and tells of each what became of it. A waiting one is over at once; a running
    /// one is marked and never starts again, whatever becomes of its worker. What was said first
    /// stays.
    async fn cancel(
        &self,
        workspace: &WorkspaceId,
        ids: &[JobId],
        cancellation: &Cancellation,
    ) -> Result<Vec<CancelOutcome>>;
    /// Which of a worker's jobs are marked as cancelled, oldest first.
    async fn canceled(&self, worker: WorkerId) -> Result<Vec<Claim>>;
    /// Jobs waiting or running in a workspace.
    async fn queue_depth(&self, workspace: &WorkspaceId) -> Result<u64>;
    /// How many of a workspace's waiting jobs are meant to start before `at`.
    async fn queue_position(&self, workspace: &WorkspaceId, at: Micros) -> Result<u64>;
    /// When the next waiting job with one of `tags` (none: any tag) becomes due, if any waits. One
    /// whose concurrency limit is reached, as far as that is known, is not looked at: it is due
    /// when another one ends.
    async fn next_due(&self, tags: &[String]) -> Result<Option<Micros>>;
}
