//! The store and its one lock.

use super::state::State;
use crate::Signal;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{broadcast, watch};
#[cfg(test)]
use wasmill_core::queue::Shares;

/// A store in memory.
#[derive(Debug)]
pub struct MemoryStore {
    state: Mutex<State>,
    pub(super) outbox: watch::Sender<u64>,
    pub(super) signals: broadcast::Sender<Signal>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            outbox: watch::Sender::default(),
            signals: broadcast::Sender::new(64),
        }
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the workspaces' passes, as a process that ends does.
    #[cfg(test)]
    pub(crate) fn forget_shares(&self) {
        self.state().shares = Shares::default();
    }

    /// No verb leaves the maps half changed, so a panic elsewhere under the lock is no reason to
    /// stop.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
