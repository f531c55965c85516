//! What started a run, and with whose rights.

use crate::auth::Caller;
use wasmill_core::JobId;
use wasmill_core::options::RunOptions;
use wasmill_store::{NewJob, Trigger};

/// What started a run, and with whose rights. A new kind of caller is one more function here.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// Where it came from.
    pub(super) trigger: Trigger,
    /// The user whose job it is.
    pub(super) user: String,
    /// SHA-256 of the token that started it.
    pub(super) token: Option<[u8; 32]>,
    /// The job that it is a part of.
    pub(super) parent: Option<JobId>,
    /// The outermost of the jobs that it is a part of.
    pub(super) root: Option<JobId>,
}

impl Origin {
    /// A call over HTTP, which may say that it is part of a job.
    pub(crate) fn call(caller: &Caller, options: &RunOptions) -> Self {
        Self {
            trigger: Trigger::Webhook,
            user: caller.user.to_string(),
            token: Some(caller.digest),
            parent: options.parent,
            root: options.root,
        }
    }

    /// Somebody who runs a finished job again: the new one is his, and part of what the old one
    /// was part of.
    pub(crate) fn restart(caller: &Caller, finished: &NewJob) -> Self {
        Self {
            trigger: Trigger::Manual,
            user: caller.user.to_string(),
            token: Some(caller.digest),
            parent: finished.parent,
            root: finished.root,
        }
    }
}
