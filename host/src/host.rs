//! The host's parts, put together once and shared by every request and worker.

use crate::clock::IdSource;
use crate::jobs::lead::Lead;
use crate::jobs::running::RunningJobs;
use crate::outbox::Outbox;
use crate::resolve::Resolver;
use crate::serve::admit::Admission;
use crate::serve::auth::Tokens;
use crate::stop::Stop;
use std::sync::Arc;
use tokio::sync::{Mutex, Notify};
use tokio_util::task::TaskTracker;
use wasmill_core::answer::Policy;
use wasmill_core::seal::ValueKey;
use wasmill_core::{HostLimits, RunLimits};
use wasmill_sandbox::Sandbox;
use wasmill_store::blobs::Blobs;
use wasmill_store::{Store, WorkerId};

/// What the operator decided.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Bounds of the process.
    pub(crate) limits: HostLimits,
    /// Bounds of one run, before a script narrows them.
    pub(crate) run_limits: RunLimits,
    /// How outcomes are answered.
    pub(crate) answers: Policy,
    /// Headers that become arguments of every call, comma separated.
    pub(crate) include_headers: String,
    /// Jobs that the worker of this process runs at the same time; 0 for none.
    pub(crate) workers: u32,
    /// Whether a synchronous caller waits until its run's record is on disk.
    pub(crate) durable_sync: bool,
}

/// Everything a request needs. Cheap to share; never locked as a whole.
pub(crate) struct Host {
    /// What the operator decided.
    pub(crate) settings: Settings,
    /// The address that guests and printed lines name, without a slash at the end.
    pub(crate) base_url: String,
    /// Scripts, tokens, jobs.
    pub(crate) store: Arc<dyn Store>,
    /// Module bytes.
    pub(crate) blobs: Blobs,
    /// Where scripts run.
    pub(crate) sandbox: Arc<Sandbox>,
    /// Paths and hashes to versions.
    pub(crate) resolver: Resolver,
    /// Tokens to callers.
    pub(crate) tokens: Tokens,
    /// How much runs at once.
    pub(crate) admission: Admission,
    /// Jobs that this process runs right now.
    pub(crate) running: RunningJobs,
    /// What variables and resources are sealed with.
    pub(crate) value_key: ValueKey,
    /// Held while a variable or a resource is read and written back changed, so that no change is lost.
    pub(crate) value_writes: Mutex<()>,
    /// Held while a workspace's settings are read and written back changed.
    pub(crate) workspace_writes: Mutex<()>,
    /// Whether this node is the one that keeps house.
    pub(crate) house: Lead,
    /// Wakes who forgets finished jobs when it was changed how long they are kept.
    pub(crate) retention_changed: Notify,
    /// Names this process in the leases of jobs.
    pub(crate) worker: WorkerId,
    /// Synchronous runs that may outlast their callers.
    pub(crate) unattended: TaskTracker,
    /// Makes job ids.
    pub(crate) ids: IdSource,
    /// Wakes the worker when something was queued.
    pub(crate) queued: Notify,
    /// How workspaces' webhooks are told of changes.
    pub(crate) outbox: Outbox,
    /// The two stop signals.
    pub(crate) stop: Stop,
}

impl Host {
    /// Reads a version's compiled script, from memory when it is warm.
    ///
    /// # Errors
    /// A problem for the caller: the module is missing or no longer compiles; the log tells more.
    pub(crate) async fn prepared(
        &self,
        deployment: &crate::resolve::Deployment,
    ) -> Result<Arc<wasmill_sandbox::Prepared>, wasmill_core::Problem> {
        let digest = deployment.module;
        if let Some(ready) = self.sandbox.prepared(&digest) {
            return Ok(ready);
        }
        let blobs = self.blobs.clone();
        let fetch = move || async move {
            match blobs.get(digest).await {
                Ok(Some(bytes)) => Ok(bytes),
                Ok(None) => Err(format!("module {digest} is missing from the module store")),
                Err(error) => Err(error.to_string()),
            }
        };
        self.sandbox.prepare(digest, deployment.kind, fetch).await.map_err(|error| {
            tracing::error!(path = %deployment.path, hash = %deployment.hash, %error, "script cannot be made ready");
            wasmill_core::Problem::internal()
        })
    }
}
