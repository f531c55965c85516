//! What a store remembers between claims.

use crate::WorkerId;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use wasmill_core::WorkspaceId;
use wasmill_core::queue::Shares;

/// The advisory lock that all claims have in common.
pub(super) const CLAIM_LOCK: i64 = 0x77_6173_636c_6169;

/// How long claims expect jobs with a concurrency limit after they saw some.
const LIMITED: Duration = Duration::from_secs(10);

/// What a store remembers between claims.
#[derive(Debug, Default)]
pub(super) struct Claims {
    shares: Mutex<Shares<WorkspaceId>>,
    /// Claims of which nobody knows what became of them, with their workers.
    lost: Mutex<Vec<(WorkerId, i64)>>,
    /// When jobs with a concurrency limit were seen.
    limited: Mutex<Option<Instant>>,
}

impl Claims {
    pub(super) fn shares(&self) -> MutexGuard<'_, Shares<WorkspaceId>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lost(&self) -> MutexGuard<'_, Vec<(WorkerId, i64)>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn forget_shares(&self) {
        *self.shares() = Shares::default();
    }

    /// Jobs with a concurrency limit were seen.
    pub(super) fn saw_limited(&self) {
        *self.limited.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// True when some are to be expected.
    pub(super) fn expects_limited(&self) -> bool {
        let seen = *self.limited.lock().unwrap_or_else(PoisonError::into_inner);
        seen.is_some_and(|seen| seen.elapsed() < LIMITED)
    }
}
