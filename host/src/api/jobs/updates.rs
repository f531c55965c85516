//! What is new of a job: asked for once, or followed as server-sent events.

use super::job::{find, growing_log, read, shown};
use crate::api::asked::Asked;
use crate::api::parse::typed_parameter;
use crate::auth::Caller;
use crate::host::Host;
use crate::http::events::{Event, piece};
use crate::http::respond::{self, Reply};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;
use wasmill_core::limits::STREAM_PING;
use wasmill_core::limits::{UPDATE_POLL, UPDATE_STREAM};
use wasmill_core::{JobId, Problem, WorkspaceId};
use wasmill_store::{Job, JobState};

/// What a reader wants to know.
#[derive(Clone, Copy)]
struct Wanted {
    log_offset: usize,
    only_result: bool,
    no_logs: bool,
}

impl Wanted {
    fn parse(query: &str) -> Result<Self, Problem> {
        let switch = |name| {
            typed_parameter::<bool>(query, name, "true or false").map(Option::unwrap_or_default)
        };
        Ok(Self {
            log_offset: typed_parameter(query, "log_offset", "a number of bytes")?.unwrap_or(0),
            only_result: switch("only_result")?,
            no_logs: switch("no_logs")?,
        })
    }
}

/// Log text after an offset. An offset within a character, which was never given out here, begins
/// at the next one.
fn since(log: &str, offset: usize) -> &str {
    let at = (offset..=log.len()).find(|at| log.is_char_boundary(*at));
    at.and_then(|at| log.get(at..)).unwrap_or_default()
}

fn update(host: &Host, job: &Job, wanted: Wanted) -> Event {
    let growing;
    let stored;
    let log = match &job.state {
        JobState::Finished(end) => {
            stored = String::from_utf8_lossy(&end.log);
            &*stored
        }
        _ => {
            growing = growing_log(host, job.job.id).unwrap_or_default();
            &*growing
        }
    };
    let mut event = Event {
        running: Some(matches!(job.state, JobState::Running(_))),
        completed: Some(false),
        ..Event::default()
    };
    if !wanted.no_logs {
        let text = since(log, wanted.log_offset);
        event.new_logs = Some(text.to_owned()).filter(|text| !text.is_empty());
        event.log_offset = Some(log.len().max(wanted.log_offset));
    }
    if let JobState::Finished(end) = &job.state {
        event.completed = Some(true);
        event.mem_peak = Some(end.memory_peak_bytes / 1024);
        event.only_result = wanted.only_result.then(|| end.result.clone());
    }
    event
}

/// What is new of a job since `log_offset`. Query: `log_offset`, `only_result`, `no_logs`.
pub(super) async fn once(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    id: JobId,
) -> Result<Reply, Problem> {
    let Asked { host, caller, query, .. } = asked;
    let wanted = Wanted::parse(query)?;
    let job = find(host, caller, workspace, id).await?;
    if wanted.only_result {
        read(host, workspace, &job).await?;
    }
    Ok(respond::json(200, &update(host, &job, wanted)))
}

/// What is new of a job as it happens, until the job is over or `UPDATE_STREAM` has passed.
pub(super) async fn stream(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    id: JobId,
) -> Result<Reply, Problem> {
    let Asked { host, caller, query, .. } = asked;
    let wanted = Wanted::parse(query)?;
    find(host, caller, workspace, id).await?;
    let (sender, events) = mpsc::channel(16);
    let follower = Follower {
        host: host.clone(),
        caller: caller.clone(),
        workspace: workspace.clone(),
        id,
        sender,
    };
    tokio::spawn(async move {
        tokio::select! {
            () = follower.sender.closed() => {}
            () = follower.follow(wanted) => {}
        }
    });
    Ok(respond::events(events))
}

struct Follower {
    host: Arc<Host>,
    caller: Arc<Caller>,
    workspace: WorkspaceId,
    id: JobId,
    sender: mpsc::Sender<Bytes>,
}

impl Follower {
    async fn follow(&self, mut wanted: Wanted) {
        let (begun, mut told, mut running) = (Instant::now(), Instant::now(), None);
        // Before the first look: an end after that is not missed.
        let mut waiter = self.host.notifier.waiters.wait(&self.workspace, self.id);
        loop {
            let job = match find(&self.host, &self.caller, &self.workspace, self.id).await {
                Ok(job) => job,
                Err(problem) => {
                    return self
                        .tell(Event { error: Some(problem.detail), ..Event::of("error") })
                        .await;
                }
            };
            let mut event = update(&self.host, &job, wanted);
            event.r#type = Some("update");
            wanted.log_offset = event.log_offset.unwrap_or(wanted.log_offset);
            if event.completed == Some(true) {
                if let Err(problem) = read(&self.host, &self.workspace, &job).await {
                    return self
                        .tell(Event { error: Some(problem.detail), ..Event::of("error") })
                        .await;
                }
                event.job = serde_json::value::to_raw_value(&shown(
                    &self.workspace,
                    &job,
                    &self.caller,
                    true,
                    Some(String::new()),
                ))
                .ok();
                return self.tell(event).await;
            }
            if event.new_logs.is_some() || event.running != running {
                running = event.running;
                told = Instant::now();
                self.tell(event).await;
            } else if told.elapsed() >= STREAM_PING {
                told = Instant::now();
                self.tell(Event::of("ping")).await;
            }
            if begun.elapsed() >= UPDATE_STREAM {
                return self.tell(Event::of("timeout")).await;
            }
            let grown = async {
                match self.host.runner.running.log(self.id) {
                    Some(log) if !log.is_finished() => log.grown(wanted.log_offset).await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                () = grown => {}
                () = waiter.ended() => {}
                () = tokio::time::sleep(UPDATE_POLL) => {}
            }
        }
    }

    async fn tell(&self, event: Event) {
        // Nobody left to tell: the task is ended by its other branch.
        let _ = self.sender.send(piece(&event)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets() {
        for (log, offset, expected) in [
            ("abc", 0, "abc"),
            ("abc", 2, "c"),
            ("abc", 3, ""),
            ("abc", 9, ""),
            ("aéb", 2, "b"),
            ("", 0, ""),
        ] {
            assert_eq!(since(log, offset), expected, "{log} {offset}");
        }
    }
}
