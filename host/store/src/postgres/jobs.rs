//! The queue and the run records in PostgreSQL: not there yet.

use super::PostgresStore;
use crate::*;
use async_trait::async_trait;
use wasmill_core::{JobId, WorkspaceId};

fn missing<T>() -> Result<T> {
    Err(StoreError::Unavailable("PostgreSQL keeps no jobs yet".into()))
}

#[async_trait]
impl Jobs for PostgresStore {
    async fn enqueue(&self, _: Vec<NewJob>) -> Result<()> {
        missing()
    }
    async fn enqueue_once(&self, _: &IdempotencyKey, _: NewJob) -> Result<Enqueued> {
        missing()
    }
    async fn purge_idempotency(&self, _: Micros, _: u32) -> Result<u64> {
        missing()
    }
    async fn claim(&self, _: WorkerId, _: Micros, _: u32, _: &[String]) -> Result<Vec<ClaimedJob>> {
        missing()
    }
    async fn adopt(&self, _: NewJob, _: WorkerId, _: Micros) -> Result<Claim> {
        missing()
    }
    async fn cancel(&self, _: &WorkspaceId, _: &[JobId], _: &str, _: Option<&str>, _: Micros) -> Result<Vec<CancelOutcome>> {
        missing()
    }
    async fn canceled(&self, _: WorkerId) -> Result<Vec<Claim>> {
        missing()
    }
    async fn extend_lease(&self, _: WorkerId, _: Micros) -> Result<()> {
        missing()
    }
    async fn rescue(&self, _: Micros, _: bool) -> Result<u64> {
        missing()
    }
    async fn release(&self, _: WorkerId, _: &[Claim]) -> Result<u64> {
        missing()
    }
    async fn complete(&self, _: Vec<Completion>) -> Result<Vec<bool>> {
        missing()
    }
    fn record(&self, _: RunRecord) -> bool {
        false
    }
    async fn record_durably(&self, _: RunRecord) -> Result<()> {
        missing()
    }
    fn dropped_records(&self) -> u64 {
        0
    }
    async fn erase(&self, _: &WorkspaceId, _: &[JobId]) -> Result<u64> {
        missing()
    }
    async fn erase_due(&self, _: Micros, _: u32) -> Result<u64> {
        missing()
    }
    async fn flush(&self) -> Result<()> {
        missing()
    }
    async fn job(&self, _: &WorkspaceId, _: JobId) -> Result<Option<Job>> {
        missing()
    }
    async fn list_jobs(&self, _: &WorkspaceId, _: &JobFilter) -> Result<Vec<Job>> {
        missing()
    }
    async fn queue_depth(&self, _: &WorkspaceId) -> Result<u64> {
        missing()
    }
    async fn counts(&self, _: &WorkspaceId) -> Result<Counts> {
        missing()
    }
    async fn queue_position(&self, _: &WorkspaceId, _: Micros) -> Result<u64> {
        missing()
    }
    async fn next_due(&self, _: &[String]) -> Result<Option<Micros>> {
        missing()
    }
}
