//! The store on plain maps under one lock: the specification in its simplest form.
//!
//! What a verb means is decided here, as plainly as it can be written; the other back ends are
//! compared with this one over random sequences of verbs. Nothing survives the process.

mod accounts;
mod fits;
mod jobs;
mod keeping;
mod nodes;
mod outbox;
mod scripts;
mod values;

use crate::{
    EventId, IdempotencyKey, Job, JobAttempt, Micros, NewToken, NewVersion, Resource, Role, Signal,
    StoreError, User, Variable, WorkerId, Workspace, WorkspaceSettings,
};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use wasmill_core::queue::Shares;
use wasmill_core::{Digest, JobId, ScriptPath, VersionHash, WorkspaceId};

/// A store in memory.
#[derive(Debug)]
pub struct MemoryStore {
    state: Mutex<State>,
    outbox: watch::Sender<u64>,
    signals: broadcast::Sender<Signal>,
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

#[derive(Debug, Default)]
struct State {
    /// Grows with every change of what nodes remember.
    generation: i64,
    /// Who does which task until when.
    leads: HashMap<String, (WorkerId, Micros)>,
    workspaces: BTreeMap<WorkspaceId, Workspace>,
    settings: HashMap<WorkspaceId, WorkspaceSettings>,
    users: BTreeMap<String, User>,
    members: BTreeMap<(String, WorkspaceId), Role>,
    tokens: BTreeMap<[u8; 32], (NewToken, Option<Micros>)>,
    versions: HashMap<(WorkspaceId, VersionHash), NewVersion>,
    deleted: HashSet<(WorkspaceId, VersionHash)>,
    /// Modules that are about to be put, and until when.
    reserved: HashMap<Digest, Micros>,
    /// Modules that are being collected, and until when.
    collecting: HashMap<Digest, Micros>,
    scripts: BTreeMap<(WorkspaceId, ScriptPath), Script>,
    /// Jobs by their integer key, which orders them.
    jobs: BTreeMap<i64, Entry>,
    keys: HashMap<JobId, i64>,
    leases: HashMap<WorkerId, Micros>,
    shares: Shares<WorkspaceId>,
    /// Used keys by their workspace and digest, each with the job it was used for.
    used: BTreeMap<(WorkspaceId, [u8; 32]), (IdempotencyKey, JobId)>,
    variables: BTreeMap<(WorkspaceId, String), Variable>,
    resources: BTreeMap<(WorkspaceId, String), Resource>,
    webhooks: BTreeMap<WorkspaceId, outbox::Target>,
    events: BTreeMap<EventId, outbox::Event>,
    last_event: EventId,
    dropped: u64,
}

#[derive(Debug, Default)]
struct Script {
    archived: bool,
    keep: Option<Duration>,
    /// Hashes in the order of deployment, each once.
    versions: Vec<VersionHash>,
}

#[derive(Debug)]
struct Entry {
    job: Job,
    worker: Option<WorkerId>,
    /// Attempts before the last one.
    attempts: Vec<JobAttempt>,
    /// When its payload is to be erased.
    due: Option<Micros>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets how far each workspace has come, as a process that ends does.
    #[cfg(test)]
    pub(crate) fn forget_shares(&self) {
        self.state().shares = Shares::default();
    }

    /// No verb leaves the maps half changed, so a panic elsewhere under the lock is no reason to
    /// stop.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn workspace(&self, id: &WorkspaceId) -> Result<(), StoreError> {
        match self.workspaces.contains_key(id) {
            true => Ok(()),
            false => Err(StoreError::NotFound(format!("workspace {id}"))),
        }
    }

    /// What was decided about a workspace, or the default.
    fn weighed(&self, workspace: &WorkspaceId) -> WorkspaceSettings {
        self.settings.get(workspace).copied().unwrap_or_default()
    }

    fn user(&self, name: &str) -> Result<&User, StoreError> {
        self.users.get(name).ok_or_else(|| StoreError::NotFound(format!("user {name}")))
    }
}
