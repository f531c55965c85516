//! The keys of jobs whose ids give them none, as far as this node knows them: the table `alias`.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use wasmill_core::JobId;

/// Assigned keys that are remembered.
const MAX_KEYS: usize = 16_384;

/// The assigned keys of jobs that this node claimed or began.
#[derive(Debug, Default)]
pub(super) struct AssignedKeys(Mutex<HashMap<JobId, i64>>);

impl AssignedKeys {
    fn map(&self) -> MutexGuard<'_, HashMap<JobId, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key that was assigned to this job, when it is known that one was.
    pub(super) fn key(&self, id: &JobId) -> Option<i64> {
        self.map().get(id).copied()
    }

    /// Remembers those of these jobs whose ids don't give their keys.
    pub(super) fn learn<'j>(&self, jobs: impl Iterator<Item = (i64, &'j JobId)>) {
        for (key, id) in jobs {
            if !id.is_native() || id.key() != key {
                let mut map = self.map();
                if map.len() >= MAX_KEYS {
                    map.clear();
                }
                map.insert(*id, key);
            }
        }
    }
}
