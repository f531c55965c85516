//! A run that its caller waits for.

use super::detached;
use super::execution::Execution;
use super::finished::Finished;
use crate::admission::Permit;
use crate::patience::within;
use crate::resolve::Deployment;
use std::sync::Arc;
use wasmill_core::Problem;
use wasmill_sandbox::Prepared;

/// Runs it, and returns when its caller need not wait any longer.
///
/// Dropping this future tells the run that its caller hung up: it is cancelled and recorded so, or
/// goes on as a job where its script wants that.
///
/// # Errors
/// 503 when nothing was started, because the store or the engine had no room for it just now.
pub(crate) async fn attended(
    execution: Execution,
    version: Arc<Deployment>,
    script: Arc<Prepared>,
    permit: Permit,
) -> Result<Finished, Problem> {
    if version.settings.goes_on() {
        return Box::pin(detached::run(execution, version, script, permit)).await;
    }
    let runner = execution.runner();
    let (wait, ending) = (runner.sync_wait, runner.stop.ending.clone());
    let run = within(wait, execution.run(&version, &script, permit, ending)).await;
    match run {
        Ok(Ok(run)) => Ok(Finished::ended(execution, run)),
        Ok(Err(problem)) => {
            execution.forget();
            Err(problem)
        }
        Err(_) => Ok(Finished::late(execution)),
    }
}
