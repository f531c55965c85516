//! Cancelling queued and running jobs.

use super::jobs::find;
use crate::clock;
use crate::host::Host;
use crate::resolve::unavailable;
use crate::serve::auth::Caller;
use crate::serve::respond::{self, Reply};
use wasmill_core::problem::Code;
use wasmill_core::scope::{Action, Need};
use wasmill_core::{JobId, Problem, WorkspaceId, wire};
use wasmill_store::{CancelOutcome, Cancellation, Micros, Signal, StoreError};

/// Jobs that one request may cancel.
const SELECTION: usize = 10_000;

/// Cancels one job: a waiting one at once, a running one by stopping it. The answer is a text: its
/// id, or that it is over.
pub(crate) async fn one(
    host: &Host,
    caller: &Caller,
    workspace: &WorkspaceId,
    id: JobId,
    asked: wire::CancelRequest,
) -> Result<Reply, Problem> {
    // Known to the caller first: a job that may not be seen is answered like one that does not
    // exist.
    let job = find(host, caller, workspace, id).await?;
    caller.require(workspace, &Need::one("jobs", Action::Write, job.path.as_str()))?;
    match cancel(host, caller, workspace, &[id], asked.reason.as_deref()).await?.first() {
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
pub(crate) async fn selection(
    host: &Host,
    caller: &Caller,
    workspace: &WorkspaceId,
    ids: &[JobId],
) -> Result<Reply, Problem> {
    if ids.len() > SELECTION {
        return Err(Problem::new(
            Code::TooLarge,
            format!(
                "At most {SELECTION} jobs can be cancelled at once; the body lists {}",
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
    let (by, at) = (caller.user.to_string(), clock::now());
    let cancellation = Cancellation { by, reason: reason.map(str::to_owned), at };
    let outcomes = host.store.cancel(workspace, ids, &cancellation).await.map_err(unavailable)?;
    stopped(host, ids, &outcomes, &cancellation);
    Ok(outcomes)
}

/// Cancels a job for a caller who waits for it no longer.
///
/// # Errors
/// When the store cannot note it.
pub(crate) async fn for_caller(
    host: &Host,
    workspace: &WorkspaceId,
    id: JobId,
    reason: &str,
    at: Micros,
) -> Result<(), StoreError> {
    let cancellation = Cancellation { by: "caller".into(), reason: Some(reason.to_owned()), at };
    let outcomes = host.store.cancel(workspace, &[id], &cancellation).await?;
    stopped(host, &[id], &outcomes, &cancellation);
    Ok(())
}

/// Stops what runs here, and tells those who wait for cancelled jobs and those who run them
/// elsewhere.
fn stopped(host: &Host, ids: &[JobId], outcomes: &[CancelOutcome], cancellation: &Cancellation) {
    for (id, outcome) in ids.iter().zip(outcomes) {
        if *outcome == CancelOutcome::Running {
            host.running.cancel(*id, cancellation.clone());
        }
    }
    let over: Vec<JobId> = ids
        .iter()
        .zip(outcomes)
        .filter(|(_, outcome)| **outcome == CancelOutcome::Canceled)
        .map(|(id, _)| *id)
        .collect();
    if !over.is_empty() {
        // A place under a concurrency limit may have become free.
        host.job_queued();
        host.ended(&over);
    }
    if outcomes.contains(&CancelOutcome::Running) {
        host.tell(|| Signal::Canceled);
    }
}
