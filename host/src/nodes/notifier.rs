//! Wakes who waits for something: here directly, on the other nodes by signals.
//!
//! Signals are hints. All that they tell of is also looked for now and then, so that a lost one
//! costs time and nothing else.

use super::waiters::Waiters;
use std::sync::Arc;
use tokio::sync::Notify;
use wasmill_core::JobId;
use wasmill_store::{Signal, Store};

/// What can happen that somebody waits for.
pub(crate) struct Notifier {
    store: Arc<dyn Store>,
    /// Whether other processes have the same store.
    pub(crate) shared: bool,
    /// Wakes the worker of this process: there may be something to claim.
    pub(crate) queued: Arc<Notify>,
    /// Wakes who stops cancelled jobs that run here.
    pub(crate) canceled: Arc<Notify>,
    /// Wakes who forgets what other nodes changed.
    pub(crate) changed: Arc<Notify>,
    /// Who waits on this node for the end of which job.
    pub(crate) waiters: Arc<Waiters>,
}

impl Notifier {
    /// Of a store that other processes may have too.
    pub(crate) fn new(store: Arc<dyn Store>, shared: bool) -> Self {
        let waiters = Arc::new(Waiters::new(store.clone(), shared));
        let (queued, canceled, changed) = Default::default();
        Self { store, shared, queued, canceled, changed, waiters }
    }

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
}
