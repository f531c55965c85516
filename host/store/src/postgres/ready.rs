//! Where jobs are ready: the workspaces, tags and priorities of waiting jobs that are not blocked,
//! and the first time of each.
//!
//! The index of waiting jobs begins with these three, and the few that occur are found by leaping
//! from one to the next. That costs little, unless somebody keeps a snapshot of the database open
//! for long: then what is left of jobs that were taken can't be cleared away, lies before those
//! that wait, and is walked over again and again. When looking has become slow, what was found last
//! is used for a while, beginning a little before where each was. Jobs that others put before
//! there, or into a group that nobody knew, are then found by the next full look; those of this
//! process at once.

use crate::Micros;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A look that takes longer than this is slow.
const SLOW: Duration = Duration::from_millis(10);
/// So many slow ones in a row, and full looks become rare.
const PATIENCE: u32 = 3;
/// Between two full looks then at least.
const RARE: Duration = Duration::from_secs(1);
/// And at least so many times as long as the last one took.
pub(super) const SHARE: u32 = 10;
/// How far before the first job of a group others may still put one, as their clocks may differ and
/// their commits be late.
const SLACK: Micros = 2_000_000;

/// Jobs that wait for the same workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Group {
    pub(super) workspace: i64,
    pub(super) tag: i64,
    /// The priority, negated.
    pub(super) rank: i32,
}

/// A group where jobs wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReadyGroup {
    pub(super) group: Group,
    /// When the first job of the group is due.
    pub(super) run_at: Micros,
    /// When the first of those is due that have room beside those that run, if there is any.
    pub(super) free_at: Option<Micros>,
    /// No job of the group is due before this moment.
    pub(super) mark: Micros,
    /// The workspace's weight.
    pub(super) weight: i64,
}

/// What is remembered of the groups with ready jobs.
#[derive(Debug, Default)]
pub(super) struct ReadyGroups {
    /// True while full looks are rare.
    rare: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    slow: u32,
    /// When the next full look is due.
    full: Option<Instant>,
    /// From where on jobs of each group are.
    marks: HashMap<Group, Micros>,
}

impl ReadyGroups {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that this process put a job into a group.
    pub(super) fn note(&self, group: Group, run_at: Micros) {
        if self.rare.load(Ordering::Acquire) {
            self.state()
                .marks
                .entry(group)
                .and_modify(|mark| *mark = run_at.min(*mark))
                .or_insert(run_at);
        }
    }

    /// The groups to look at; `None`: all, which is the caller's to do, and others go on with what
    /// is known meanwhile.
    pub(super) fn known(&self, meanwhile: Duration) -> Option<Vec<(Group, Micros)>> {
        let mut state = self.state();
        let due = state.full?;
        if Instant::now() >= due {
            state.full = Some(Instant::now() + meanwhile);
            return None;
        }
        Some(state.marks.iter().map(|(group, mark)| (*group, *mark)).collect())
    }

    /// Remembers what a full look found, and how long it took.
    pub(super) fn learn(&self, ready_groups: &[ReadyGroup], took: Duration) {
        let mut state = self.state();
        state.slow = if took > SLOW { state.slow.saturating_add(1) } else { 0 };
        if state.slow < PATIENCE {
            self.rare.store(false, Ordering::Release);
            state.full = None;
            state.marks.clear();
            return;
        }
        if state.slow == PATIENCE {
            tracing::warn!(
                milliseconds = took.as_millis() as u64,
                "looking for waiting jobs has become slow: is a transaction open in the database for long?"
            );
        }
        self.rare.store(true, Ordering::Release);
        state.full = Some(Instant::now() + RARE.max(took * SHARE));
        state.marks = ready_groups
            .iter()
            .map(|ready_group| (ready_group.group, ready_group.run_at.saturating_sub(SLACK)))
            .collect();
    }

    /// Moves on to where the groups begin now.
    pub(super) fn advance(&self, ready_groups: &[ReadyGroup]) {
        let mut state = self.state();
        for ready_group in ready_groups {
            if let Some(mark) = state.marks.get_mut(&ready_group.group) {
                *mark = ready_group.run_at.saturating_sub(SLACK).max(*mark);
            }
        }
    }
}

/// Columns of groups, as values of a statement.
pub(super) struct Groups {
    pub(super) workspaces: Vec<i64>,
    pub(super) tags: Vec<i64>,
    pub(super) ranks: Vec<i32>,
    pub(super) marks: Vec<Micros>,
}

impl Groups {
    pub(super) fn of(groups: impl Iterator<Item = (Group, Micros)>) -> Self {
        let mut columns =
            Self { workspaces: Vec::new(), tags: Vec::new(), ranks: Vec::new(), marks: Vec::new() };
        for (group, mark) in groups {
            columns.workspaces.push(group.workspace);
            columns.tags.push(group.tag);
            columns.ranks.push(group.rank);
            columns.marks.push(mark);
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(workspace: i64, run_at: Micros) -> ReadyGroup {
        ReadyGroup {
            group: Group { workspace, tag: 1, rank: 0 },
            run_at,
            free_at: Some(run_at),
            mark: Micros::MIN,
            weight: 100,
        }
    }

    #[test]
    fn full_looks_become_rare_when_they_are_slow_and_own_jobs_are_known_at_once() {
        let ready_groups = ReadyGroups::default();
        let (quick, slow) = (Duration::from_millis(1), Duration::from_millis(50));
        let (one, two) = (at(1, 10_000_000), at(2, 20_000_000));
        ready_groups.learn(&[one], slow);
        ready_groups.learn(&[one], slow);
        assert_eq!(ready_groups.known(Duration::from_secs(9)), None);
        ready_groups.learn(&[one], slow);
        assert_eq!(ready_groups.known(Duration::from_secs(9)), Some(vec![(one.group, 8_000_000)]));
        ready_groups.advance(&[at(1, 13_000_000), two]);
        assert_eq!(ready_groups.known(Duration::from_secs(9)), Some(vec![(one.group, 11_000_000)]));
        ready_groups.note(one.group, 5);
        ready_groups.note(two.group, 7);
        let mut known = ready_groups.known(Duration::from_secs(9)).unwrap();
        known.sort();
        assert_eq!(known, [(one.group, 5), (two.group, 7)]);
        ready_groups.learn(&[one], quick);
        assert_eq!(ready_groups.known(Duration::from_secs(9)), None);
        ready_groups.note(one.group, 5);
        assert_eq!(ready_groups.known(Duration::from_secs(9)), None);
    }
}
