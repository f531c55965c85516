//! What every run needs.

use super::running::RunningJobs;
use crate::nodes::notifier::Notifier;
use crate::resolve::Deployment;
use crate::settings::Settings;
use crate::stop::Stop;
use crate::values::Values;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::TaskTracker;
use wasmill_core::{JobId, RunLimits, WorkspaceId};
use wasmill_sandbox::{Environment, Sandbox};
use wasmill_store::{Store, WorkerId};

/// What every run needs, and what is known of the ones that run right now.
pub(crate) struct Runner {
    pub(super) store: Arc<dyn Store>,
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) values: Arc<Values>,
    pub(super) notifier: Arc<Notifier>,
    pub(super) stop: Stop,
    /// Names this process in the leases of jobs.
    pub(super) worker: WorkerId,
    /// The address that guests are told, without a slash at the end.
    base_url: String,
    /// Bounds of one run, before a script narrows them.
    pub(super) run_limits: RunLimits,
    /// The longest wait of a caller.
    pub(super) sync_wait: Duration,
    /// Whether a caller waits until its run's record is on disk.
    pub(super) durable_sync: bool,
    /// Jobs that this process runs right now, as far as they can be looked at.
    pub(crate) running: RunningJobs,
    /// Runs that may outlast their callers, and what is done on behalf of callers that are gone.
    pub(crate) detached: TaskTracker,
}

/// What a runner is made of.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) values: Arc<Values>,
    pub(crate) notifier: Arc<Notifier>,
    pub(crate) stop: Stop,
    pub(crate) worker: WorkerId,
    pub(crate) base_url: String,
}

impl Runner {
    /// One that runs nothing yet.
    pub(crate) fn new(parts: Parts, settings: &Settings) -> Self {
        let Parts { store, sandbox, values, notifier, stop, worker, base_url } = parts;
        Self {
            store,
            sandbox,
            values,
            notifier,
            stop,
            worker,
            base_url,
            run_limits: settings.run_limits,
            sync_wait: settings.limits.sync_wait,
            durable_sync: settings.durable_sync,
            running: RunningJobs::default(),
            detached: TaskTracker::new(),
        }
    }

    /// Where jobs are kept.
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Who is told of what becomes of jobs.
    pub(crate) fn notifier(&self) -> &Notifier {
        &self.notifier
    }

    /// Names this process in the leases of jobs.
    pub(crate) fn worker(&self) -> WorkerId {
        self.worker
    }

    /// What a script is told about its run, as environment variables.
    pub(super) fn environment(
        self: &Arc<Self>,
        workspace: &WorkspaceId,
        version: &Arc<Deployment>,
        id: JobId,
    ) -> Environment {
        let (runner, workspace, version) = (self.clone(), workspace.clone(), version.clone());
        Environment::new(move || {
            vec![
                ("WM_WORKSPACE".into(), workspace.to_string()),
                ("WM_JOB_ID".into(), id.to_string()),
                ("WM_SCRIPT_PATH".into(), version.path.to_string()),
                ("WM_SCRIPT_HASH".into(), version.hash_text.to_string()),
                ("WM_BASE_URL".into(), runner.base_url.clone()),
            ]
        })
    }
}
