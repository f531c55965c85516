//! A call that is answered as it goes: log lines as they come, then the result, as server-sent
//! events.

use super::execute::{Admitted, Wait, admit};
use super::limited::{self, Waiting};
use super::{Invocation, labelled};
use crate::admission::queue_bounds;
use crate::host::Host;
use crate::http::events::{Event, PING, piece};
use crate::http::respond::{self, Reply};
use bytes::Bytes;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::mpsc;
use wasmill_core::{Outcome, Problem};

/// Events on their way to a caller that reads slowly; a run whose caller does not read waits for
/// nobody and is told of later.
const EVENTS: usize = 16;

/// Starts the run and answers with its events. A caller that hangs up ends it, unless the script
/// says otherwise.
///
/// # Errors
/// 429 when more jobs wait than the caller says, 503 when no place is free.
pub(crate) async fn open(host: &Arc<Host>, invocation: Box<Invocation>) -> Result<Reply, Problem> {
    if limited::applies(&invocation.version) {
        let waiting = limited::enqueue(host, invocation).await?;
        let (id, version) = (waiting.id, waiting.version.clone());
        let (sender, events) = mpsc::channel(EVENTS);
        tokio::spawn(follow_limited(host.clone(), waiting, sender));
        return Ok(labelled(respond::events(events), id, &version));
    }
    queue_bounds::short_enough(host, &invocation.workspace, invocation.options.queue_limit).await?;
    let admitted = admit(host, invocation).await?;
    let (id, version) = (admitted.id(), admitted.version().clone());
    let (sender, events) = mpsc::channel(EVENTS);
    tokio::spawn(follow(host.clone(), admitted, sender));
    Ok(labelled(respond::events(events), id, &version))
}

/// The log as it comes where the job runs in this process, and the end wherever it runs.
async fn follow_limited(host: Arc<Host>, mut waiting: Waiting, sender: mpsc::Sender<Bytes>) {
    let id = waiting.id;
    let mut offset = 0;
    let end = {
        let mut over = pin!(waiting.end());
        loop {
            let growing = host.running.log(id);
            let grown = async {
                match &growing {
                    Some(log) if !log.is_finished() => log.grown(offset).await,
                    _ => tokio::time::sleep(PING).await,
                }
            };
            let event = tokio::select! {
                biased;
                end = &mut over => break end,
                // Dropping the wait on the way out of here cancels the job, or lets it go on.
                () = sender.closed() => return,
                () = grown => match growing.as_ref().map(|log| log.read_from(offset)) {
                    Some((text, next)) if next > offset => {
                        offset = next;
                        Event { running: Some(true), completed: Some(false), new_logs: Some(text), log_offset: Some(next), ..Event::update() }
                    }
                    _ => Event::of("ping"),
                }
            };
            if sender.send(piece(&event)).await.is_err() {
                return;
            }
        }
    };
    let event = match end {
        Err(problem) => Event { error: Some(problem.detail), ..Event::of("error") },
        Ok(None) => Event::of("timeout"),
        Ok(Some(end)) => {
            let log = String::from_utf8_lossy(&end.log);
            let text = log.get(offset.min(log.len())..).unwrap_or_default().to_owned();
            Event {
                running: Some(false),
                completed: Some(true),
                new_logs: Some(text).filter(|text| !text.is_empty()),
                log_offset: Some(log.len()),
                only_result: Some(end.result),
                ..Event::update()
            }
        }
    };
    let _ = sender.send(piece(&event)).await;
}

async fn follow(host: Arc<Host>, admitted: Admitted, sender: mpsc::Sender<Bytes>) {
    let log = admitted.log().clone();
    let mut run = pin!(admitted.execute(&host));
    let mut offset = 0;
    let execution = loop {
        tokio::select! {
            biased;
            done = &mut run => break done,
            // Dropping the run on the way out of here cancels and records it, or lets it go on as a
            // job.
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
