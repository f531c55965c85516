//! What the writer thread and its callers know of each other without a message: counts, and the
//! state of the store.

use super::tally::Tally;
use crate::StoreError;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use wasmill_core::WorkspaceId;

/// Time between two warnings about dropped records.
const WARN_PERIOD: Duration = Duration::from_secs(10);

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
    /// Those of them that were synced to the disk.
    pub synced_commits: u64,
    /// Operations and records within them.
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
    /// Records sent and not yet committed.
    pub(super) pending: AtomicUsize,
    /// Bytes of them.
    pub(super) pending_bytes: AtomicUsize,
    pub(super) commits: AtomicU64,
    pub(super) synced_commits: AtomicU64,
    pub(super) operations: AtomicU64,
    pub(super) dropped_records: AtomicU64,
    pub(super) dropped_payloads: AtomicU64,
    warned: Mutex<Warned>,
    depth: Mutex<Depth>,
}

#[derive(Debug, Default)]
struct Warned {
    at: Option<Instant>,
    records: u64,
    payloads: u64,
}

/// How many jobs each workspace has, so that asking for it doesn't walk them.
#[derive(Debug, Default)]
pub(super) struct Depth {
    pub(super) workspaces: HashMap<WorkspaceId, i64>,
    pub(super) tallies: HashMap<i64, Tally>,
}

impl Counters {
    pub(super) fn new(depth: Depth) -> Self {
        Self {
            state: watch::Sender::new(State::Running),
            outbox: watch::Sender::new(0),
            generation: AtomicI64::new(0),
            urgent: AtomicBool::new(false),
            pending: AtomicUsize::new(0),
            pending_bytes: AtomicUsize::new(0),
            commits: AtomicU64::new(0),
            synced_commits: AtomicU64::new(0),
            operations: AtomicU64::new(0),
            dropped_records: AtomicU64::new(0),
            dropped_payloads: AtomicU64::new(0),
            warned: Mutex::default(),
            depth: Mutex::new(depth),
        }
    }

    /// How many jobs a workspace has.
    pub(super) fn tally(&self, workspace: &WorkspaceId) -> Tally {
        let depth = self.depth();
        let row = depth.workspaces.get(workspace);
        row.and_then(|row| depth.tallies.get(row)).copied().unwrap_or_default()
    }

    pub(super) fn depth(&self) -> MutexGuard<'_, Depth> {
        self.depth.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Takes a record out of the counts of what is on its way.
    pub(super) fn arrived(&self, bytes: usize) {
        self.pending_bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.pending.fetch_sub(1, Ordering::AcqRel);
    }

    pub(super) fn dropped_record(&self) {
        self.dropped_records.fetch_add(1, Ordering::Relaxed);
        self.warn_of_drops(false);
    }

    pub(super) fn dropped_payload(&self) {
        self.dropped_payloads.fetch_add(1, Ordering::Relaxed);
        self.warn_of_drops(false);
    }

    /// Warns of drops that no warning has told of: the first at once, later ones once per period.
    pub(super) fn warn_of_drops(&self, at_once: bool) {
        let records = self.dropped_records.load(Ordering::Relaxed);
        let payloads = self.dropped_payloads.load(Ordering::Relaxed);
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = at_once || warned.at.is_none_or(|at| at.elapsed() >= WARN_PERIOD);
        if !is_due || (records, payloads) == (warned.records, warned.payloads) {
            return;
        }
        tracing::warn!(
            records = records.saturating_sub(warned.records),
            payloads = payloads.saturating_sub(warned.payloads),
            "so many runs were not recorded, or without arguments, result and log: they finish faster than they can be, or the disk is full"
        );
        *warned = Warned { at: Some(Instant::now()), records, payloads };
    }

    pub(super) fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            commits: read(&self.commits),
            synced_commits: read(&self.synced_commits),
            operations: read(&self.operations),
            dropped_records: read(&self.dropped_records),
            dropped_payloads: read(&self.dropped_payloads),
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
