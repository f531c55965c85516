//! The store on plain maps under one lock: the specification in its simplest form.
//!
//! What a verb means is decided here, as plainly as it can be written; the other back ends are compared with this one
//! over random sequences of verbs. Nothing survives the process.

mod accounts;
mod fits;
mod jobs;
mod keeping;
mod outbox;
mod scripts;
mod values;

use crate::{EventId, IdempotencyKey, Job, Micros, NewToken, NewVersion, Resource, Role, StoreError, User, Variable, WorkerId, Workspace};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use wasmill_core::{JobId, ScriptPath, VersionHash, WorkspaceId};

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
    outbox: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    workspaces: BTreeMap<WorkspaceId, Workspace>,
    users: BTreeMap<String, User>,
    members: BTreeMap<(String, WorkspaceId), Role>,
    tokens: BTreeMap<[u8; 32], (NewToken, Option<Micros>)>,
    versions: HashMap<(WorkspaceId, VersionHash), NewVersion>,
    deleted: HashSet<(WorkspaceId, VersionHash)>,
    scripts: BTreeMap<(WorkspaceId, ScriptPath), Script>,
    /// Jobs by their integer key, which orders them.
    jobs: BTreeMap<i64, Entry>,
    keys: HashMap<JobId, i64>,
    leases: HashMap<WorkerId, Micros>,
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
    /// Hashes in the order of deployment, each once.
    versions: Vec<VersionHash>,
}

#[derive(Debug)]
struct Entry {
    job: Job,
    worker: Option<WorkerId>,
    /// When its payload is to be erased.
    due: Option<Micros>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// No verb leaves the maps half changed, so a panic elsewhere under the lock is no reason to stop.
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

    fn user(&self, name: &str) -> Result<&User, StoreError> {
        self.users.get(name).ok_or_else(|| StoreError::NotFound(format!("user {name}")))
    }
}
