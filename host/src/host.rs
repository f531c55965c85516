//! The host's parts, put together once and shared by every request and worker.

use crate::clock::IdSource;
use crate::jobs::lead::Lead;
use crate::jobs::lease::Lease;
use crate::jobs::running::RunningJobs;
use crate::nodes::waiters::Waiters;
use crate::outbox::Outbox;
use crate::resolve::Resolver;
use crate::serve::admit::Admission;
use crate::serve::auth::Tokens;
use crate::stop::Stop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Mutex, Notify};
use tokio_util::task::TaskTracker;
use wasmill_core::answer::Policy;
use wasmill_core::problem::Code;
use wasmill_core::seal::ValueKey;
use wasmill_core::{HostLimits, JobId, Problem, RunLimits};
use wasmill_sandbox::Sandbox;
use wasmill_store::blobs::Blobs;
use wasmill_store::{Signal, Store, StoreError, WorkerId};

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
    /// What this process does of what there is to do.
    pub(crate) role: Role,
    /// Jobs that the worker of this process runs at the same time; 0 for none.
    pub(crate) workers: u32,
    /// Whose jobs they are; empty: all.
    pub(crate) tags: Vec<String>,
    /// Whether a synchronous caller waits until its run's record is on disk.
    pub(crate) durable_sync: bool,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    /// Answers requests, runs what callers wait for, and queues the rest.
    Front,
    /// Runs queued jobs. Of requests it answers those about its own health only.
    Worker,
    /// Both.
    All,
}

/// Everything a request needs. Cheap to share; never locked as a whole.
pub(crate) struct Host {
    /// What the operator decided.
    pub(crate) settings: Settings,
    /// The address that guests and printed lines name, without a slash at the end.
    pub(crate) base_url: String,
    /// Scripts, tokens, jobs.
    pub(crate) store: Arc<dyn Store>,
    /// Whether other processes have the same store.
    pub(crate) shared: bool,
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
    /// Held while a variable or a resource is read and written back changed, so that no change is
    /// lost.
    pub(crate) value_writes: Mutex<()>,
    /// Held while a workspace's settings are read and written back changed.
    pub(crate) workspace_writes: Mutex<()>,
    /// Whether this node is the one that keeps house.
    pub(crate) house: Lead,
    /// Wakes who forgets finished jobs when it was changed how long they are kept.
    pub(crate) retention_changed: Notify,
    /// Names this process in the leases of jobs.
    pub(crate) worker: WorkerId,
    /// Until when the jobs that it claimed are its own.
    pub(crate) lease: Lease,
    /// Who waits here for the end of which job.
    pub(crate) waiters: Arc<Waiters>,
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
    /// Tells the other nodes, where there may be some.
    pub(crate) fn tell(&self, signal: impl FnOnce() -> Signal) {
        if self.shared {
            self.store.signal(signal());
        }
    }

    /// Wakes the workers, this process's and others', for there may be something to claim.
    pub(crate) fn job_queued(&self) {
        self.queued.notify_one();
        self.tell(|| Signal::Queued);
    }

    /// Tells those who wait for them that jobs are over, on whichever node.
    pub(crate) fn ended(&self, ids: &[JobId]) {
        self.waiters.ended(ids);
        self.tell(|| Signal::Ended(ids.to_vec()));
    }

    /// Reads a version's compiled script, from memory when it is warm.
    ///
    /// # Errors
    /// A problem for the caller: 503 when the module cannot be read now, else it is missing or no
    /// longer compiles; the log tells more.
    pub(crate) async fn prepared(
        &self,
        deployment: &crate::resolve::Deployment,
    ) -> Result<Arc<wasmill_sandbox::Prepared>, Problem> {
        let wasmill_core::Runnable::Module { module: digest, kind } = deployment.runnable;
        if let Some(ready) = self.sandbox.prepared(&digest) {
            return Ok(ready);
        }
        let (blobs, away) = (self.blobs.clone(), Arc::new(AtomicBool::new(false)));
        let seen = away.clone();
        let fetch = move || async move {
            match blobs.get(digest).await {
                Ok(Some(bytes)) => Ok(bytes),
                Ok(None) => Err(format!("module {digest} is missing from the module store")),
                Err(error) => {
                    seen.store(matches!(error, StoreError::Unavailable(_)), Ordering::Relaxed);
                    Err(error.to_string())
                }
            }
        };
        Box::pin(self.sandbox.prepare(digest, kind, fetch)).await.map_err(|error| {
            tracing::error!(path = %deployment.path, hash = %deployment.hash, %error, "script cannot be made ready");
            match away.load(Ordering::Relaxed) {
                true => {
                    Problem::new(Code::Unavailable, "The script's module cannot be read at the moment; nothing was started").retry_after(5)
                }
                false => Problem::internal(),
            }
        })
    }
}
