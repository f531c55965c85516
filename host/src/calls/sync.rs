//! A call that is answered with its result: run here and now, within the request.

use super::answers::{Millis, add_status, waited};
use crate::admission::Permit;
use crate::host::Host;
use crate::http::respond::{self, Reply};
use crate::run::{Execution, Invocation, Wait, attended};
use std::sync::Arc;
use wasmill_core::Problem;
use wasmill_core::answer::answer;
use wasmill_sandbox::Prepared;

/// Runs the call and answers with its result.
///
/// # Errors
/// 503 when nothing was started.
pub(crate) async fn run(
    host: &Arc<Host>,
    invocation: Invocation,
    script: Arc<Prepared>,
    permit: Permit,
) -> Result<Reply, Problem> {
    let (id, version) = (invocation.id, invocation.version.clone());
    let execution = Execution::of_call(&host.runner, invocation);
    let finished = attended(execution, version.clone(), script, permit).await?;
    let settings = &host.settings;
    let result = || answer(&finished.run.outcome, &settings.answers);
    let mut reply = waited(finished.wait, result, settings.limits.sync_wait, id, &version);
    if finished.wait != Wait::GoesOn {
        add_status(&mut reply, finished.run.outcome.is_success());
    }
    let (queue, run) = (Millis(finished.waited), Millis(finished.run.usage.wall));
    respond::with(&mut reply, "server-timing", &format!("queue;dur={queue}, run;dur={run}"));
    finished.record().await;
    Ok(reply)
}
