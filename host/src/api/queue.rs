//! Where jobs stand in the queue.

use super::jobs::{find, started};
use crate::auth::Caller;
use crate::host::Host;
use crate::http::respond::{self, Reply};
use crate::store_errors::unavailable;
use wasmill_core::problem::Code;
use wasmill_core::wire::{self, QueuePosition};
use wasmill_core::{JobId, Problem, WorkspaceId};
use wasmill_store::JobState;

/// Ids that one request may ask about.
const IDS: usize = 100;

/// How many waiting jobs are to start before a moment, given in milliseconds since 1970.
pub(crate) async fn position(
    host: &Host,
    workspace: &WorkspaceId,
    at: i64,
) -> Result<Reply, Problem> {
    let position = host
        .store
        .queue_position(workspace, at.saturating_mul(1_000))
        .await
        .map_err(unavailable)?;
    Ok(respond::json(200, &QueuePosition { position }))
}

/// When a job that is not over is to start, or was, in milliseconds since 1970.
pub(crate) async fn scheduled_for(
    host: &Host,
    caller: &Caller,
    workspace: &WorkspaceId,
    id: JobId,
) -> Result<Reply, Problem> {
    let job = find(host, caller, workspace, id).await?;
    match job.state {
        JobState::Finished(_) => {
            Err(Problem::not_found(format!("The job {id} is not in the queue any more")))
        }
        _ => Ok(respond::json(200, &(job.job.run_at / 1_000))),
    }
}

/// When jobs were started: for each id a time, or `null` for one that was not or is not there.
pub(crate) async fn started_at(
    host: &Host,
    workspace: &WorkspaceId,
    ids: &[JobId],
) -> Result<Reply, Problem> {
    if ids.len() > IDS {
        return Err(Problem::new(
            Code::TooLarge,
            format!("At most {IDS} jobs can be asked about at once; the body lists {}", ids.len()),
        ));
    }
    let mut times = Vec::with_capacity(ids.len());
    for id in ids {
        let job = host.store.job(workspace, *id).await.map_err(unavailable)?;
        times.push(job.as_ref().and_then(started).map(wire::timestamp));
    }
    Ok(respond::json(200, &times))
}
