//! Which jobs a list holds.

use super::queue::Trigger;
use super::run_end::RunStatus;
use super::time::Micros;
use wasmill_core::{JobId, ScriptPath, VersionHash};

/// At most so many jobs are in one list, whatever is asked for.
pub const MAX_LIST: u32 = 10_000;

/// A stretch of time without its ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// Later than this.
    pub after: Option<Micros>,
    /// Earlier than this.
    pub before: Option<Micros>,
}

impl Span {
    /// All of time.
    pub fn is_open(&self) -> bool {
        self.after.is_none() && self.before.is_none()
    }

    /// True when the moment lies within.
    pub fn contains(&self, at: Micros) -> bool {
        self.after.is_none_or(|after| at > after) && self.before.is_none_or(|before| at < before)
    }
}

/// Which jobs a list holds: those that fit every part. The default fits all jobs, newest first, but
/// holds none of them until `limit` is set.
///
/// Lists by workspace, `path`, `parent`, failure and `created` read about as many rows as they
/// return. The other parts are looked at job by job from the newest (or oldest) on, so a list of
/// something rare may read far back.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Only of this path.
    pub path: Option<ScriptPath>,
    /// Only of paths that begin so.
    pub path_start: Option<String>,
    /// Only of this version.
    pub version: Option<VersionHash>,
    /// Only started by this user.
    pub created_by: Option<String>,
    /// Only with this label.
    pub label: Option<String>,
    /// Only parts of this job.
    pub parent: Option<JobId>,
    /// Only with this tag.
    pub tag: Option<String>,
    /// Only started this way.
    pub trigger: Option<Trigger>,
    /// Only finished with (or without) success.
    pub success: Option<bool>,
    /// Only finished in one of these ways; empty: all jobs.
    pub statuses: Vec<RunStatus>,
    /// `Some(true)`: only waiting or running; `Some(false)`: only finished.
    pub queued: Option<bool>,
    /// `Some(true)`: only running; `Some(false)`: only waiting.
    pub running: Option<bool>,
    /// Only waiting or running, and meant to start at this moment or before.
    pub due_by: Option<Micros>,
    /// Only created within.
    pub created: Span,
    /// Only started within; jobs that wait are not.
    pub started: Span,
    /// Only finished within.
    pub completed: Span,
    /// Only older than this id: the cursor of the next page.
    pub before: Option<JobId>,
    /// Only newer than this id: the cursor of the next page of an ascending list, or of the page
    /// before.
    pub after: Option<JobId>,
    /// Oldest first.
    pub ascending: bool,
    /// With the jobs' arguments.
    pub with_args: bool,
    /// At most so many; capped at [`MAX_LIST`].
    pub limit: u32,
}

impl JobFilter {
    /// True when jobs that are not over may fit.
    pub(crate) fn wants_queued(&self) -> bool {
        self.queued != Some(false)
            && self.success.is_none()
            && self.statuses.is_empty()
            && self.completed.is_open()
    }

    /// True when finished jobs may fit.
    pub(crate) fn wants_finished(&self) -> bool {
        self.queued != Some(true) && self.running.is_none() && self.due_by.is_none()
    }

    /// True when only jobs without success fit.
    pub(crate) fn wants_failed(&self) -> bool {
        self.success == Some(false)
            || (!self.statuses.is_empty() && !self.statuses.contains(&RunStatus::Success))
    }
}
