//! A call that is answered with its result: run here and now, within the request.

use super::execute::admit;
use super::{Invocation, labelled};
use crate::host::Host;
use crate::serve::respond::{self, Reply};
use std::sync::Arc;
use std::time::Duration;
use wasmill_core::Problem;
use wasmill_core::answer::answer;
use wasmill_core::problem::Code;

/// Runs the call and answers with its result.
///
/// # Errors
/// 503 when no place is free.
pub(crate) async fn run(host: &Arc<Host>, invocation: Invocation) -> Result<Reply, Problem> {
    let admitted = admit(host, invocation).await?;
    let (id, version) = (admitted.id(), admitted.version().clone());
    let execution = admitted.execute(host).await?;
    let reply = if execution.late {
        let wait = host.settings.limits.sync_wait.as_secs();
        let detail = format!("The run did not end within {wait} s and was cancelled; start it with /jobs/run/ to let it take longer");
        respond::problem(&Problem::new(Code::GatewayTimeout, detail))
    } else {
        answer(&execution.run.outcome, &host.settings.answers).map_or_else(|problem| respond::problem(&problem), respond::answer)
    };
    let mut reply = labelled(reply, id, &version);
    respond::with(&mut reply, "x-wasmill-job-status", if execution.run.outcome.is_success() { "success" } else { "failure" });
    let timing = format!("queue;dur={:.3}, run;dur={:.3}", millis(execution.waited), millis(execution.run.usage.wall));
    respond::with(&mut reply, "server-timing", &timing);
    execution.record().await;
    Ok(reply)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
