//! Jobs: what became of a call.

use crate::api::asked::Asked;
use crate::api::parse::{parameter, typed_parameter};
use crate::auth::Caller;
use crate::host::Host;
use crate::http::respond::{self, Reply};
use crate::store_errors::unavailable;
use serde_json::value::RawValue;
use wasmill_core::limits::LOG_TAIL_CHARS;
use wasmill_core::scope::{Action, Need};
use wasmill_core::wire::{self, ResultMaybe};
use wasmill_core::{JobId, Problem, WorkspaceId};
use wasmill_store::{Job, JobState, Micros, RunEnd, RunStatus, Trigger};

/// Finds a job that the caller may read: with `jobs:read`, or because this very token started it.
pub(super) async fn find(
    host: &Host,
    caller: &Caller,
    workspace: &WorkspaceId,
    id: JobId,
) -> Result<Job, Problem> {
    caller.role(workspace)?;
    let found = host.store.job(workspace, id).await.map_err(unavailable)?;
    let missing =
        || Problem::not_found(format!("There is no job {id} in the workspace {workspace}"));
    let job = found.ok_or_else(missing)?;
    let started_it = job.job.token == Some(caller.digest);
    match caller.require(workspace, &Need::one("jobs", Action::Read, job.path.as_str())) {
        Err(_) if !started_it => Err(missing()),
        _ => Ok(job),
    }
}

/// When a job was started, if it was.
pub(super) fn started(job: &Job) -> Option<Micros> {
    match &job.state {
        JobState::Waiting => None,
        JobState::Running(at) => Some(*at),
        JobState::Finished(end) => Some(end.started),
    }
}

fn args(job: &Job) -> Option<&RawValue> {
    serde_json::from_slice(&job.job.args).ok()
}

/// When a job was over, as RFC 3339.
fn completed(end: &RunEnd) -> String {
    wire::timestamp(end.started.saturating_add(end.duration.as_micros() as i64))
}

fn trigger_kind(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Webhook => "webhook",
        Trigger::Manual => "manual",
    }
}

/// A job in the API's shape; with `whole`, its result and log as well. `log` replaces the stored
/// log while the job runs.
pub(super) fn shown<'a>(
    workspace: &'a WorkspaceId,
    job: &'a Job,
    caller: &'a Caller,
    whole: bool,
    log: Option<String>,
) -> wire::Job<'a> {
    let end = match &job.state {
        JobState::Finished(end) => Some(end),
        _ => None,
    };
    let queued = end.is_none();
    wire::Job {
        r#type: if queued { "QueuedJob" } else { "CompletedJob" },
        workspace_id: workspace.as_str(),
        id: job.job.id.to_string(),
        created_by: &job.job.created_by,
        created_at: wire::timestamp(job.job.created),
        started_at: started(job).map(wire::timestamp),
        completed_at: end.map(completed),
        scheduled_for: queued.then(|| wire::timestamp(job.job.run_at)),
        running: queued.then_some(matches!(job.state, JobState::Running(_))),
        success: end.map(|end| end.status == RunStatus::Success),
        duration_ms: end.map(|end| end.duration.as_millis() as u64),
        script_hash: job.job.version.to_hex(),
        script_path: job.path.as_str(),
        args: args(job),
        result: end.filter(|_| whole).map(|end| &*end.result),
        logs: whole
            .then(|| log.or_else(|| end.map(|end| String::from_utf8_lossy(&end.log).into_owned())))
            .flatten(),
        job_kind: "script",
        language: "wasm",
        canceled: job.canceled.is_some()
            || end.is_some_and(|end| end.status == RunStatus::Canceled),
        canceled_by: job.canceled.as_ref().map(|canceled| canceled.by.as_str()),
        canceled_reason: job.canceled.as_ref().and_then(|canceled| canceled.reason.as_deref()),
        parent_job: job.job.parent.map(|id| id.to_string()),
        root_job: job.job.root.map(|id| id.to_string()),
        priority: Some(job.job.priority).filter(|priority| *priority != 0),
        deleted: end.map(|end| end.deleted),
        is_skipped: end.map(|_| false),
        permissioned_as: format!("u/{}", job.job.created_by),
        // Another user's address is not the caller's to know.
        email: if caller.user.as_str() == job.job.created_by { &caller.email } else { "" },
        is_flow_step: false,
        visible_to_owner: true,
        same_worker: queued.then_some(false),
        mem_peak: end.map(|end| end.memory_peak_bytes / 1024),
        tag: &job.job.tag,
        trigger_kind: trigger_kind(job.job.trigger),
        attempt: job.attempt,
        retry: job.job.retry,
        concurrent_limit: job
            .job
            .concurrency
            .filter(|_| queued)
            .map(|concurrency| concurrency.limit),
        timeout: job.job.timeout.filter(|_| queued).map(|timeout| timeout.as_secs()),
    }
}

/// The log of a job that this process runs right now.
pub(super) fn growing_log(host: &Host, id: JobId) -> Option<String> {
    host.runner.running.log(id).map(|log| log.read_from(0).0)
}

/// Notes that a caller is given a job's result. Erases the job where its script asks for that,
/// before the answer is sent: whoever has read the result can rely on the erasure.
///
/// # Errors
/// When the job cannot be erased; the result is then not given away.
pub(super) async fn read(host: &Host, workspace: &WorkspaceId, job: &Job) -> Result<(), Problem> {
    if job.job.erasure.when_read && matches!(&job.state, JobState::Finished(end) if !end.deleted) {
        host.store.erase(workspace, &[job.job.id]).await.map_err(unavailable)?;
    }
    Ok(())
}

/// One job with its result and log.
pub(super) async fn get(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    id: JobId,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let job = find(host, caller, workspace, id).await?;
    read(host, workspace, &job).await?;
    let log = growing_log(host, id);
    Ok(respond::json(200, &shown(workspace, &job, caller, true, log)))
}

/// The end of a job; 404 until there is one.
fn end_of(job: &Job) -> Result<&RunEnd, Problem> {
    match &job.state {
        JobState::Finished(end) => Ok(end),
        _ => Err(Problem::not_found(format!("The job {} is not over yet", job.job.id))),
    }
}

/// One completed job with its result and log; 404 until the job is over.
pub(super) async fn get_completed(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    id: JobId,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let job = find(host, caller, workspace, id).await?;
    end_of(&job)?;
    read(host, workspace, &job).await?;
    Ok(respond::json(200, &shown(workspace, &job, caller, true, None)))
}

/// The bare result, or what `json_path` (keys and indices between dots) leads to in it; 404 until
/// there is one.
pub(super) async fn result(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    id: JobId,
) -> Result<Reply, Problem> {
    let Asked { host, caller, query, .. } = asked;
    let job = find(host, caller, workspace, id).await?;
    let end = end_of(&job)?;
    read(host, workspace, &job).await?;
    let Some(path) = parameter(query, "json_path").filter(|path| !path.is_empty()) else {
        return Ok(respond::json(200, &end.result));
    };
    let mut part: &RawValue = &end.result;
    for key in path.split('.') {
        part = wasmill_core::json::part(part, key).ok_or_else(|| {
            Problem::not_found(format!(
                "The result of {id} has nothing at {path}: there is no {key:?}"
            ))
        })?;
    }
    Ok(respond::json(200, &part))
}

/// When a completed job ran.
pub(super) async fn timing(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    id: JobId,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let job = find(host, caller, workspace, id).await?;
    let end = end_of(&job)?;
    let timing = wire::Timing {
        created_at: wire::timestamp(job.job.created),
        started_at: wire::timestamp(end.started),
        duration_ms: end.duration.as_millis() as u64,
    };
    Ok(respond::json(200, &timing))
}

/// The result when there is one: always all of `completed`, `result`, `success`, `started`.
pub(super) async fn result_maybe(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    id: JobId,
) -> Result<Reply, Problem> {
    let Asked { host, caller, query, .. } = asked;
    let job = find(host, caller, workspace, id).await?;
    read(host, workspace, &job).await?;
    let ask = typed_parameter::<bool>(query, "get_started", "true or false")?.unwrap_or(false);
    Ok(match &job.state {
        JobState::Finished(end) => {
            let success = Some(end.status == RunStatus::Success);
            respond::json(
                200,
                &ResultMaybe {
                    completed: true,
                    result: Some(&end.result),
                    success,
                    started: Some(true),
                },
            )
        }
        state => {
            let started = ask.then_some(matches!(state, JobState::Running(_)));
            respond::json(
                200,
                &ResultMaybe { completed: false, result: None, success: None, started },
            )
        }
    })
}

/// A job's log as text, also while the log grows.
pub(super) async fn logs(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    id: JobId,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    // Asked for first: a job that ends between the two look-ups is then found in the store.
    let growing = growing_log(host, id);
    let job = find(host, caller, workspace, id).await?;
    Ok(match (job.state, growing) {
        (JobState::Finished(end), _) => respond::text(200, end.log),
        (_, Some(log)) => respond::text(200, log),
        _ => respond::text(200, ""),
    })
}

/// The last characters of a completed job's log, as a JSON string.
pub(super) async fn logs_tail(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    id: JobId,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let job = find(host, caller, workspace, id).await?;
    let log = String::from_utf8_lossy(&end_of(&job)?.log);
    let from = log.char_indices().rev().nth(LOG_TAIL_CHARS - 1).map_or(0, |(at, _)| at);
    Ok(respond::json(200, &log.get(from..)))
}

/// The id of the outermost job that a job is part of; the job's own id when it is part of none.
pub(super) async fn root(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    id: JobId,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let job = find(host, caller, workspace, id).await?;
    Ok(respond::json(200, &job.job.root.or(job.job.parent).unwrap_or(id)))
}

/// Erases the arguments, the result and the log of a completed job. The answer is the job after
/// that.
pub(super) async fn erase(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    id: JobId,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    end_of(&find(host, caller, workspace, id).await?)?;
    host.store.erase(workspace, &[id]).await.map_err(unavailable)?;
    tracing::info!(%workspace, job = %id, user = %caller.user, "a job was erased");
    get(asked, workspace, id).await
}

/// A job's arguments.
pub(super) async fn arguments(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    id: JobId,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let job = find(host, caller, workspace, id).await?;
    Ok(respond::json(200, &args(&job)))
}
