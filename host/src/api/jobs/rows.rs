//! The operations on jobs.

use super::lists::Which;
use super::parameters::{JOBS, RESTART, RESULT, STARTED, UPDATE};
use super::{attempts, cancel, job, lists, queue, restart, updates};
use crate::api::description::Gives::{Events, Json, Text};
use crate::api::description::of;
use crate::api::row::{Right, Row, handler};
use crate::http::events::Event;
use serde_json::Value;
use wasmill_core::scope::Action::{Read, Run, Write};
use wasmill_core::{JobId, WorkspaceId, wire};

/// In the order in which the API's description has them.
pub(in crate::api) const ROWS: &[Row] = &[
    // Jobs. Whether one is completed is for the job to say, so `completed/` may be left out.
    Row {
        name: "GetJob",
        summary: "A job: `type` is QueuedJob or CompletedJob",
        method: "GET",
        addresses: &["w/{workspace}/jobs_u/get/{id}"],
        right: Right::Found("jobs", Read),
        query: &[],
        gives: &[(200, Json(of::<wire::Job<'_>>))],
        handler: handler!(|asked, workspace: WorkspaceId, id: JobId| {
            job::get(asked, &workspace, id)
        }),
    },
    Row {
        name: "GetCompletedJob",
        summary: "A completed job; 404 until it is",
        method: "GET",
        addresses: &["w/{workspace}/jobs_u/completed/get/{id}"],
        right: Right::Found("jobs", Read),
        query: &[],
        gives: &[(200, Json(of::<wire::Job<'_>>))],
        handler: handler!(|asked, workspace: WorkspaceId, id: JobId| {
            job::get_completed(asked, &workspace, id)
        }),
    },
    Row {
        name: "GetResult",
        summary: "A job's bare result; 404 until there is one",
        method: "GET",
        addresses: &[
            "w/{workspace}/jobs_u/completed/get_result/{id}",
            "w/{workspace}/jobs_u/get_result/{id}",
        ],
        right: Right::Found("jobs", Read),
        query: RESULT,
        gives: &[(200, Json(of::<Value>))],
        handler: handler!(|asked, workspace: WorkspaceId, id: JobId| {
            job::result(asked, &workspace, id)
        }),
    },
    Row {
        name: "GetResultMaybe",
        summary: "A job's result, when there is one: always all of completed, result, success, \
                  started",
        method: "GET",
        addresses: &[
            "w/{workspace}/jobs_u/completed/get_result_maybe/{id}",
            "w/{workspace}/jobs_u/get_result_maybe/{id}",
        ],
        right: Right::Found("jobs", Read),
        query: STARTED,
        gives: &[(200, Json(of::<wire::ResultMaybe<'_>>))],
        handler: handler!(|asked, workspace: WorkspaceId, id: JobId| {
            job::result_maybe(asked, &workspace, id)
        }),
    },
    Row {
        name: "GetTiming",
        summary: "When a job was created and started, and how long it took",
        method: "GET",
        addresses: &["w/{workspace}/jobs_u/completed/get_timing/{id}"],
        right: Right::Found("jobs", Read),
        query: &[],
        gives: &[(200, Json(of::<wire::Timing>))],
        handler: handler!(|asked, workspace: WorkspaceId, id: JobId| {
            job::timing(asked, &workspace, id)
        }),
    },
    Row {
        name: "GetLogs",
        summary: "A job's log as text, also while it grows",
        method: "GET",
        addresses: &["w/{workspace}/jobs_u/get_logs/{id}"],
        right: Right::Found("jobs", Read),
        query: &[],
        gives: &[(200, Text)],
        handler: handler!(|asked, workspace: WorkspaceId, id: JobId| {
            job::logs(asked, &workspace, id)
        }),
    },
    Row {
        name: "GetLogsTail",
        summary: "The end of a completed job's log, as a JSON string",
        method: "GET",
        addresses: &["w/{workspace}/jobs_u/get_completed_logs_tail/{id}"],
        right: Right::Found("jobs", Read),
        query: &[],
        gives: &[(200, Json(of::<String>))],
        handler: handler!(|asked, workspace: WorkspaceId, id: JobId| {
            job::logs_tail(asked, &workspace, id)
        }),
    },
    Row {
        name: "GetUpdate",
        summary: "What is new of a job since the last look",
        method: "GET",
        addresses: &["w/{workspace}/jobs_u/getupdate/{id}"],
        right: Right::Found("jobs", Read),
        query: UPDATE,
        gives: &[(200, Json(of::<Event>))],
        handler: handler!(|asked, workspace: WorkspaceId, id: JobId| {
            updates::once(asked, &workspace, id)
        }),
    },
    Row {
        name: "StreamUpdates",
        summary: "What is new of a job, as server-sent events",
        method: "GET",
        addresses: &["w/{workspace}/jobs_u/getupdate_sse/{id}"],
        right: Right::Found("jobs", Read),
        query: UPDATE,
        gives: &[(200, Events)],
        handler: handler!(|asked, workspace: WorkspaceId, id: JobId| {
            updates::stream(asked, &workspace, id)
        }),
    },
    Row {
        name: "GetAttempts",
        summary: "A job's attempts, oldest first, the last one included",
        method: "GET",
        addresses: &["w/{workspace}/jobs_u/get_attempts/{id}"],
        right: Right::Found("jobs", Read),
        query: &[],
        gives: &[(200, Json(of::<Vec<wire::Attempt<'_>>>))],
        handler: handler!(|asked, workspace: WorkspaceId, id: JobId| {
            attempts::list(asked, &workspace, id)
        }),
    },
    Row {
        name: "GetArgs",
        summary: "A job's arguments",
        method: "GET",
        addresses: &["w/{workspace}/jobs_u/get_args/{id}"],
        right: Right::Found("jobs", Read),
        query: &[],
        gives: &[(200, Json(of::<Value>))],
        handler: handler!(|asked, workspace: WorkspaceId, id: JobId| {
            job::arguments(asked, &workspace, id)
        }),
    },
    Row {
        name: "GetRootJob",
        summary: "The id of the outermost job that a job is part of",
        method: "GET",
        addresses: &["w/{workspace}/jobs_u/get_root_job_id/{id}"],
        right: Right::Found("jobs", Read),
        query: &[],
        gives: &[(200, Json(of::<String>))],
        handler: handler!(|asked, workspace: WorkspaceId, id: JobId| {
            job::root(asked, &workspace, id)
        }),
    },
    Row {
        name: "ListJobs",
        summary: "Jobs, newest first",
        method: "GET",
        addresses: &["w/{workspace}/jobs/list"],
        right: Right::All("jobs", Read),
        query: JOBS,
        gives: &[(200, Json(of::<Vec<wire::Job<'_>>>))],
        handler: handler!(|asked, workspace: WorkspaceId| {
            lists::list(asked, &workspace, Which::All)
        }),
    },
    Row {
        name: "ListQueue",
        summary: "Jobs that are not over",
        method: "GET",
        addresses: &["w/{workspace}/jobs/queue/list"],
        right: Right::All("jobs", Read),
        query: JOBS,
        gives: &[(200, Json(of::<Vec<wire::Job<'_>>>))],
        handler: handler!(|asked, workspace: WorkspaceId| {
            lists::list(asked, &workspace, Which::Queued)
        }),
    },
    Row {
        name: "ListCompleted",
        summary: "Jobs that are over",
        method: "GET",
        addresses: &["w/{workspace}/jobs/completed/list"],
        right: Right::All("jobs", Read),
        query: JOBS,
        gives: &[(200, Json(of::<Vec<wire::Job<'_>>>))],
        handler: handler!(|asked, workspace: WorkspaceId| {
            lists::list(asked, &workspace, Which::Completed)
        }),
    },
    Row {
        name: "CountQueue",
        summary: "How many jobs wait",
        method: "GET",
        addresses: &["w/{workspace}/jobs/queue/count"],
        right: Right::All("jobs", Read),
        query: &[],
        gives: &[(200, Json(of::<wire::JobCount>))],
        handler: handler!(|asked, workspace: WorkspaceId| {
            lists::count(asked, &workspace, Which::Queued)
        }),
    },
    Row {
        name: "CountCompleted",
        summary: "How many jobs are over",
        method: "GET",
        addresses: &["w/{workspace}/jobs/completed/count"],
        right: Right::All("jobs", Read),
        query: &[],
        gives: &[(200, Json(of::<wire::JobCount>))],
        handler: handler!(|asked, workspace: WorkspaceId| {
            lists::count(asked, &workspace, Which::Completed)
        }),
    },
    Row {
        name: "QueuePosition",
        summary: "How many waiting jobs are to start before a moment, given in milliseconds",
        method: "GET",
        addresses: &["w/{workspace}/jobs/queue/position/{at}"],
        right: Right::All("jobs", Read),
        query: &[],
        gives: &[(200, Json(of::<wire::QueuePosition>))],
        handler: handler!(|asked, workspace: WorkspaceId, at: i64| {
            queue::position(asked, &workspace, at)
        }),
    },
    Row {
        name: "ScheduledFor",
        summary: "When a waiting job is to start, in milliseconds",
        method: "GET",
        addresses: &["w/{workspace}/jobs/queue/scheduled_for/{id}"],
        right: Right::Found("jobs", Read),
        query: &[],
        gives: &[(200, Json(of::<i64>))],
        handler: handler!(|asked, workspace: WorkspaceId, id: JobId| {
            queue::scheduled_for(asked, &workspace, id)
        }),
    },
    Row {
        name: "StartedAt",
        summary: "When these jobs were started: a time or null for each id",
        method: "POST",
        addresses: &["w/{workspace}/jobs_u/queue/get_started_at_by_ids"],
        right: Right::All("jobs", Read),
        query: &[],
        gives: &[(200, Json(of::<Vec<Option<String>>>))],
        handler: handler!(body = job_ids(), |asked, workspace: WorkspaceId| {
            queue::started_at(asked, &workspace, &body)
        }),
    },
    Row {
        name: "CancelJob",
        summary: "Cancels a job: a waiting one at once, a running one by stopping it. A sandbox \
                  needs no second, harder way",
        method: "POST",
        addresses: &[
            "w/{workspace}/jobs_u/queue/cancel/{id}",
            "w/{workspace}/jobs_u/queue/force_cancel/{id}",
        ],
        right: Right::Found("jobs", Write),
        query: &[],
        gives: &[(200, Text)],
        handler: handler!(
            body = optional_json::<wire::CancelRequest>(),
            |asked, workspace: WorkspaceId, id: JobId| cancel::one(asked, &workspace, id, body)
        ),
    },
    Row {
        name: "CancelSelection",
        summary: "Cancels the jobs with these ids",
        method: "POST",
        addresses: &["w/{workspace}/jobs/queue/cancel_selection"],
        right: Right::All("jobs", Write),
        query: &[],
        gives: &[(200, Json(of::<Vec<String>>))],
        handler: handler!(body = job_ids(), |asked, workspace: WorkspaceId| {
            cancel::selection(asked, &workspace, &body)
        }),
    },
    Row {
        name: "RestartJob",
        summary: "Restarts a finished job: queues the same call again, and answers with the new \
                  job's id",
        method: "POST",
        addresses: &["w/{workspace}/jobs/restart/{id}"],
        right: Right::Found("jobs", Run),
        query: &[],
        gives: &[(201, Text)],
        handler: handler!(|asked, workspace: WorkspaceId, id: JobId| {
            restart::one(asked, &workspace, id)
        }),
    },
    Row {
        name: "RestartJobs",
        summary: "Restarts the finished jobs that fit the query, oldest first: those whose \
                  scripts the caller may run",
        method: "POST",
        addresses: &["w/{workspace}/jobs/restart"],
        right: Right::All("jobs", Read),
        query: RESTART,
        gives: &[(200, Json(of::<wire::Restarted>))],
        handler: handler!(|asked, workspace: WorkspaceId| restart::many(asked, &workspace)),
    },
    Row {
        name: "BatchRerunJobs",
        summary: "Runs the jobs with these ids again: a line for each, with the new one's id or \
                  with Error and why there is none",
        method: "POST",
        addresses: &["w/{workspace}/jobs/run/batch_rerun_jobs"],
        right: Right::Found("jobs", Run),
        query: &[],
        gives: &[(200, Text)],
        handler: handler!(body = json::<wire::BatchRerun>(), |asked, workspace: WorkspaceId| {
            restart::rerun(asked, &workspace, &body)
        }),
    },
    Row {
        name: "EraseJob",
        summary: "Erases the arguments, the result and the log of a completed job",
        method: "POST",
        addresses: &["w/{workspace}/jobs/completed/delete/{id}"],
        right: Right::Admin("jobs", Write),
        query: &[],
        gives: &[(200, Json(of::<wire::Job<'_>>))],
        handler: handler!(|asked, workspace: WorkspaceId, id: JobId| {
            job::erase(asked, &workspace, id)
        }),
    },
    Row {
        name: "WorkerIsDraining",
        summary: "Whether the host is stopping",
        method: "GET",
        addresses: &["w/{workspace}/jobs/worker_is_draining/{id}"],
        right: Right::Member,
        query: &[],
        gives: &[(200, Json(of::<bool>))],
        handler: handler!(|asked, workspace: WorkspaceId, id: JobId| {
            queue::is_draining(asked, &workspace, id)
        }),
    },
];
