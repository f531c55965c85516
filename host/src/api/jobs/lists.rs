//! Lists and counts of jobs.

use super::job::shown;
use crate::api::asked::Asked;
use crate::api::parse::{parameter, per_page, typed_parameter};
use crate::clock;
use crate::http::respond::{self, Reply};
use crate::store_errors::unavailable;
use wasmill_core::wire::{self, JobCount};
use wasmill_core::{JobId, Problem, ScriptPath, VersionHash, WorkspaceId};
use wasmill_store::{JobFilter, Micros, RunStatus, Span, Trigger};

/// Which jobs a route lists, whatever its query says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// All jobs.
    All,
    /// Jobs that wait or run.
    Queued,
    /// Jobs that are over.
    Completed,
}

/// Jobs newest first, without results and logs.
pub(super) async fn list(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    which: Which,
) -> Result<Reply, Problem> {
    let Asked { host, caller, query, .. } = asked;
    let filter = filter(which, query)?;
    let jobs = host.store.list_jobs(workspace, &filter).await.map_err(unavailable)?;
    let shown: Vec<_> = jobs.iter().map(|job| shown(workspace, job, caller, false, None)).collect();
    Ok(respond::json(200, &shown))
}

/// How many jobs wait: `{"database_length", "suspended"}`. Of completed ones:
/// `{"database_length"}`.
pub(super) async fn count(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    which: Which,
) -> Result<Reply, Problem> {
    let host = asked.host;
    let counts = host.store.counts(workspace).await.map_err(unavailable)?;
    let counted = match which {
        Which::Completed => JobCount { database_length: counts.completed, suspended: None },
        Which::All | Which::Queued => {
            JobCount { database_length: counts.queued, suspended: Some(counts.suspended) }
        }
    };
    Ok(respond::json(200, &counted))
}

/// Whether a filter says more than where a page begins and ends.
pub(super) fn narrows(filter: &JobFilter) -> bool {
    let JobFilter {
        path,
        path_start,
        version,
        created_by,
        label,
        parent,
        tag,
        trigger,
        success,
        statuses,
        ..
    } = filter;
    let words = path_start.is_some() || created_by.is_some() || label.is_some() || tag.is_some();
    let names = path.is_some() || version.is_some() || parent.is_some();
    let ends = trigger.is_some() || success.is_some() || !statuses.is_empty();
    let times =
        [filter.created, filter.started, filter.completed].iter().any(|span| !span.is_open());
    words || names || ends || times
}

/// The filters of the jobs API.
pub(super) fn filter(which: Which, query: &str) -> Result<JobFilter, Problem> {
    let switch = |name: &str| typed_parameter::<bool>(query, name, "true or false");
    let given = |name: &str| parameter(query, name).filter(|text| !text.is_empty());
    let (success, running) = (switch("success")?, switch("running")?);
    if success.is_some() && running.is_some() {
        return Err(Problem::bad_request(
            "success and running cannot be asked for together: a running job has no success yet",
        ));
    }
    let statuses = match given("status") {
        None => Vec::new(),
        Some(list) => list.split(',').map(status).collect::<Result<_, _>>()?,
    };
    Ok(JobFilter {
        path: typed_parameter::<ScriptPath>(query, "script_path_exact", "a script's path")?,
        path_start: given("script_path_start"),
        version: typed_parameter::<VersionHash>(query, "script_hash", "64 hex digits")?,
        created_by: given("created_by"),
        label: given("label"),
        parent: typed_parameter::<JobId>(query, "parent_job", "a job's id")?,
        tag: given("tag"),
        trigger: match given("trigger_kind").as_deref() {
            None => None,
            Some("webhook") => Some(Trigger::Webhook),
            Some("manual") => Some(Trigger::Manual),
            Some(other) => {
                return Err(Problem::bad_request(format!(
                    "The query parameter trigger_kind is {other:?}; it must be webhook or manual"
                )));
            }
        },
        success,
        statuses,
        queued: match which {
            Which::All => None,
            Which::Queued => Some(true),
            Which::Completed => Some(false),
        },
        running,
        due_by: switch("scheduled_for_before_now")?.filter(|wanted| *wanted).map(|_| clock::now()),
        created: span(query, "created")?,
        started: span(query, "started")?,
        completed: span(query, "completed")?,
        before: typed_parameter::<JobId>(query, "before", "a job's id")?,
        after: typed_parameter::<JobId>(query, "after", "a job's id")?,
        ascending: switch("order_desc")? == Some(false),
        with_args: switch("include_args")?.unwrap_or(false),
        limit: per_page(query)?,
    })
}

fn status(text: &str) -> Result<RunStatus, Problem> {
    match text {
        "success" => Ok(RunStatus::Success),
        "failure" => Ok(RunStatus::Failure),
        "canceled" => Ok(RunStatus::Canceled),
        other => Err(Problem::bad_request(format!(
            "The query parameter status has {other:?}; it must list success, failure or canceled"
        ))),
    }
}

/// `<name>_after` and `<name>_before`.
fn span(query: &str, name: &str) -> Result<Span, Problem> {
    let end = |suffix: &str| -> Result<Option<Micros>, Problem> {
        let name = format!("{name}_{suffix}");
        match parameter(query, &name).filter(|text| !text.is_empty()) {
            None => Ok(None),
            // A '+' of an offset that was not escaped reads as a space.
            Some(text) => {
                wire::parse_timestamp(&text.replace(' ', "+")).map(Some).ok_or_else(|| {
                    Problem::bad_request(format!(
                        "The query parameter {name} is {text:?}; it must be a time such as \
                     2030-01-31T09:00:00Z"
                    ))
                })
            }
        }
    };
    Ok(Span { after: end("after")?, before: end("before")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_narrows() {
        let narrow = |query: &str| narrows(&filter(Which::Completed, query).unwrap());
        for query in [
            "",
            "per_page=3",
            "order_desc=true&include_args=true",
            "script_path_start=",
            "after=01937f4e-0000-7000-8000-000000000000",
        ] {
            assert!(!narrow(query), "{query}");
        }
        for query in [
            "script_path_start=u/",
            "status=failure",
            "success=false",
            "created_after=2026-01-01T00:00:00Z",
            "tag=a",
            "label=b",
        ] {
            assert!(narrow(query), "{query}");
        }
    }

    #[test]
    fn filters() {
        let read = filter(
            Which::Queued,
            "running=false&script_path_exact=u/a/b&created_after=2026-01-01T00:00:00%2B00:00&tag=\
             &order_desc=false&per_page=7",
        )
        .unwrap();
        assert_eq!(
            (read.queued, read.running, read.success, read.tag, read.ascending, read.limit),
            (Some(true), Some(false), None, None, true, 7)
        );
        assert_eq!(read.path.unwrap().as_str(), "u/a/b");
        assert_eq!(read.created, Span { after: Some(1_767_225_600_000_000), before: None });
        assert_eq!(
            filter(Which::All, "status=failure,canceled").unwrap().statuses,
            [RunStatus::Failure, RunStatus::Canceled]
        );
        assert_eq!(
            filter(Which::All, "created_after=2026-01-01T00:00:00+00:00").unwrap().created.after,
            Some(1_767_225_600_000_000)
        );
        for bad in [
            "success=yes",
            "running=1",
            "success=true&running=true",
            "status=done",
            "before=7",
            "script_hash=ab",
            "trigger_kind=x",
            "started_before=now",
            "per_page=x",
        ] {
            assert!(filter(Which::All, bad).is_err(), "{bad}");
        }
    }
}
