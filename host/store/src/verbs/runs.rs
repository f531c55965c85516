//! The verbs of the run records.

use crate::{Counts, Job, JobAttempt, JobFilter, Micros, Result, RunRecord};
use async_trait::async_trait;
use wasmill_core::{JobId, ScriptPath, WorkspaceId};

/// The record of what ran, and every job read back: wherever it is in its life.
#[async_trait]
pub trait Runs: Send + Sync {
    /// Records finished synchronous runs without waiting: false when the channel is full and this
    /// record was dropped (the drop is counted in `dropped_records`). When room is merely short,
    /// the record is kept without arguments (read back empty), result (`null`) and log (a line that
    /// says so).
    fn record(&self, run: RunRecord) -> bool;
    /// As `record`, but returns once the record is durable.
    async fn record_durably(&self, run: RunRecord) -> Result<()>;
    /// How many records `record` has dropped since the start, those with a taken id or an unknown
    /// version included.
    fn dropped_records(&self) -> u64;
    /// Writes out everything recorded so far.
    async fn flush(&self) -> Result<()>;
    /// One job, waiting, running or finished, with arguments, result and log.
    async fn job(&self, workspace: &WorkspaceId, id: JobId) -> Result<Option<Job>>;
    /// The jobs that fit a filter, without result and log, and without arguments unless the filter
    /// asks for them.
    async fn list_jobs(&self, workspace: &WorkspaceId, filter: &JobFilter) -> Result<Vec<Job>>;
    /// A job's attempts before the last one, oldest first; none for an unknown job. Once the job's
    /// payload is erased, or when a run's was never to be kept, their ends are empty too.
    async fn attempts(&self, workspace: &WorkspaceId, id: JobId) -> Result<Vec<JobAttempt>>;
    /// How many jobs a workspace has.
    async fn counts(&self, workspace: &WorkspaceId) -> Result<Counts>;
    /// Which of these jobs are over, or unknown. In one step, so that everybody who waits on a node
    /// asks at once.
    async fn ended(&self, jobs: &[(WorkspaceId, JobId)]) -> Result<Vec<JobId>>;
    /// Empties finished jobs of their arguments, result and log, and marks them as deleted. Returns
    /// how many; those that are not over, unknown or deleted already are skipped. What was stored
    /// is overwritten in the file soon after.
    async fn erase(&self, workspace: &WorkspaceId, ids: &[JobId]) -> Result<u64>;
    /// Erases as `erase` does up to `limit` jobs whose own time for it (see [`Erasure`]) has
    /// come at `now`, the longest overdue first, and returns how many.
    async fn erase_due(&self, now: Micros, limit: u32) -> Result<u64>;
    /// Forgets up to `limit` finished jobs of a workspace, or of one of its scripts, that were
    /// created and over before
    /// `completed_before`, the oldest first, with all that belongs to them, and returns how many.
    async fn purge_runs(
        &self,
        workspace: &WorkspaceId,
        path: Option<&ScriptPath>,
        completed_before: Micros,
        limit: u32,
    ) -> Result<u64>;
}
