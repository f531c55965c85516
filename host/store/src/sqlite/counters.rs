//! What the writer thread and its callers know of each other without a message: counts, and the
//! state of the store.

use super::job_counts::JobCounts;
use crate::StoreError;
use crate::common::backlog::Backlog;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use wasmill_core::WorkspaceId;

/// Whether the store works.
#[derive(Debug, Clone)]
pub(super) enum State {
    Running,
    Failed(Arc<str>),
    Closed,
}

/// What the store has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Committed transactions.
    pub commits: u64,
    /// Committed transactions that were synced to the disk.
    pub synced_commits: u64,
    /// Operations and records within the transactions.
    pub operations: u64,
    /// Records that were dropped.
    pub dropped_records: u64,
    /// Records that were kept without arguments, result and log.
    pub dropped_payloads: u64,
}

#[derive(Debug)]
pub(super) struct Counters {
    pub(super) state: watch::Sender<State>,
    /// Changes whenever something may be due in the outbox.
    pub(super) outbox: watch::Sender<u64>,
    /// Grows with every change of what nodes remember.
    pub(super) generation: AtomicI64,
    /// Set when somebody waits for the writer, which then lingers no longer.
    pub(super) urgent: AtomicBool,
    /// Records on their way.
    pub(super) backlog: Backlog,
    pub(super) commits: AtomicU64,
    pub(super) synced_commits: AtomicU64,
    pub(super) operations: AtomicU64,
    totals: Mutex<Totals>,
}

/// How many jobs each workspace has, so that asking for it doesn't walk them.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// The row of each workspace.
    pub(super) workspaces: HashMap<WorkspaceId, i64>,
    pub(super) counts: HashMap<i64, JobCounts>,
}

impl Counters {
    pub(super) fn new(totals: Totals) -> Self {
        Self {
            state: watch::Sender::new(State::Running),
            outbox: watch::Sender::new(0),
            generation: AtomicI64::new(0),
            urgent: AtomicBool::new(false),
            backlog: Backlog::default(),
            commits: AtomicU64::new(0),
            synced_commits: AtomicU64::new(0),
            operations: AtomicU64::new(0),
            totals: Mutex::new(totals),
        }
    }

    /// How many jobs a workspace has.
    pub(super) fn jobs_of(&self, workspace: &WorkspaceId) -> JobCounts {
        let totals = self.totals();
        let row = totals.workspaces.get(workspace);
        row.and_then(|row| totals.counts.get(row)).copied().unwrap_or_default()
    }

    /// Notes a new workspace.
    pub(super) fn add_workspace(&self, id: WorkspaceId, row: i64) {
        self.totals().workspaces.insert(id, row);
    }

    /// Adds changes of the numbers of jobs, by workspace row.
    pub(super) fn add_up(&self, changes: HashMap<i64, JobCounts>) {
        let mut totals = self.totals();
        for (workspace, change) in changes {
            *totals.counts.entry(workspace).or_default() += change;
        }
    }

    fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks the store as dead; the first reason stays.
    pub(super) fn fail(&self, reason: &str) {
        self.state.send_if_modified(|state| {
            let running = matches!(state, State::Running);
            if running {
                *state = State::Failed(reason.into());
            }
            running
        });
    }

    /// Why nothing can be done any more, if so.
    pub(super) fn stopped(&self) -> Option<StoreError> {
        match &*self.state.borrow() {
            State::Running => None,
            State::Failed(reason) => Some(StoreError::Unavailable(reason.to_string())),
            State::Closed => Some(StoreError::Unavailable("the store is closed".into())),
        }
    }

    /// The answer when the writer is no longer there to give one.
    pub(super) fn gone(&self) -> StoreError {
        self.stopped().unwrap_or_else(|| {
            StoreError::Unavailable("the store stopped before it had confirmed the change".into())
        })
    }

    pub(super) fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            commits: read(&self.commits),
            synced_commits: read(&self.synced_commits),
            operations: read(&self.operations),
            dropped_records: self.backlog.dropped_records(),
            dropped_payloads: self.backlog.dropped_payloads(),
        }
    }
}

/// Fails the store when the writer thread ends in a way that it did not announce.
pub(super) struct DeathWatch(pub(super) Arc<Counters>);

impl Drop for DeathWatch {
    fn drop(&mut self) {
        self.0.fail("the storage thread ended unexpectedly");
    }
}
