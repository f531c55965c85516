//! Finished jobs run again: each as a new job of the same version with the same arguments.

mod again;
mod batch;

use super::job::find;
use super::lists::{self, Which};
use super::parameters::JOBS;
use crate::api::asked::Asked;
use crate::api::parse::{self, parameter, typed_parameter};
use crate::calls::labelled;
use crate::clock;
use crate::http::respond::{self, Reply};
use crate::store_errors::unavailable;
use again::{By, again};
use batch::Batch;
use wasmill_core::limits::{RESTARTED_JOBS, RESTARTED_JOBS_DEFAULT};
use wasmill_core::problem::Code;
use wasmill_core::wire::{self, RestartedJob, SkippedJob};
use wasmill_core::{JobId, Problem, WorkspaceId};
use wasmill_store::{JobFilter, Micros};

/// Jobs that are looked up at once.
const PAGE: u32 = 200;

/// Restarts one job, and answers with the new one's id.
pub(super) async fn one(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    id: JobId,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let job = find(host, caller, workspace, id).await?;
    let (fresh, version) = again(host, caller, job, By::SameVersion).await?;
    host.queue_bounds.room(workspace, true, None).await?;
    let new = fresh.id;
    host.store.enqueue(vec![fresh]).await.map_err(unavailable)?;
    host.notifier.job_queued();
    tracing::info!(%workspace, job = %id, %new, user = %caller.user, "a job was restarted");
    Ok(labelled(respond::text(201, new.to_string()), new, &version))
}

/// Where a request that restarted a part of many jobs ended: jobs that came after the first of
/// these requests are never among them, so that what was restarted is not restarted again.
struct Cursor {
    until: Micros,
    after: JobId,
}

impl Cursor {
    fn read(text: &str) -> Option<Self> {
        let (until, after) = text.split_once('-')?;
        Some(Self { until: until.parse().ok()?, after: after.parse().ok()? })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.until, self.after)
    }
}

/// Restarts the finished jobs that fit the query's filters, oldest first.
pub(super) async fn many(asked: Asked<'_>, workspace: &WorkspaceId) -> Result<Reply, Problem> {
    let Asked { host, caller, query, .. } = asked;
    known(query)?;
    let mut filter = lists::filter(Which::Completed, query)?;
    if !lists::narrows(&filter) {
        return Err(Problem::bad_request(
            "Say which jobs are to be restarted, by at least one filter: script_path_exact, \
             status, created_after and the like",
        ));
    }
    let limit = typed_parameter::<u32>(query, "limit", "a number of jobs")?
        .unwrap_or(RESTARTED_JOBS_DEFAULT)
        .clamp(1, RESTARTED_JOBS);
    let cursor = match parameter(query, "next").filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(Cursor::read(&text).ok_or_else(|| {
            Problem::bad_request(format!(
                "The query parameter next is {text:?}; it must be the next of an earlier answer"
            ))
        })?),
    };
    let until = cursor.as_ref().map_or_else(clock::now, |cursor| cursor.until);
    filter.created.before = Some(filter.created.before.map_or(until, |before| before.min(until)));
    filter.after = cursor.map(|cursor| cursor.after).or(filter.after);
    (filter.ascending, filter.with_args) = (true, false);
    let mut batch = Batch::new(host, caller, workspace);
    let more = match fill(&mut batch, filter, limit).await {
        Ok(more) => more,
        // What was restarted has to be told; the rest can be asked for again.
        Err(problem) if batch.settled.is_empty() => return Err(problem),
        Err(_) => true,
    };
    let mut answer = wire::Restarted::default();
    for (id, settled) in &batch.settled {
        let id = id.to_string();
        match settled {
            Ok(new) => answer.restarted.push(RestartedJob { id, new_id: new.to_string() }),
            Err(problem) => answer.skipped.push(SkippedJob { id, reason: problem.detail.clone() }),
        }
    }
    answer.next = batch
        .settled
        .last()
        .filter(|_| more)
        .map(|(after, _)| Cursor { until, after: *after }.to_string());
    let (jobs, skipped) = (answer.restarted.len(), answer.skipped.len());
    tracing::info!(%workspace, user = %caller.user, jobs, skipped, "jobs were restarted");
    Ok(respond::json(200, &answer))
}

/// Restarts up to `limit` jobs that fit. True when there are more.
async fn fill(batch: &mut Batch<'_>, mut filter: JobFilter, limit: u32) -> Result<bool, Problem> {
    let mut left = limit;
    loop {
        filter.limit = left.saturating_add(1).min(PAGE);
        let mut page =
            batch.host.store.list_jobs(batch.workspace, &filter).await.map_err(unavailable)?;
        let is_last = page.len() < filter.limit as usize;
        let more = page.len() > left as usize;
        page.truncate(left as usize);
        left = left.saturating_sub(u32::try_from(page.len()).unwrap_or(u32::MAX));
        filter.after = page.last().map(|job| job.job.id).or(filter.after);
        for job in page {
            batch.add(job.job.id, By::SameVersion).await?;
        }
        if is_last || more {
            batch.flush().await?;
            return Ok(more);
        }
    }
}

/// Refuses what is no filter: a word that is written wrongly must not mean more jobs than were
/// meant.
fn known(query: &str) -> Result<(), Problem> {
    let is_filter = |key: &str| JOBS.iter().any(|parameter| parameter.name == key);
    let other = |key: &str| !is_filter(key) && !matches!(key, "limit" | "next" | "token");
    match form_urlencoded::parse(query.as_bytes()).find(|(key, _)| other(key)) {
        None => Ok(()),
        Some((key, _)) => Err(Problem::bad_request(format!(
            "The query parameter {key} is not known here; nothing was restarted"
        ))),
    }
}

/// Runs the jobs with these ids again. The answer has a line for each job: the new job's id, or why
/// there is no new job.
pub(super) async fn rerun(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    body: &wire::BatchRerun,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    if body.job_ids.len() > RESTARTED_JOBS as usize {
        let (most, given) = (RESTARTED_JOBS, body.job_ids.len());
        return Err(Problem::new(
            Code::TooLarge,
            format!("At most {most} jobs can be run again at once; the body lists {given}"),
        ));
    }
    if let Some((path, _)) =
        body.script_options_by_path.iter().find(|(_, options)| !options.input_transforms.is_empty())
    {
        let detail = format!(
            "input_transforms of {path} cannot be applied: jobs are run again with the arguments \
             that they had"
        );
        return Err(Problem::bad_request(detail));
    }
    let ids: Result<Vec<JobId>, Problem> = body.job_ids.iter().map(|id| parse::name(id)).collect();
    let ids = ids?;
    let by = By::Options(&body.script_options_by_path);
    let mut batch = Batch::new(host, caller, workspace);
    let ended = async {
        for id in &ids {
            batch.add(*id, by).await?;
        }
        batch.flush().await
    };
    let stopped = ended.await.err();
    if let Some(problem) = stopped.clone().filter(|_| batch.settled.is_empty()) {
        return Err(problem);
    }
    let mut text = String::new();
    let rest = ids.iter().skip(batch.settled.len()).filter_map(|_| stopped.clone().map(Err));
    for settled in batch.settled.into_iter().map(|(_, settled)| settled).chain(rest) {
        text += &match settled {
            Ok(new) => format!("{new}\n"),
            Err(problem) => format!("Error: {}\n", problem.detail.replace(['\r', '\n'], " ")),
        };
    }
    Ok(respond::text(200, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors() {
        let text = "1767225600000000-01937f4e-0000-7000-8000-000000000000";
        assert_eq!(Cursor::read(text).unwrap().to_string(), text);
        for wrong in [
            "",
            "7",
            "-",
            "x-01937f4e-0000-7000-8000-000000000000",
            "7-8",
            "01937f4e-0000-7000-8000-000000000000",
        ] {
            assert!(Cursor::read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn words_that_are_no_filters() {
        assert!(known("status=failure&limit=3&next=&token=x&script_path_exact=u/a/b").is_ok());
        assert!(known("statsu=failure").unwrap_err().detail.contains("statsu"));
    }
}
