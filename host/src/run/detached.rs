//! Runs that may go on without their caller: each in a task of its own, which its caller watches.
//!
//! When the caller hangs up or its longest wait is over, the run becomes a claimed job of this
//! host's worker while it is running. Until then nothing of it is stored.

use super::execution::{Execution, failed};
use super::finished::Finished;
use super::running::Noted;
use crate::admission::Permit;
use crate::resolve::Deployment;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::oneshot;
use wasmill_core::{Failure, FailureName, Problem, WithoutCaller};
use wasmill_sandbox::{Prepared, Run};

/// Tells the caller, who may be gone.
type Caller = oneshot::Sender<Result<Finished, Problem>>;

/// Runs it. Dropping this future tells the run that its caller hung up.
///
/// # Errors
/// 503 when nothing was started, because the store or the engine had no room for it just now.
pub(super) async fn run(
    execution: Execution,
    version: Arc<Deployment>,
    script: Arc<Prepared>,
    permit: Permit,
) -> Result<Finished, Problem> {
    let (caller, answer) = oneshot::channel();
    let runner = execution.runner().clone();
    runner.detached.spawn(attend(execution, version, script, permit, caller));
    answer.await.unwrap_or_else(|_| Err(Problem::internal()))
}

/// How a detached run and its caller came apart.
enum Parting {
    /// The run ended, or was not even started, while the caller waited.
    Together(Result<Run, Problem>),
    /// The caller was gone or late, and the run is to be cut off.
    CutOff { late: bool },
    /// The run went on as a job, and ended so.
    Alone(Result<Run, Problem>),
}

async fn attend(
    execution: Execution,
    version: Arc<Deployment>,
    script: Arc<Prepared>,
    permit: Permit,
    caller: Caller,
) {
    let mut caller = Some(caller);
    let runner = execution.runner().clone();
    let Some(id) = execution.job().map(|job| job.id) else { return };
    let noted = Noted::new(&runner.running, id, execution.log(), &runner.stop.ending);
    let parting = {
        let run = execution.run(&version, &script, permit, noted.cancel());
        part(&execution, &version, &mut caller, run).await
    };
    let told = match parting {
        Parting::Together(Ok(run)) => Ok(Finished::ended(execution, run)),
        Parting::Together(Err(problem)) => {
            execution.forget();
            Err(problem)
        }
        Parting::CutOff { late: true } => Ok(Finished::late(execution)),
        // Dropped with its job in it, it records that its caller hung up.
        Parting::CutOff { late: false } => return,
        Parting::Alone(Ok(run)) => return execution.end(run).await,
        // It is a job by now, so it needs an end.
        Parting::Alone(Err(problem)) => {
            let failure = Failure::new(FailureName::Internal, problem.detail);
            return execution.end(failed(failure)).await;
        }
    };
    let Some(caller) = caller else { return };
    // When the caller is gone, the run is recorded as it ended.
    if let Err(Ok(finished)) = caller.send(told) {
        finished.record().await;
    }
}

/// Waits for the run's end, and if the caller does not: for its end as a job, if it may become one.
async fn part(
    execution: &Execution,
    version: &Deployment,
    caller: &mut Option<Caller>,
    run: impl Future<Output = Result<Run, Problem>>,
) -> Parting {
    let mut run = pin!(run);
    let late = tokio::select! {
        biased;
        done = &mut run => return Parting::Together(done),
        () = gone(caller) => false,
        () = tokio::time::sleep(execution.runner().sync_wait) => true,
    };
    let settings = &version.settings;
    let wanted = if late { settings.on_sync_timeout } else { settings.on_hang_up };
    if wanted != WithoutCaller::Continue {
        return Parting::CutOff { late };
    }
    let mut done = None;
    let adopted = {
        let mut adopting = pin!(execution.adopt());
        loop {
            tokio::select! {
                biased;
                adopted = &mut adopting => break adopted,
                run = &mut run, if done.is_none() => done = Some(run),
            }
        }
    };
    if let Err(error) = adopted {
        tracing::error!(%error, "a run could not go on as a job and is cancelled");
        return Parting::CutOff { late };
    }
    if late && let Some(caller) = caller.take() {
        let _ = caller.send(Ok(Finished::goes_on(execution)));
    }
    match done {
        Some(done) => Parting::Alone(done),
        None => Parting::Alone(run.await),
    }
}

async fn gone(caller: &mut Option<Caller>) {
    match caller {
        Some(caller) => caller.closed().await,
        None => std::future::pending().await,
    }
}
