//! A call that is answered as it goes: log lines as they come, then the result, as server-sent events.

use super::execute::{Admitted, admit};
use super::{Invocation, labelled};
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

/// Starts the run and answers with its events. A caller that hangs up ends it.
///
/// # Errors
/// 503 when no place is free.
pub(crate) async fn open(host: &Arc<Host>, invocation: Invocation) -> Result<Reply, Problem> {
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
            // Dropping the run on the way out of here cancels and records it.
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
