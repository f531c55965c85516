//! Cancelling jobs: a waiting one at once, a running one by stopping it, on whichever node it runs.

use crate::run::Runner;
use wasmill_core::{JobId, WorkspaceId};
use wasmill_store::{CancelOutcome, Cancellation, Micros, Signal, StoreError};

/// Cancels jobs of a workspace: what became of each, in the order in which they are given.
///
/// # Errors
/// When the store cannot note it.
pub(crate) async fn cancel(
    runner: &Runner,
    workspace: &WorkspaceId,
    ids: &[JobId],
    cancellation: &Cancellation,
) -> Result<Vec<CancelOutcome>, StoreError> {
    let outcomes = runner.store().cancel(workspace, ids, cancellation).await?;
    let those = |wanted: CancelOutcome| {
        let found = ids.iter().zip(&outcomes).filter(move |(_, outcome)| **outcome == wanted);
        found.map(|(id, _)| *id).collect::<Vec<JobId>>()
    };
    let (running, over) = (those(CancelOutcome::Running), those(CancelOutcome::Canceled));
    for id in &running {
        runner.running.cancel(*id, cancellation.clone());
    }
    if !over.is_empty() {
        // A place under a concurrency limit may have become free.
        runner.notifier().job_queued();
        runner.notifier().ended(&over);
    }
    if !running.is_empty() {
        runner.notifier().tell(|| Signal::Canceled);
    }
    Ok(outcomes)
}

/// Cancels a job for a caller who waits for it no longer.
///
/// # Errors
/// When the store cannot note it.
pub(crate) async fn for_caller(
    runner: &Runner,
    workspace: &WorkspaceId,
    id: JobId,
    reason: &str,
    at: Micros,
) -> Result<(), StoreError> {
    let cancellation = Cancellation { by: "caller".into(), reason: Some(reason.to_owned()), at };
    cancel(runner, workspace, &[id], &cancellation).await.map(drop)
}

/// Stops the jobs of this process that somebody cancelled on another node.
pub(crate) async fn stop_canceled(runner: &Runner) {
    let canceled = match runner.store().canceled(runner.worker()).await {
        Ok(canceled) => canceled,
        Err(error) => {
            tracing::warn!(%error, "whether jobs were cancelled cannot be seen");
            return;
        }
    };
    for claim in canceled {
        let Some(workspace) = runner.running.going_on(claim.id) else { continue };
        match runner.store().job(&workspace, claim.id).await {
            Ok(Some(job)) => {
                if let Some(cancellation) = job.canceled {
                    runner.running.cancel(claim.id, cancellation);
                }
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, job = %claim.id, "a cancelled job cannot be read");
            }
        }
    }
}
