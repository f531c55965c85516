//! The host's parts, put together once. Only the roof takes them all: the front end, the API, and
//! the calls. Each part has what it needs and nothing else.

use crate::admission::{Permits, QueueBounds};
use crate::auth::Tokens;
use crate::ids::IdSource;
use crate::jobs::lease::Lease;
use crate::jobs::maintenance::{self, Maintenance};
use crate::jobs::periodic::{Again, PeriodicTask};
use crate::jobs::{cancel, worker::Worker};
use crate::modules::Modules;
use crate::nodes::lead::{Lead, Node};
use crate::nodes::listen::Remembered;
use crate::nodes::notifier::Notifier;
use crate::outbox::{Outbox, Telling};
use crate::resolve::Resolver;
use crate::run::{Parts, Runner};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::values::Values;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Notify};
use wasmill_core::seal::ValueKey;
use wasmill_sandbox::Sandbox;
use wasmill_store::Store;
use wasmill_store::blobs::Blobs;

/// Everything a request needs. Cheap to share; never locked as a whole.
pub(crate) struct Host {
    /// What the operator decided.
    pub(crate) settings: Settings,
    /// Scripts, tokens, jobs.
    pub(crate) store: Arc<dyn Store>,
    /// Module bytes.
    pub(crate) blobs: Blobs,
    /// Where scripts run.
    pub(crate) sandbox: Arc<Sandbox>,
    /// The modules of versions, and what they are compiled to.
    pub(crate) modules: Arc<Modules>,
    /// Paths and hashes to versions.
    pub(crate) resolver: Arc<Resolver>,
    /// Tokens to callers.
    pub(crate) tokens: Arc<Tokens>,
    /// How much runs at once.
    pub(crate) permits: Arc<Permits>,
    /// How much may wait.
    pub(crate) queue_bounds: QueueBounds,
    /// What every run needs.
    pub(crate) runner: Arc<Runner>,
    /// Variables and resources.
    pub(crate) values: Arc<Values>,
    /// Held while a workspace's settings are read and written back changed.
    pub(crate) workspace_writes: Mutex<()>,
    /// Wakes who forgets finished jobs when it was changed how long they are kept.
    pub(crate) retention_changed: Arc<Notify>,
    /// Wakes who waits for something, on whichever node.
    pub(crate) notifier: Arc<Notifier>,
    /// Makes job ids.
    pub(crate) ids: IdSource,
    /// How workspaces' webhooks are told of changes.
    pub(crate) outbox: Arc<Outbox>,
    /// The two stop signals.
    pub(crate) stop: Stop,
    /// Until when the jobs that this process claimed are its own.
    pub(crate) lease: Arc<Lease>,
    node: Node,
    maintenance: Arc<Maintenance>,
}

/// What a host stands on: what had to be opened first.
pub(crate) struct Foundation {
    /// The store, and who this process is to the others that share it.
    pub(crate) node: Node,
    /// Module bytes.
    pub(crate) blobs: Blobs,
    /// Where scripts run.
    pub(crate) sandbox: Arc<Sandbox>,
    /// What variables and resources are sealed with.
    pub(crate) value_key: ValueKey,
    /// The address that guests and printed lines name, without a slash at the end.
    pub(crate) base_url: String,
    /// What the operator decided about telling workspaces' webhooks.
    pub(crate) telling: Telling,
}

impl Host {
    /// Puts the parts together. Nothing runs yet.
    pub(crate) fn new(settings: Settings, foundation: Foundation) -> Self {
        let Foundation { node, blobs, sandbox, value_key, base_url, telling } = foundation;
        let store = node.store.clone();
        let stop = Stop::default();
        let notifier = Arc::new(Notifier::new(store.clone(), node.shared));
        let values = Arc::new(Values::new(store.clone(), value_key));
        let modules = Arc::new(Modules::new(store.clone(), blobs.clone(), sandbox.clone()));
        let resolver = Arc::new(Resolver::new(store.clone(), settings.run_limits));
        let tokens = Arc::new(Tokens::new(store.clone()));
        let outbox = Outbox::new(store.clone(), values.clone(), base_url.clone(), telling);
        let parts = Parts {
            store: store.clone(),
            sandbox: sandbox.clone(),
            values: values.clone(),
            notifier: notifier.clone(),
            stop: stop.clone(),
            worker: node.id,
            base_url,
        };
        let runner = Arc::new(Runner::new(parts, &settings));
        let retention_changed = Arc::new(Notify::new());
        let maintenance = Maintenance {
            store: store.clone(),
            tokens: tokens.clone(),
            modules: modules.clone(),
            lead: Arc::new(Lead::of(maintenance::LEAD, node.clone())),
            keep_runs: settings.limits.keep_runs,
            retention_changed: retention_changed.clone(),
        };
        Self {
            permits: Arc::new(Permits::new(&settings.limits)),
            queue_bounds: QueueBounds::new(store.clone(), settings.limits.queued_jobs),
            lease: Arc::new(Lease::of(runner.clone(), settings.lease)),
            workspace_writes: Mutex::default(),
            ids: IdSource::default(),
            outbox: Arc::new(outbox),
            maintenance: Arc::new(maintenance),
            settings,
            store,
            blobs,
            sandbox,
            modules,
            resolver,
            tokens,
            runner,
            values,
            retention_changed,
            notifier,
            stop,
            node,
        }
    }

    /// The worker of this process.
    pub(crate) fn worker(&self) -> Arc<Worker> {
        Arc::new(Worker {
            store: self.store.clone(),
            resolver: self.resolver.clone(),
            modules: self.modules.clone(),
            permits: self.permits.clone(),
            runner: self.runner.clone(),
            notifier: self.notifier.clone(),
            lease: self.lease.clone(),
            stop: self.stop.clone(),
            places: self.settings.workers,
            tags: self.settings.tags.clone(),
        })
    }

    /// A task that one of the nodes does at a time.
    pub(crate) fn lead(&self, task: &'static str) -> Lead {
        Lead::of(task, self.node.clone())
    }

    /// What is done now and then until the host has stopped: the whole list.
    pub(crate) fn periodic_tasks(&self) -> Vec<PeriodicTask> {
        let lease = self.lease.clone();
        let beat = PeriodicTask::new("extend the lease", lease.beat_period(), move || {
            let lease = lease.clone();
            async move {
                lease.beat().await;
                Again::Later
            }
        });
        let mut tasks = self.maintenance.tasks();
        tasks.push(beat.first_after(Duration::ZERO));
        if self.notifier.shared {
            tasks.extend(self.tasks_among_nodes());
        }
        tasks
    }

    /// What is done because other processes have the same store.
    fn tasks_among_nodes(&self) -> [PeriodicTask; 3] {
        let (lease, runner) = (self.lease.clone(), self.runner.clone());
        let remembered = Arc::new(Remembered::new(
            self.store.clone(),
            self.resolver.clone(),
            self.tokens.clone(),
        ));
        let watch = PeriodicTask::new("watch the lease", WATCH, move || {
            lease.watch();
            std::future::ready(Again::Later)
        });
        let forget = PeriodicTask::new("forget what other nodes changed", LOOK, move || {
            let remembered = remembered.clone();
            async move {
                remembered.forget_what_changed().await;
                Again::Later
            }
        });
        let stop = PeriodicTask::new("stop what other nodes cancelled", CANCELED, move || {
            let runner = runner.clone();
            async move {
                cancel::stop_canceled(&runner).await;
                Again::Later
            }
        });
        [
            watch,
            forget.first_after(Duration::ZERO).woken_by(&self.notifier.changed),
            stop.woken_by(&self.notifier.canceled),
        ]
    }

    /// Writes what this process alone knows, once nothing is done any more.
    pub(crate) async fn close(&self) {
        self.maintenance.close().await;
    }
}

/// Between two looks whether the lease still holds.
const WATCH: Duration = Duration::from_millis(250);
/// Between two looks whether scripts or tokens have changed: within a second every node knows.
const LOOK: Duration = Duration::from_millis(400);
/// Between two looks for cancelled jobs that run here.
const CANCELED: Duration = Duration::from_secs(2);
