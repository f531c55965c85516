//! Which jobs fit a filter, part by part.

use crate::{Job, JobFilter, JobState, Micros, RunEnd, RunStatus};

/// True when the job fits every part of the filter but its cursors.
pub(super) fn fits(job: &Job, filter: &JobFilter) -> bool {
    let new = &job.job;
    is_asked(&filter.path, &job.path)
        && is_asked(&filter.version, &new.version)
        && is_asked(&filter.created_by, &new.created_by)
        && is_asked(&filter.tag, &new.tag)
        && is_asked(&filter.trigger, &new.trigger)
        && filter.path_start.as_ref().is_none_or(|start| job.path.as_str().starts_with(start))
        && (filter.label.is_none() || filter.label == new.label)
        && (filter.parent.is_none() || filter.parent == new.parent)
        && filter.created.contains(new.created)
        && match &job.state {
            JobState::Waiting => fits_queued(job, None, filter),
            JobState::Running(at) => fits_queued(job, Some(*at), filter),
            JobState::Finished(end) => fits_finished(end, filter),
        }
}

fn fits_queued(job: &Job, started: Option<Micros>, filter: &JobFilter) -> bool {
    filter.wants_queued()
        && is_asked(&filter.running, &started.is_some())
        && filter.due_by.is_none_or(|due_by| job.job.run_at <= due_by)
        && (filter.started.is_open() || started.is_some_and(|at| filter.started.contains(at)))
}

fn fits_finished(end: &RunEnd, filter: &JobFilter) -> bool {
    filter.wants_finished()
        && is_asked(&filter.success, &(end.status == RunStatus::Success))
        && (filter.statuses.is_empty() || filter.statuses.contains(&end.status))
        && filter.started.contains(end.started)
        && filter.completed.contains(end.completed())
}

fn is_asked<T: PartialEq>(wanted: &Option<T>, found: &T) -> bool {
    wanted.as_ref().is_none_or(|wanted| wanted == found)
}
