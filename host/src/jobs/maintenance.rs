//! What is done for the store now and then: tokens' last uses are written, expired idempotency keys
//! deleted, payloads erased and finished jobs forgotten whose time has come, modules that nothing
//! needs deleted, and the store is given time for its own upkeep. Of the nodes that share a store
//! one does it, except for what each knows by itself.

use super::periodic::{Again, PeriodicTask};
use super::retention::Retention;
use crate::auth::Tokens;
use crate::clock;
use crate::modules::Modules;
use crate::nodes::lead::Lead;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use wasmill_store::Store;

/// Between two looks for what may wait.
const PERIOD: Duration = Duration::from_secs(30);
/// Between two looks for payloads to erase: what a script asks for in seconds is done to a second.
const ERASE: Duration = Duration::from_secs(1);
/// Between two times of the store's own upkeep.
const UPKEEP: Duration = Duration::from_secs(630);
/// Between two looks for modules that nothing needs.
const SWEEP: Duration = Duration::from_secs(3_600);
/// Before the first of these looks.
const FIRST_SWEEP: Duration = Duration::from_secs(5);
/// Expired idempotency keys deleted at once: few enough that nothing waits for it.
const PURGED_KEYS: u32 = 10_000;
/// Payloads erased at once, for the same reason.
const ERASED: u32 = 500;

/// The name by which the nodes agree on who does it. It is stored, and the nodes of the version
/// before know it.
pub(crate) const LEAD: &str = "house";

/// What is maintained, and how.
pub(crate) struct Maintenance {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) modules: Arc<Modules>,
    /// Whether this node is the one that does what is done once.
    pub(crate) lead: Arc<Lead>,
    /// How long finished jobs are kept, where no workspace and no script says less.
    pub(crate) keep_runs: Option<Duration>,
    /// Wakes who forgets finished jobs when it was changed how long they are kept.
    pub(crate) retention_changed: Arc<Notify>,
}

impl Maintenance {
    /// The tasks, one a line.
    pub(crate) fn tasks(self: &Arc<Self>) -> Vec<PeriodicTask> {
        let retention = Arc::new(Retention {
            store: self.store.clone(),
            lead: self.lead.clone(),
            keep_runs: self.keep_runs,
        });
        let [uses, keys, payloads, upkeep, sweep] = std::array::from_fn(|_| self.clone());
        vec![
            PeriodicTask::new("write uses of tokens", PERIOD, move || uses.clone().write_uses()),
            PeriodicTask::new("purge idempotency keys", PERIOD, move || keys.clone().purge_keys())
                .by_leader(&self.lead),
            PeriodicTask::new("erase payloads", ERASE, move || payloads.clone().erase())
                .first_after(Duration::ZERO)
                .by_leader(&self.lead),
            PeriodicTask::new("forget finished jobs", ERASE, move || retention.clone().round())
                .first_after(Duration::ZERO)
                .woken_by(&self.retention_changed)
                .by_leader(&self.lead),
            PeriodicTask::new("store upkeep", UPKEEP, move || upkeep.clone().upkeep())
                .first_after(PERIOD)
                .by_leader(&self.lead),
            PeriodicTask::new("delete unused modules", SWEEP, move || sweep.clone().sweep())
                .first_after(FIRST_SWEEP)
                .by_leader(&self.lead),
        ]
    }

    /// Ends it: what this process knows is written, and the rest is left to other nodes. To be
    /// called once none of the tasks is done any more.
    pub(crate) async fn close(&self) {
        write_uses(&*self.store, &self.tokens).await;
        self.lead.leave().await;
    }

    async fn write_uses(self: Arc<Self>) -> Again {
        write_uses(&*self.store, &self.tokens).await;
        Again::Later
    }

    async fn purge_keys(self: Arc<Self>) -> Again {
        if let Err(error) = self.store.purge_idempotency(clock::now(), PURGED_KEYS).await {
            tracing::warn!(%error, "expired idempotency keys could not be deleted");
        }
        Again::Later
    }

    async fn erase(self: Arc<Self>) -> Again {
        match self.store.erase_due(clock::now(), ERASED).await {
            Ok(erased) if erased == u64::from(ERASED) => return Again::AtOnce,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "arguments, results and logs whose time has come could not be erased");
            }
        }
        Again::Later
    }

    async fn upkeep(self: Arc<Self>) -> Again {
        if let Err(error) = self.store.maintain(clock::now(), self.keep_runs).await {
            tracing::warn!(%error, "the store's upkeep could not be done");
        }
        Again::Later
    }

    async fn sweep(self: Arc<Self>) -> Again {
        match self.modules.sweep().await {
            Ok(0) => {}
            Ok(deleted) => tracing::info!(deleted, "modules that nothing needs were deleted"),
            Err(error) => {
                tracing::warn!(%error, "modules that nothing needs could not be looked for");
            }
        }
        Again::Later
    }
}

/// Writes down when tokens were last used.
async fn write_uses(store: &dyn Store, tokens: &Tokens) {
    let uses = tokens.take_uses();
    if uses.is_empty() {
        return;
    }
    if let Err(error) = store.touch_tokens(&uses).await {
        tracing::warn!(%error, "last uses of tokens could not be noted");
    }
}
