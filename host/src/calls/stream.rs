//! A call that is answered as it goes: log lines as they come, then the result, as server-sent
//! events.

use super::answers::labelled;
use super::in_turn::Turn;
use crate::admission::Permit;
use crate::host::Host;
use crate::http::events::{Event, piece};
use crate::http::respond::{self, Reply};
use crate::run::{Execution, Finished, Invocation, Wait, attended};
use bytes::Bytes;
use serde_json::value::RawValue;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::mpsc;
use wasmill_core::limits::STREAM_PING;
use wasmill_core::{Outcome, Problem};
use wasmill_sandbox::{LogBuffer, Prepared};
use wasmill_store::RunEnd;

/// Events on their way to a caller that reads slowly; a run whose caller does not read waits for
/// nobody and is told of later.
const EVENTS: usize = 16;

/// Starts the run and answers with its events. A caller that hangs up ends it, unless the script
/// says otherwise.
pub(crate) fn run(
    host: &Arc<Host>,
    invocation: Invocation,
    script: Arc<Prepared>,
    permit: Permit,
) -> Reply {
    let (id, version) = (invocation.id, invocation.version.clone());
    let execution = Execution::of_call(&host.runner, invocation);
    let log = execution.log().clone();
    let attended = attended(execution, version.clone(), script, permit);
    let over = async move { over_attended(attended.await) };
    let (sender, events) = mpsc::channel(EVENTS);
    tokio::spawn(follow(sender, move || Some(log.clone()), over));
    labelled(respond::events(events), id, &version)
}

/// Queues the run of a script with a concurrency limit, and answers with its events: the log as it
/// comes where the job runs in this process, and the end wherever it runs.
///
/// # Errors
/// 503 when the store cannot take it.
pub(crate) async fn run_in_turn(
    host: &Arc<Host>,
    invocation: Invocation,
) -> Result<Reply, Problem> {
    let mut turn = Turn::take(host, invocation).await?;
    let (id, version) = (turn.id, turn.version.clone());
    let runner = host.runner.clone();
    // Dropping the turn on the way out of `follow` cancels the job, or lets it go on.
    let over = async move { over_in_turn(turn.end().await) };
    let (sender, events) = mpsc::channel(EVENTS);
    tokio::spawn(follow(sender, move || runner.running.log(id), over));
    Ok(labelled(respond::events(events), id, &version))
}

/// How a call ended that is followed.
enum Over {
    /// With a run, which is not recorded yet: whoever waits for this may stop waiting, and the
    /// record must not be lost with that.
    Finished(Box<Finished>),
    /// With a result that was read back, and the whole log.
    Stored { result: Box<RawValue>, log: Bytes },
    /// The wait was over before; the reader comes again, to the job.
    Waited,
    /// With nothing to show.
    Refused(Problem),
}

fn over_attended(finished: Result<Finished, Problem>) -> Over {
    match finished {
        Err(problem) => Over::Refused(problem),
        Ok(finished) if finished.wait == Wait::GoesOn => Over::Waited,
        Ok(finished) => Over::Finished(Box::new(finished)),
    }
}

fn over_in_turn(end: Result<Option<RunEnd>, Problem>) -> Over {
    match end {
        Err(problem) => Over::Refused(problem),
        Ok(None) => Over::Waited,
        Ok(Some(end)) => Over::Stored { result: end.result, log: end.log },
    }
}

/// Sends what is new of the log, a ping where nothing is, and at last how the call ended. A caller
/// that hangs up ends this, which drops `over`.
async fn follow(
    sender: mpsc::Sender<Bytes>,
    log: impl Fn() -> Option<Arc<LogBuffer>> + Send,
    over: impl Future<Output = Over> + Send,
) {
    let mut over = pin!(over);
    let mut offset = 0;
    let ended = loop {
        let growing = log();
        let grown = async {
            match &growing {
                Some(log) if !log.is_finished() => log.grown(offset).await,
                _ => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            biased;
            ended = &mut over => break ended,
            () = sender.closed() => return,
            () = grown => match growing.as_ref().map(|log| log.read_from(offset)) {
                Some((text, next)) if next > offset => {
                    offset = next;
                    logged(text, next)
                }
                _ => Event::of("ping"),
            },
            () = tokio::time::sleep(STREAM_PING) => Event::of("ping"),
        };
        if sender.send(piece(&event)).await.is_err() {
            return;
        }
    };
    let event = match ended {
        Over::Refused(problem) => Event { error: Some(problem.detail), ..Event::of("error") },
        Over::Waited => Event::of("timeout"),
        Over::Stored { result, log } => {
            let (text, next) = rest(&log, offset);
            completed(result, text, next)
        }
        Over::Finished(finished) => {
            let result = match &finished.run.outcome {
                Outcome::Success(result) => result.clone(),
                Outcome::Failure(failure) => failure.to_result(),
            };
            let (text, next) = log().map_or((String::new(), offset), |log| log.read_from(offset));
            // Recorded before it is told, and whether or not anybody is there to be told.
            finished.record().await;
            completed(result, text, next)
        }
    };
    // Its caller may be gone by now; the run is recorded all the same.
    let _ = sender.send(piece(&event)).await;
}

fn logged(text: String, next: usize) -> Event {
    Event {
        running: Some(true),
        completed: Some(false),
        new_logs: Some(text),
        log_offset: Some(next),
        ..Event::update()
    }
}

fn completed(result: Box<RawValue>, text: String, next: usize) -> Event {
    Event {
        running: Some(false),
        completed: Some(true),
        new_logs: Some(text).filter(|text| !text.is_empty()),
        log_offset: Some(next),
        only_result: Some(result),
        ..Event::update()
    }
}

/// What a stored log has from an offset on, and its length.
fn rest(log: &[u8], offset: usize) -> (String, usize) {
    let log = String::from_utf8_lossy(log);
    let text = log.get(offset.min(log.len())..).unwrap_or_default();
    (text.to_owned(), log.len())
}
