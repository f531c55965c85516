//! How much may wait in a workspace's queue before calls are refused.

use crate::clock;
use crate::store_errors::unavailable;
use std::sync::Arc;
use wasmill_core::limits::QUEUE_RETRY_AFTER;
use wasmill_core::problem::Code;
use wasmill_core::{Problem, WorkspaceId};
use wasmill_store::Store;

/// How much may wait.
pub(crate) struct QueueBounds {
    store: Arc<dyn Store>,
    /// Jobs of one workspace; 0 for any number.
    limit: u64,
}

impl QueueBounds {
    /// At most so many waiting jobs in each workspace; 0 for any number.
    pub(crate) fn new(store: Arc<dyn Store>, limit: u64) -> Self {
        Self { store, limit }
    }

    /// Refuses a call before anything of it is done. `queues` says whether it would wait in the
    /// queue, `limit` how many due jobs may wait there at most by the wish of its caller.
    ///
    /// # Errors
    /// 429 with `Retry-After`; 503 when the store cannot be asked.
    pub(crate) async fn room(
        &self,
        workspace: &WorkspaceId,
        queues: bool,
        limit: Option<u64>,
    ) -> Result<(), Problem> {
        if let Some(limit) = limit {
            Box::pin(self.short_enough(workspace, limit)).await?;
        }
        if queues && self.limit > 0 {
            Box::pin(self.room_for_a_job(workspace)).await?;
        }
        Ok(())
    }

    /// Refuses a job when as many as the host allows are waiting.
    async fn room_for_a_job(&self, workspace: &WorkspaceId) -> Result<(), Problem> {
        // Running ones are counted with them here, which costs nothing; only near the bound it is
        // looked at closely.
        if self.store.queue_depth(workspace).await.map_err(unavailable)? < self.limit {
            return Ok(());
        }
        let waiting = self.store.counts(workspace).await.map_err(unavailable)?.queued;
        match waiting >= self.limit {
            true => Err(refused(format!(
                "{waiting} jobs wait in the workspace {workspace}; nothing was queued"
            ))),
            false => Ok(()),
        }
    }

    /// Refuses a call when more jobs are due and waiting than its caller says.
    async fn short_enough(&self, workspace: &WorkspaceId, limit: u64) -> Result<(), Problem> {
        if self.store.queue_depth(workspace).await.map_err(unavailable)? <= limit {
            return Ok(());
        }
        let now = clock::now().saturating_add(1);
        let due = self.store.queue_position(workspace, now).await.map_err(unavailable)?;
        match due > limit {
            true => Err(refused(format!(
                "{due} jobs of the workspace {workspace} are due and wait, more than queue_limit; nothing was started"
            ))),
            false => Ok(()),
        }
    }
}

fn refused(detail: String) -> Problem {
    Problem::new(Code::TooMany, detail).retry_after(QUEUE_RETRY_AFTER)
}
