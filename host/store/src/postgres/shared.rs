//! What the verbs and the tasks beside them have in common.

use super::assigned_keys::AssignedKeys;
use super::claims::Claims;
use super::depths::Depths;
use super::names::Names;
use super::ready::ReadyGroups;
use super::signals::Wire;
use deadpool_postgres::Pool;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// What the verbs and the tasks beside them have in common.
pub(super) struct Shared {
    pub(super) pool: Pool,
    pub(super) verb_timeout: Duration,
    /// Changes whenever something may be due in the outbox by what some process did.
    pub(super) outbox: watch::Sender<u64>,
    pub(super) wire: Wire,
    pub(super) names: Names,
    pub(super) depths: Depths,
    pub(super) ready_groups: ReadyGroups,
    pub(super) claims: Claims,
    pub(super) assigned_keys: AssignedKeys,
    /// The number given out last, see [`Shared::number`].
    pub(super) last: AtomicI64,
}

impl Shared {
    /// A number that no other call of any process has.
    pub(super) fn number(&self) -> i64 {
        self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// True when the store was closed.
    pub(super) fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }
}
