//! A job's attempts: each start of it, and what came of it.

use super::job::{find, growing_log, read};
use crate::api::asked::Asked;
use crate::http::respond::{self, Reply};
use crate::store_errors::unavailable;
use wasmill_core::{JobId, Problem, WorkspaceId, wire};
use wasmill_store::{Job, JobAttempt, JobState, RunEnd, RunStatus};

/// All attempts of a job, oldest first, the running attempt included.
pub(super) async fn list(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    id: JobId,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    // The growing log first, the attempts before the last one after the job: what ends meanwhile is
    // then found in both, and told apart by its number.
    let growing = growing_log(host, id);
    let job = find(host, caller, workspace, id).await?;
    let before = host.store.attempts(workspace, id).await.map_err(unavailable)?;
    read(host, workspace, &job).await?;
    Ok(respond::json(200, &shown(&job, &before, growing)))
}

fn shown<'a>(
    job: &'a Job,
    before: &'a [JobAttempt],
    growing: Option<String>,
) -> Vec<wire::Attempt<'a>> {
    let mut attempts: Vec<wire::Attempt<'a>> = before
        .iter()
        .map(|attempt| {
            ended(attempt.attempt, status(attempt.end.status, attempt.lost), &attempt.end)
        })
        .collect();
    let is_new = before.last().is_none_or(|last| last.attempt < job.attempt) && job.attempt > 0;
    match &job.state {
        // One that was cancelled while it waited to be tried again has no further attempt.
        JobState::Finished(end) if is_new => {
            attempts.push(ended(job.attempt, status(end.status, false), end))
        }
        JobState::Running(at) if is_new => attempts.push(wire::Attempt {
            attempt: job.attempt,
            started_at: wire::timestamp(*at),
            duration_ms: None,
            status: "running",
            result: None,
            logs: growing,
        }),
        _ => {}
    }
    attempts
}

fn status(status: RunStatus, lost: bool) -> &'static str {
    match status {
        _ if lost => "lost",
        RunStatus::Success => "success",
        RunStatus::Failure => "failure",
        RunStatus::Canceled => "canceled",
    }
}

fn ended<'a>(attempt: u32, status: &'static str, end: &'a RunEnd) -> wire::Attempt<'a> {
    wire::Attempt {
        attempt,
        started_at: wire::timestamp(end.started),
        duration_ms: Some(end.duration.as_millis() as u64),
        status,
        result: Some(&end.result),
        logs: Some(String::from_utf8_lossy(&end.log).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::to_raw_value;
    use std::time::Duration;
    use wasmill_core::{Digest, Kind};
    use wasmill_store::{NewJob, Trigger};

    fn end(status: RunStatus) -> RunEnd {
        RunEnd {
            status,
            started: 0,
            duration: Duration::from_millis(7),
            memory_peak_bytes: 0,
            result: to_raw_value(&1).unwrap(),
            log: "line\n".into(),
            deleted: false,
        }
    }

    #[test]
    fn which_are_shown() {
        let id: JobId = "01937f4e-0000-7000-8000-000000000000".parse().unwrap();
        let job = NewJob::new(
            id,
            "main".parse().unwrap(),
            Digest::of(b"x"),
            "ann",
            Trigger::Webhook,
            0,
            "{}",
        );
        let job = |attempt, state| Job {
            job: job.clone(),
            path: "u/a/x".parse().unwrap(),
            kind: Kind::Typed,
            attempt,
            canceled: None,
            state,
        };
        let before = |numbers: &[u32]| -> Vec<JobAttempt> {
            numbers
                .iter()
                .map(|n| JobAttempt { attempt: *n, end: end(RunStatus::Failure), lost: n % 2 == 0 })
                .collect()
        };
        let finished = |status| JobState::Finished(end(status));
        for (attempt, state, earlier, expected) in [
            (0, JobState::Waiting, before(&[]), vec![]),
            (0, finished(RunStatus::Canceled), before(&[]), vec![]),
            (1, JobState::Running(5), before(&[]), vec![(1, "running")]),
            (1, finished(RunStatus::Success), before(&[]), vec![(1, "success")]),
            (1, JobState::Waiting, before(&[1]), vec![(1, "failure")]),
            (1, finished(RunStatus::Canceled), before(&[1]), vec![(1, "failure")]),
            (
                3,
                finished(RunStatus::Canceled),
                before(&[1, 2]),
                vec![(1, "failure"), (2, "lost"), (3, "canceled")],
            ),
            // It was given back meanwhile.
            (2, JobState::Running(5), before(&[1, 2]), vec![(1, "failure"), (2, "lost")]),
        ] {
            let job = job(attempt, state);
            let told: Vec<_> = shown(&job, &earlier, None)
                .iter()
                .map(|attempt| (attempt.attempt, attempt.status))
                .collect();
            assert_eq!(told, expected);
        }
    }
}
