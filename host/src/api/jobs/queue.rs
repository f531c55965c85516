//! Where jobs stand in the queue.

use super::job::{find, started};
use crate::api::asked::Asked;
use crate::http::respond::{self, Reply};
use crate::store_errors::unavailable;
use wasmill_core::limits::STARTED_AT_JOBS;
use wasmill_core::problem::Code;
use wasmill_core::wire::{self, QueuePosition};
use wasmill_core::{JobId, Problem, WorkspaceId};
use wasmill_store::JobState;

/// How many waiting jobs are to start before a moment, given in milliseconds since 1970.
pub(super) async fn position(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    at: i64,
) -> Result<Reply, Problem> {
    let host = asked.host;
    let position = host
        .store
        .queue_position(workspace, at.saturating_mul(1_000))
        .await
        .map_err(unavailable)?;
    Ok(respond::json(200, &QueuePosition { position }))
}

/// When a job that is not over is to start, or was, in milliseconds since 1970.
pub(super) async fn scheduled_for(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    id: JobId,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let job = find(host, caller, workspace, id).await?;
    match job.state {
        JobState::Finished(_) => {
            Err(Problem::not_found(format!("The job {id} is not in the queue any more")))
        }
        _ => Ok(respond::json(200, &(job.job.run_at / 1_000))),
    }
}

/// When jobs were started: for each id a time, or `null` for one that was not or is not there.
pub(super) async fn started_at(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    ids: &[JobId],
) -> Result<Reply, Problem> {
    let host = asked.host;
    if ids.len() > STARTED_AT_JOBS {
        return Err(Problem::new(
            Code::TooLarge,
            format!(
                "At most {STARTED_AT_JOBS} jobs can be asked about at once; the body lists {}",
                ids.len()
            ),
        ));
    }
    let mut times = Vec::with_capacity(ids.len());
    for id in ids {
        let job = host.store.job(workspace, *id).await.map_err(unavailable)?;
        times.push(job.as_ref().and_then(started).map(wire::timestamp));
    }
    Ok(respond::json(200, &times))
}

/// Whether the host is stopping: `true` or `false`, whichever job is asked about.
pub(super) async fn is_draining(
    asked: Asked<'_>,
    _: &WorkspaceId,
    _: JobId,
) -> Result<Reply, Problem> {
    Ok(respond::json(200, &asked.host.stop.draining.is_cancelled()))
}
