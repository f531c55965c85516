//! How much may wait in a workspace's queue before calls are refused. Looked at before anything is
//! started or queued.

use crate::clock;
use crate::host::Host;
use crate::store_errors::unavailable;
use wasmill_core::problem::Code;
use wasmill_core::{Problem, WorkspaceId};

/// Seconds after which a refused caller may try again.
const RETRY_AFTER: u32 = 5;

/// Refuses a job when as many as the host allows are waiting.
///
/// # Errors
/// 429 with `Retry-After`.
pub(crate) async fn room(host: &Host, workspace: &WorkspaceId) -> Result<(), Problem> {
    let limit = host.settings.limits.queued_jobs;
    // Running ones are counted with them here, which costs nothing; only near the bound it is
    // looked at closely.
    if limit == 0 || host.store.queue_depth(workspace).await.map_err(unavailable)? < limit {
        return Ok(());
    }
    let waiting = host.store.counts(workspace).await.map_err(unavailable)?.queued;
    match waiting >= limit {
        true => Err(refused(format!(
            "{waiting} jobs wait in the workspace {workspace}; nothing was queued"
        ))),
        false => Ok(()),
    }
}

/// Refuses a synchronous run when more jobs are due and waiting than its caller says.
///
/// # Errors
/// 429 with `Retry-After`.
pub(crate) async fn short_enough(
    host: &Host,
    workspace: &WorkspaceId,
    limit: Option<u64>,
) -> Result<(), Problem> {
    let Some(limit) = limit else { return Ok(()) };
    if host.store.queue_depth(workspace).await.map_err(unavailable)? <= limit {
        return Ok(());
    }
    let due = host
        .store
        .queue_position(workspace, clock::now().saturating_add(1))
        .await
        .map_err(unavailable)?;
    match due > limit {
        true => Err(refused(format!(
            "{due} jobs of the workspace {workspace} are due and wait, more than queue_limit; nothing was started"
        ))),
        false => Ok(()),
    }
}

fn refused(detail: String) -> Problem {
    Problem::new(Code::TooMany, detail).retry_after(RETRY_AFTER)
}
