//! Cancelling queued and running jobs.

use super::job::find;
use crate::api::asked::Asked;
use crate::auth::Caller;
use crate::clock;
use crate::host::Host;
use crate::http::respond::{self, Reply};
use crate::jobs;
use crate::store_errors::unavailable;
use wasmill_core::limits::CANCELLED_JOBS;
use wasmill_core::problem::Code;
use wasmill_core::scope::{Action, Need};
use wasmill_core::{JobId, Problem, WorkspaceId, wire};
use wasmill_store::{CancelOutcome, Cancellation};

/// Cancels one job: a waiting one at once, a running one by stopping it. The answer is a text: its
/// id, or that it is over.
pub(super) async fn one(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    id: JobId,
    body: wire::CancelRequest,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    // Known to the caller first: a job that may not be seen is answered like one that does not
    // exist.
    let job = find(host, caller, workspace, id).await?;
    caller.require(workspace, &Need::one("jobs", Action::Write, job.path.as_str()))?;
    match cancel(host, caller, workspace, &[id], body.reason.as_deref()).await?.first() {
        Some(CancelOutcome::Canceled | CancelOutcome::Running) => {
            Ok(respond::text(200, id.to_string()))
        }
        Some(CancelOutcome::AlreadyCompleted) => {
            Ok(respond::text(200, format!("queued job id {id} is already completed")))
        }
        _ => Err(Problem::not_found(format!("There is no job {id} in the workspace {workspace}"))),
    }
}

/// Cancels a list of jobs, and answers with the ids of those that it found waiting or running.
pub(super) async fn selection(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    ids: &[JobId],
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    if ids.len() > CANCELLED_JOBS {
        return Err(Problem::new(
            Code::TooLarge,
            format!(
                "At most {CANCELLED_JOBS} jobs can be cancelled at once; the body lists {}",
                ids.len()
            ),
        ));
    }
    let outcomes = cancel(host, caller, workspace, ids, Some("cancel all")).await?;
    let stopped = |outcome: &CancelOutcome| {
        matches!(outcome, CancelOutcome::Canceled | CancelOutcome::Running)
    };
    let canceled: Vec<&JobId> = ids
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| stopped(outcome))
        .map(|(id, _)| id)
        .collect();
    Ok(respond::json(200, &canceled))
}

async fn cancel(
    host: &Host,
    caller: &Caller,
    workspace: &WorkspaceId,
    ids: &[JobId],
    reason: Option<&str>,
) -> Result<Vec<CancelOutcome>, Problem> {
    let reason = reason.map(str::to_owned);
    let cancellation = Cancellation { by: caller.user.to_string(), reason, at: clock::now() };
    let canceled = jobs::cancel::cancel(&host.runner, workspace, ids, &cancellation).await;
    canceled.map_err(unavailable)
}
