//! What the store in memory holds.

use crate::common::refusals;
use crate::{
    Attempt, DeliveryState, EventId, IdempotencyKey, Job, JobAttempt, Micros, NewToken, NewVersion,
    Resource, Role, StoreError, User, Variable, Webhook, WorkerId, Workspace, WorkspaceSettings,
};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;
use wasmill_core::outbox::Change;
use wasmill_core::queue::Shares;
use wasmill_core::{Digest, JobId, ScriptPath, UserName, ValuePath, VersionHash, WorkspaceId};

#[derive(Debug, Default)]
pub(super) struct State {
    /// Grows with every change of what nodes remember.
    pub(super) generation: i64,
    /// Who does which task until when.
    pub(super) leads: HashMap<String, (WorkerId, Micros)>,
    pub(super) workspaces: BTreeMap<WorkspaceId, Workspace>,
    pub(super) settings: HashMap<WorkspaceId, WorkspaceSettings>,
    pub(super) users: BTreeMap<UserName, User>,
    pub(super) members: BTreeMap<(UserName, WorkspaceId), Role>,
    pub(super) tokens: BTreeMap<[u8; 32], (NewToken, Option<Micros>)>,
    pub(super) versions: HashMap<(WorkspaceId, VersionHash), NewVersion>,
    pub(super) deleted: HashSet<(WorkspaceId, VersionHash)>,
    /// Modules that are about to be put, and until when.
    pub(super) reserved: HashMap<Digest, Micros>,
    /// Modules that are being collected, and until when.
    pub(super) collecting: HashMap<Digest, Micros>,
    pub(super) scripts: BTreeMap<(WorkspaceId, ScriptPath), Script>,
    /// Jobs by their integer key, which orders them.
    pub(super) jobs: BTreeMap<i64, Entry>,
    pub(super) keys: HashMap<JobId, i64>,
    pub(super) leases: HashMap<WorkerId, Micros>,
    pub(super) shares: Shares<WorkspaceId>,
    /// Used keys by their workspace and digest, each with the job it was used for.
    pub(super) used: BTreeMap<(WorkspaceId, [u8; 32]), (IdempotencyKey, JobId)>,
    pub(super) variables: BTreeMap<(WorkspaceId, ValuePath), Variable>,
    pub(super) resources: BTreeMap<(WorkspaceId, ValuePath), Resource>,
    pub(super) webhooks: BTreeMap<WorkspaceId, Target>,
    pub(super) events: BTreeMap<EventId, Event>,
    pub(super) last_event: EventId,
    pub(super) dropped: u64,
}

#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) archived: bool,
    pub(super) keep: Option<Duration>,
    /// Hashes in the order of deployment, each once.
    pub(super) versions: Vec<VersionHash>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) job: Job,
    pub(super) worker: Option<WorkerId>,
    /// Attempts before the last one.
    pub(super) attempts: Vec<JobAttempt>,
    /// When its payload is to be erased.
    pub(super) due: Option<Micros>,
}

/// A webhook, and when the oldest event that waits for it is due.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) webhook: Webhook,
    pub(super) due: Option<Micros>,
}

#[derive(Debug)]
pub(super) struct Event {
    pub(super) workspace: WorkspaceId,
    pub(super) change: Change,
    pub(super) at: Micros,
    pub(super) state: DeliveryState,
    pub(super) attempts: u32,
    pub(super) log: Vec<Attempt>,
}

impl Event {
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.state, DeliveryState::Waiting(_))
    }
}

impl State {
    pub(super) fn workspace(&self, id: &WorkspaceId) -> Result<(), StoreError> {
        match self.workspaces.contains_key(id) {
            true => Ok(()),
            false => Err(refusals::no_workspace(id)),
        }
    }

    /// What was decided about a workspace, or the default.
    pub(super) fn settings_of(&self, workspace: &WorkspaceId) -> WorkspaceSettings {
        self.settings.get(workspace).copied().unwrap_or_default()
    }

    pub(super) fn user(&self, name: &UserName) -> Result<&User, StoreError> {
        self.users.get(name).ok_or_else(|| refusals::no_user(name))
    }
}
