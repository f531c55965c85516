//! A call that is answered with its result: run here and now, within the request.

use super::execute::{Wait, admit};
use super::{Invocation, labelled, limited};
use crate::admission::queue_bounds;
use crate::host::Host;
use crate::http::respond::{self, Reply};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use wasmill_core::Problem;
use wasmill_core::answer::answer;
use wasmill_core::problem::Code;

/// Runs the call and answers with its result.
///
/// # Errors
/// 429 when more jobs wait than the caller says, 503 when no place is free.
pub(crate) async fn run(host: &Arc<Host>, invocation: Box<Invocation>) -> Result<Reply, Problem> {
    if limited::applies(&invocation.version) {
        return Box::pin(limited::run(host, invocation)).await;
    }
    queue_bounds::short_enough(host, &invocation.workspace, invocation.options.queue_limit).await?;
    let admitted = admit(host, invocation).await?;
    let (id, version) = (admitted.id(), admitted.version().clone());
    let execution = admitted.execute(host).await?;
    let wait = host.settings.limits.sync_wait.as_secs();
    let late = |detail: String| respond::problem(&Problem::new(Code::GatewayTimeout, detail));
    let reply = match execution.wait {
        Wait::Ended => answer(&execution.run.outcome, &host.settings.answers)
            .map_or_else(|problem| respond::problem(&problem), respond::answer),
        Wait::Late => late(format!(
            "The run did not end within {wait} s and was cancelled; start it with /jobs/run/ to let it take longer"
        )),
        Wait::GoesOn => late(format!(
            "The run did not end within {wait} s; it goes on as the job {id}, and its result can be read there"
        )),
    };
    let mut reply = labelled(reply, id, &version);
    if execution.wait != Wait::GoesOn {
        respond::with(
            &mut reply,
            "x-wasmill-job-status",
            if execution.run.outcome.is_success() { "success" } else { "failure" },
        );
    }
    let timing = format!(
        "queue;dur={}, run;dur={}",
        Millis(execution.waited),
        Millis(execution.run.usage.wall)
    );
    respond::with(&mut reply, "server-timing", &timing);
    execution.record().await;
    Ok(reply)
}

/// Milliseconds with three decimals, rounded down. Written as whole numbers, which is cheaper than
/// writing a float.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        write!(f, "{}.{:03}", micros / 1_000, micros % 1_000)
    }
}
