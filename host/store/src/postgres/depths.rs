//! How many jobs wait or run in each workspace, without asking the database at every call.
//!
//! What other nodes do is looked up once a second; what this one does is added at once. A look-up
//! during which this node wrote may count something twice or not at all, so it serves only while
//! there is writing, and is done again after it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How old what was looked up may be.
const FRESH: Duration = Duration::from_secs(1);

/// Workspaces that are remembered.
const MAX_WORKSPACES: usize = 65_536;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Depths(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    known: HashMap<i64, Known>,
    /// Changes that this node has begun and not yet confirmed or given up.
    writing: usize,
    /// All that it ever began.
    begun: u64,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    depth: i64,
    at: Instant,
    /// Nothing was written while it was looked up.
    exact: bool,
}

/// A moment, to be compared with a later one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    at: Instant,
    writing: bool,
    begun: u64,
}

/// A change under way.
#[derive(Debug)]
pub(super) struct Writing<'a> {
    depths: &'a Depths,
    confirmed: bool,
}

impl Depths {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The depth of a workspace, when what is known of it will do.
    pub(super) fn known(&self, workspace: i64) -> Option<u64> {
        let state = self.state();
        let known = state.known.get(&workspace)?;
        let serves = known.at.elapsed() < FRESH && (known.exact || state.writing > 0);
        serves.then(|| u64::try_from(known.depth).unwrap_or(0))
    }

    /// To be called before the database is asked.
    pub(super) fn before(&self) -> Before {
        let state = self.state();
        Before { at: Instant::now(), writing: state.writing > 0, begun: state.begun }
    }

    /// Remembers what was found.
    pub(super) fn learn(&self, before: Before, found: impl Iterator<Item = (i64, i64)>) {
        let mut state = self.state();
        let exact = !before.writing && state.begun == before.begun;
        if state.known.len() >= MAX_WORKSPACES {
            state.known.clear();
        }
        for (workspace, depth) in found {
            state.known.insert(workspace, Known { depth, at: before.at, exact });
        }
    }

    #[cfg(test)]
    pub(super) fn forget(&self) {
        self.state().known.clear();
    }

    /// To be called before something is written that changes depths.
    pub(super) fn begin(&self) -> Writing<'_> {
        let mut state = self.state();
        state.writing += 1;
        state.begun += 1;
        Writing { depths: self, confirmed: false }
    }
}

impl Writing<'_> {
    /// The change is committed, and changed depths by so much.
    pub(super) fn confirm(mut self, changes: impl IntoIterator<Item = (i64, i64)>) {
        let mut state = self.depths.state();
        for (workspace, change) in changes {
            if let Some(known) = state.known.get_mut(&workspace) {
                known.depth += change;
            }
        }
        drop(state);
        self.confirmed = true;
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let mut state = self.depths.state();
        state.writing = state.writing.saturating_sub(1);
        if !self.confirmed {
            // Nobody knows what was done.
            state.known.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_changes_count_at_once_and_blurred_looks_only_while_writing() {
        let depths = Depths::default();
        assert_eq!(depths.known(1), None);
        depths.learn(depths.before(), [(1, 5)].into_iter());
        assert_eq!(depths.known(1), Some(5));
        depths.begin().confirm([(1, 2), (2, 7)]);
        assert_eq!((depths.known(1), depths.known(2)), (Some(7), None));

        let writing = depths.begin();
        let before = depths.before();
        depths.learn(before, [(1, 9)].into_iter());
        assert_eq!(depths.known(1), Some(9));
        writing.confirm([(1, 1)]);
        assert_eq!(depths.known(1), None);

        let before = depths.before();
        depths.begin().confirm([]);
        depths.learn(before, [(1, 9)].into_iter());
        assert_eq!(depths.known(1), None);

        depths.learn(depths.before(), [(1, 9)].into_iter());
        drop(depths.begin());
        assert_eq!(depths.known(1), None);
    }
}
