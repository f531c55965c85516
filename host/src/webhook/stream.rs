//! A call that is answered as it goes: log lines as they come, then the result, as server-sent events.

use super::execute::{Admitted, Wait, admit};
use super::{Invocation, backlog, labelled};
use crate::host::Host;
use crate::serve::events::{Event, PING, piece};
use crate::serve::respond::{self, Reply};
use bytes::Bytes;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::mpsc;
use wasmill_core::{Outcome, Problem};

/// Events on their way to a caller that reads slowly; a run whose caller does not read waits for nobody and is told of later.
const EVENTS: usize = 16;

/// Starts the run and answers with its events. A caller that hangs up ends it, unless the script says otherwise.
///
/// # Errors
/// 429 when more jobs wait than the caller says, 503 when no place is free.
pub(crate) async fn open(host: &Arc<Host>, invocation: Invocation) -> Result<Reply, Problem> {
    backlog::short_enough(host, &invocation.workspace, invocation.options.queue_limit).await?;
    let admitted = admit(host, invocation).await?;
    let (id, version) = (admitted.id(), admitted.version().clone());
    let (sender, events) = mpsc::channel(EVENTS);
    tokio::spawn(follow(host.clone(), admitted, sender));
    Ok(labelled(respond::events(events), id, &version))
}

async fn follow(host: Arc<Host>, admitted: Admitted, sender: mpsc::Sender<Bytes>) {
    let log = admitted.log().clone();
    let mut run = pin!(admitted.execute(&host));
    let mut offset = 0;
    let execution = loop {
        tokio::select! {
            biased;
            done = &mut run => break done,
            // Dropping the run on the way out of here cancels and records it, or lets it go on as a job.
            () = sender.closed() => return,
            () = log.grown(offset) => {
                let (text, next) = log.read_from(offset);
                offset = next;
                let event = Event { running: Some(true), completed: Some(false), new_logs: Some(text), log_offset: Some(next), ..Event::update() };
                if sender.send(piece(&event)).await.is_err() {
                    return;
                }
            }
            () = tokio::time::sleep(PING) => {
                if sender.send(piece(&Event::of("ping"))).await.is_err() {
                    return;
                }
            }
        }
    };
    let event = match execution {
        Err(problem) => Event { error: Some(problem.detail), ..Event::of("error") },
        // The reader comes again, to the job.
        Ok(execution) if execution.wait == Wait::GoesOn => Event::of("timeout"),
        Ok(execution) => {
            let (text, next) = log.read_from(offset);
            let result = match &execution.run.outcome {
                Outcome::Success(result) => result.clone(),
                Outcome::Failure(failure) => failure.to_result(),
            };
            execution.record().await;
            Event {
                running: Some(false),
                completed: Some(true),
                new_logs: Some(text).filter(|text| !text.is_empty()),
                log_offset: Some(next),
                only_result: Some(result),
                ..Event::update()
            }
        }
    };
    // Its caller may be gone by now; the run is recorded all the same.
    let _ = sender.send(piece(&event)).await;
}
