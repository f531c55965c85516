//! The one storage seam: what the host keeps, as domain verbs.
//!
//! Every verb is one transaction, takes the workspace where there is one, and is batch-shaped where
//! the hot path needs it. No transaction type and no SQL leak out. Times and ids come in as
//! arguments. SQLite is the embedded back end and PostgreSQL the one that many processes share; the
//! in-memory model is the specification in its simplest form. One conformance suite runs against
//! every one.

#![forbid(unsafe_code)]

pub mod blobs;
mod changes;
mod ends;
mod item;
mod keys;
pub mod memory;
pub mod model;
pub mod postgres;
pub mod sqlite;
mod tls;

#[cfg(test)]
mod conformance;

pub use ends::canceled_result;
pub use model::*;

use async_trait::async_trait;
use std::time::Duration;
use wasmill_core::{Digest, JobId, ScriptPath, VersionHash, WorkspaceId};

/// Why a verb could not be done, as the decisions a caller can take.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The workspace (or another parent row) that the verb names is not there.
    #[error("{0} does not exist")]
    NotFound(String),
    /// It is there already, or was changed meanwhile.
    #[error("{0}")]
    Conflict(String),
    /// The disk or the file is full; reading goes on.
    #[error("the storage is full: {0}")]
    Full(String),
    /// The store is not reachable or has stopped after a failed commit. Nothing was acknowledged.
    #[error("the storage is not available: {0}")]
    Unavailable(String),
    /// What is stored cannot be read back.
    #[error("the stored data is damaged: {0}")]
    Corrupt(String),
}

/// Shorthand of this crate.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Workspaces, users and tokens.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Makes a workspace; `Conflict` when the name is taken.
    async fn create_workspace(&self, id: &WorkspaceId, name: &str, at: Micros) -> Result<()>;
    /// All workspaces by name.
    async fn list_workspaces(&self) -> Result<Vec<Workspace>>;
    /// What was decided about a workspace: the default until somebody did. `NotFound` when it is
    /// missing.
    async fn workspace_settings(&self, workspace: &WorkspaceId) -> Result<WorkspaceSettings>;
    /// Changes that. `NotFound` when the workspace is missing.
    async fn put_workspace_settings(
        &self,
        workspace: &WorkspaceId,
        settings: &WorkspaceSettings,
    ) -> Result<()>;
    /// Makes a user or changes the existing one of that name, which keeps its `created`.
    async fn put_user(&self, user: &User) -> Result<()>;
    /// The user of this name.
    async fn user(&self, name: &str) -> Result<Option<User>>;
    /// All users by name.
    async fn list_users(&self) -> Result<Vec<User>>;
    /// Makes a user a member of a workspace, or changes the role. `NotFound` when either is
    /// missing.
    async fn put_member(&self, workspace: &WorkspaceId, user: &str, role: Role) -> Result<()>;
    /// A workspace's members and what they may do there, by name.
    async fn list_members(&self, workspace: &WorkspaceId) -> Result<Vec<(User, Role)>>;
    /// Ends a membership; false when there is none.
    async fn remove_member(&self, workspace: &WorkspaceId, user: &str) -> Result<bool>;
    /// Keeps a new token; `Conflict` when its digest is there already, `NotFound` when user or
    /// workspace is missing.
    async fn put_token(&self, token: &NewToken) -> Result<()>;
    /// The token of this digest with its user and the roles that user has, expired ones included;
    /// `None` when unknown or revoked.
    async fn find_token(&self, digest: &[u8; 32]) -> Result<Option<TokenOwner>>;
    /// A user's tokens, newest first, then by digest.
    async fn list_tokens(&self, user: &str) -> Result<Vec<TokenInfo>>;
    /// The tokens of this one workspace that have this very scope, newest first, then by digest:
    /// those of a webhook.
    async fn tokens_for_scope(
        &self,
        workspace: &WorkspaceId,
        scope: &str,
    ) -> Result<Vec<TokenInfo>>;
    /// Deletes the user's tokens with this prefix and returns their digests, so that caches can
    /// forget them.
    async fn revoke_tokens(&self, user: &str, prefix: &str) -> Result<Vec<[u8; 32]>>;
    /// Changes the user's tokens with this prefix and returns their digests, so that caches can
    /// forget them.
    async fn change_tokens(
        &self,
        user: &str,
        prefix: &str,
        change: &TokenChange,
    ) -> Result<Vec<[u8; 32]>>;
    /// Notes last uses; unknown digests are skipped, and so is a use older than the one noted.
    async fn touch_tokens(&self, uses: &[([u8; 32], Micros)]) -> Result<()>;
}

/// Scripts and their versions.
#[async_trait]
pub trait Scripts: Send + Sync {
    /// Deploys a version. The same hash as the path's newest one changes nothing (`created:
    /// false`); the hash of an older version of that path deploys that one again as the newest,
    /// without a second row in the history of hashes. A deleted version comes back by it, as new.
    /// `NotFound` when the workspace is missing.
    async fn deploy(&self, workspace: &WorkspaceId, version: &NewVersion) -> Result<Deployed>;
    /// The newest deployed version of a path that is not deleted; `None` when there is none or the
    /// path is archived.
    async fn newest(&self, workspace: &WorkspaceId, path: &ScriptPath) -> Result<Option<Version>>;
    /// The version of this hash in this workspace, also a deleted one or one of an archived path. A
    /// hash of another workspace is `None`.
    async fn version(&self, workspace: &WorkspaceId, hash: &VersionHash)
    -> Result<Option<Version>>;
    /// What `newest` finds for each path, by path, after `after`, at most `limit`.
    async fn list_scripts(
        &self,
        workspace: &WorkspaceId,
        after: Option<&ScriptPath>,
        limit: u32,
    ) -> Result<Vec<Version>>;
    /// A path's versions, deleted ones included, newest deployment first.
    async fn history(
        &self,
        workspace: &WorkspaceId,
        path: &ScriptPath,
        limit: u32,
    ) -> Result<Vec<Version>>;
    /// Archives a path: `newest` no longer finds it, `version` still does. False when there is no
    /// such path. Deploying to it again brings it back.
    async fn archive(&self, workspace: &WorkspaceId, path: &ScriptPath, at: Micros)
    -> Result<bool>;
    /// Deletes a version: nothing new can be queued for it, and what is left of it tells that it
    /// was there. False when there is no such version or it is deleted already.
    async fn delete_version(
        &self,
        workspace: &WorkspaceId,
        hash: &VersionHash,
        at: Micros,
    ) -> Result<bool>;
    /// True when a version of any workspace that is not deleted needs this module.
    async fn module_in_use(&self, module: &Digest) -> Result<bool>;
    /// Keeps a module from being collected until `until`, for it is about to be put and deployed.
    /// `Conflict` while it is being collected at `now`: the caller tries again a moment later.
    async fn reserve_module(&self, module: &Digest, now: Micros, until: Micros) -> Result<()>;
    /// Begins to collect a module: true when no version that is not deleted needs it, nobody has it
    /// reserved at `now`, and nobody else is collecting it. Until `module_collected`, or `until`
    /// should that never come, it cannot be reserved.
    async fn collect_module(&self, module: &Digest, now: Micros, until: Micros) -> Result<bool>;
    /// Ends that: the module's bytes are gone, or were left.
    async fn module_collected(&self, module: &Digest) -> Result<()>;
    /// Sets how long finished jobs of a script are kept; `None`: as the workspace says. False when
    /// there is no such path.
    async fn set_retention(
        &self,
        workspace: &WorkspaceId,
        path: &ScriptPath,
        keep: Option<Duration>,
    ) -> Result<bool>;
    /// The scripts for which that is set, by path.
    async fn retentions(&self, workspace: &WorkspaceId) -> Result<Vec<(ScriptPath, Duration)>>;
}

/// The durable queue, and the record of what ran.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Queues jobs; returns once they are durable. All or none. `Conflict` when an id is taken,
    /// `NotFound` when the workspace has no such version or it is deleted.
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<()>;
    /// Queues a job unless one was queued under this key before, in the job's workspace and not yet
    /// expired when the job was `created`. Errors as of `enqueue`; the key is then not used up.
    async fn enqueue_once(&self, key: &IdempotencyKey, job: NewJob) -> Result<Enqueued>;
    /// Forgets up to `limit` keys that have expired at `now`, the oldest first, and returns how
    /// many.
    async fn purge_idempotency(&self, now: Micros, limit: u32) -> Result<u64>;
    /// Takes up to `limit` waiting jobs that are due at `now` and have one of `tags` (none: any
    /// tag) under `worker`'s lease, and counts the attempt. How many of each workspace goes by
    /// [`wasmill_core::queue::Shares`] over the workspaces' weights. Within a workspace larger
    /// priorities come first, then earlier times, then older jobs; those whose concurrency limit is
    /// reached, the jobs just taken included, are passed over.
    async fn claim(
        &self,
        worker: WorkerId,
        now: Micros,
        limit: u32,
        tags: &[String],
    ) -> Result<Vec<ClaimedJob>>;
    /// Takes a run that was begun outside of the queue in as a running job of `worker`, started at
    /// `started`, as if that worker had claimed it as its first attempt: from then on it is held,
    /// fenced and rescued like any other. Durable on return. `Conflict` when its id is taken,
    /// `NotFound` when the workspace has no such version; one that was deleted meanwhile is no
    /// reason to refuse.
    async fn adopt(&self, job: NewJob, worker: WorkerId, started: Micros) -> Result<Claim>;
    /// Cancels jobs, and tells of each what became of it. A waiting one is over at once; a running
    /// one is marked and never starts again, whatever becomes of its worker. What was said first
    /// stays.
    async fn cancel(
        &self,
        workspace: &WorkspaceId,
        ids: &[JobId],
        by: &str,
        reason: Option<&str>,
        at: Micros,
    ) -> Result<Vec<CancelOutcome>>;
    /// Which of a worker's jobs are marked as cancelled, oldest first.
    async fn canceled(&self, worker: WorkerId) -> Result<Vec<Claim>>;
    /// Notes that a worker is alive: its jobs are its own until `until`. Registers an unknown
    /// worker, and returns false then: one that was known before has lost what it held to `rescue`.
    async fn extend_lease(&self, worker: WorkerId, until: Micros) -> Result<bool>;
    /// Gives running jobs whose worker's lease ended before `now` back to the queue and returns how
    /// many; the attempt stays counted, and is kept as lost. A job of which as many attempts as it
    /// may have were lost becomes a failed run record instead, and one that is marked as cancelled
    /// a cancelled one; they are not among them. Workers without a lease are forgotten. With
    /// `everything`, all running jobs: for the start of a host that is alone with its store.
    async fn rescue(&self, now: Micros, everything: bool) -> Result<u64>;
    /// Gives a worker's claimed jobs back without counting the attempt: they were cut off by a
    /// shutdown. One that is marked as cancelled becomes a run record instead and is not among
    /// those counted.
    async fn release(&self, worker: WorkerId, jobs: &[Claim]) -> Result<u64>;
    /// Moves claimed jobs to the run records in one atomic step; durable on return. Returns which
    /// of them were still held under that claim, in order: a stale attempt changes nothing. What
    /// the worker reports of a job that is marked as cancelled is kept as it is.
    async fn complete(&self, runs: Vec<Completion>) -> Result<Vec<bool>>;
    /// Notes claimed runs that failed as attempts and gives their jobs back to the queue, in one
    /// atomic step; durable on return. Returns which of them were still held, as `complete` does.
    /// One that is marked as cancelled is completed with that end instead.
    async fn retry(&self, runs: Vec<Retry>) -> Result<Vec<bool>>;
    /// A job's attempts before the last one, oldest first; none for an unknown job. Once the job's
    /// payload is erased, or when a run's was never to be kept, their ends are empty too.
    async fn attempts(&self, workspace: &WorkspaceId, id: JobId) -> Result<Vec<JobAttempt>>;
    /// Records finished synchronous runs without waiting: false when the channel is full and this
    /// record was dropped (the drop is counted in `dropped_records`). When room is merely short,
    /// the record is kept without arguments (read back empty), result (`null`) and log (a line that
    /// says so).
    fn record(&self, run: RunRecord) -> bool;
    /// As `record`, but returns once the record is durable.
    async fn record_durably(&self, run: RunRecord) -> Result<()>;
    /// How many records `record` has dropped since the start, those with a taken id or an unknown
    /// version included.
    fn dropped_records(&self) -> u64;
    /// Empties finished jobs of their arguments, result and log, and marks them as deleted. Returns
    /// how many; those that are not over, unknown or deleted already are skipped. What was stored
    /// is overwritten in the file soon after.
    async fn erase(&self, workspace: &WorkspaceId, ids: &[JobId]) -> Result<u64>;
    /// Does what `erase` does for up to `limit` jobs whose own time for it (see [`Erasure`]) has
    /// come at `now`, the longest overdue first, and returns how many.
    async fn erase_due(&self, now: Micros, limit: u32) -> Result<u64>;
    /// Forgets up to `limit` finished jobs of a workspace, or of one of its scripts, that were
    /// created and over before
    /// `completed_before`, the oldest first, with all that belongs to them, and returns how many.
    async fn purge_runs(
        &self,
        workspace: &WorkspaceId,
        path: Option<&ScriptPath>,
        completed_before: Micros,
        limit: u32,
    ) -> Result<u64>;
    /// Which of these jobs are over, or unknown. In one step, so that everybody who waits on a node
    /// asks at once.
    async fn ended(&self, jobs: &[(WorkspaceId, JobId)]) -> Result<Vec<JobId>>;
    /// Writes out everything recorded so far.
    async fn flush(&self) -> Result<()>;
    /// One job, waiting, running or finished, with arguments, result and log.
    async fn job(&self, workspace: &WorkspaceId, id: JobId) -> Result<Option<Job>>;
    /// The jobs that fit a filter, without result and log, and without arguments unless the filter
    /// asks for them.
    async fn list_jobs(&self, workspace: &WorkspaceId, filter: &JobFilter) -> Result<Vec<Job>>;
    /// Jobs waiting or running in a workspace.
    async fn queue_depth(&self, workspace: &WorkspaceId) -> Result<u64>;
    /// How many jobs a workspace has.
    async fn counts(&self, workspace: &WorkspaceId) -> Result<Counts>;
    /// How many of a workspace's waiting jobs are meant to start before `at`.
    async fn queue_position(&self, workspace: &WorkspaceId, at: Micros) -> Result<u64>;
    /// When the next waiting job with one of `tags` (none: any tag) becomes due, if any waits. One
    /// whose concurrency limit is reached, as far as that is known, is not looked at: it is due
    /// when another one ends.
    async fn next_due(&self, tags: &[String]) -> Result<Option<Micros>>;
}

/// Variables and resources. Their values are bytes that only the host can open.
#[async_trait]
pub trait Values: Send + Sync {
    /// Puts a variable. `NotFound` when the workspace is missing, and both errors as the mode has
    /// it.
    async fn put_variable(
        &self,
        workspace: &WorkspaceId,
        variable: &Variable,
        mode: &PutMode,
    ) -> Result<()>;
    /// The variable at a path.
    async fn variable(&self, workspace: &WorkspaceId, path: &str) -> Result<Option<Variable>>;
    /// The variables whose paths begin with `prefix`, by path, after `after`, at most `limit`. The
    /// values of secret ones are empty.
    async fn list_variables(
        &self,
        workspace: &WorkspaceId,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Variable>>;
    /// Deletes a variable; `NotFound` when there is none.
    async fn delete_variable(&self, workspace: &WorkspaceId, path: &str, at: Micros) -> Result<()>;
    /// Puts a resource. `NotFound` when the workspace is missing, and both errors as the mode has
    /// it.
    async fn put_resource(
        &self,
        workspace: &WorkspaceId,
        resource: &Resource,
        mode: &PutMode,
    ) -> Result<()>;
    /// The resource at a path.
    async fn resource(&self, workspace: &WorkspaceId, path: &str) -> Result<Option<Resource>>;
    /// The resources, of one of `types` (none: any), whose paths begin with `prefix`, by path,
    /// after `after`, at most
    /// `limit`. Their values are empty, for they may be large.
    async fn list_resources(
        &self,
        workspace: &WorkspaceId,
        types: &[String],
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Resource>>;
    /// The types that a workspace's resources have, each once, in order.
    async fn resource_types(&self, workspace: &WorkspaceId) -> Result<Vec<String>>;
    /// Deletes a resource; `NotFound` when there is none.
    async fn delete_resource(&self, workspace: &WorkspaceId, path: &str, at: Micros) -> Result<()>;
}

/// The webhook of each workspace, and the outbox of what it is told.
///
/// The verbs of [`Scripts`] and [`Values`] put an event into it in the same transaction as their
/// change, when the workspace has a webhook and something did change. Events of a workspace are
/// told in their order, one at a time.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Sets a workspace's webhook. What waits goes to the new address, at once. `NotFound` when the
    /// workspace is missing.
    async fn set_webhook(&self, workspace: &WorkspaceId, webhook: &Webhook) -> Result<()>;
    /// The workspace's webhook.
    async fn webhook(&self, workspace: &WorkspaceId) -> Result<Option<Webhook>>;
    /// Removes the webhook and gives up what waits. False when there was none.
    async fn clear_webhook(&self, workspace: &WorkspaceId, at: Micros) -> Result<bool>;
    /// Of each workspace where events wait the oldest one, those that are due first before the
    /// others, at most `limit`.
    async fn next_deliveries(&self, limit: u32) -> Result<Vec<Delivery>>;
    /// Puts a [`wasmill_core::outbox::Change::Test`] into the log, for the caller to deliver itself
    /// and note: it does not wait, and so overtakes what does. `NotFound` when the workspace has no
    /// webhook.
    async fn begin_test(&self, workspace: &WorkspaceId, at: Micros) -> Result<Delivery>;
    /// Notes an attempt and what follows from it. When an event is settled, the next one is due at
    /// once, and so is what waits when the receiver takes a test. One that was settled meanwhile is
    /// not tried again. False when there is no such event any more.
    async fn note_attempt(&self, event: EventId, attempt: &Attempt, next: Next) -> Result<bool>;
    /// Makes an event of the workspace wait again, whatever became of it, in its place and with its
    /// attempts counted anew; the oldest that waits is due at `at`. `NotFound` when there is no
    /// such event, or no webhook.
    async fn redeliver(&self, workspace: &WorkspaceId, event: EventId, at: Micros) -> Result<()>;
    /// The workspace's events, the newest first, those before `before`, at most `limit`.
    async fn deliveries(
        &self,
        workspace: &WorkspaceId,
        before: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<DeliveryRecord>>;
    /// Forgets up to `limit` events that were settled before `before`, the longest settled first,
    /// and returns how many.
    async fn purge_deliveries(&self, before: Micros, limit: u32) -> Result<u64>;
    /// A number that changes whenever something may be due sooner than before.
    fn outbox_changes(&self) -> tokio::sync::watch::Receiver<u64>;
}

/// What the nodes that share a store need of each other.
#[async_trait]
pub trait Nodes: Send + Sync {
    /// A number that is larger after every change of workspaces, users, members, tokens (but not
    /// their uses), scripts and versions, whoever made it: as long as it is the same, what was
    /// remembered of them is right.
    async fn generation(&self) -> Result<i64>;
    /// Makes a node the one that does a task until `until`, and returns true, when no other node is
    /// at `now`.
    async fn lead(&self, task: &str, node: WorkerId, now: Micros, until: Micros) -> Result<bool>;
    /// Tells the other nodes, and this one too, without waiting.
    fn signal(&self, signal: Signal);
    /// What is told from now on. A receiver that is too slow misses some.
    fn signals(&self) -> tokio::sync::broadcast::Receiver<Signal>;
    /// The back end's own upkeep, to be done every few minutes by one node. `keep`: how long
    /// finished jobs are kept at most, in any workspace; what is older may be dropped in bulk where
    /// the back end can, down to a day.
    async fn maintain(&self, now: Micros, keep: Option<Duration>) -> Result<()>;
}

/// Everything the host stores but module bytes, which are in [`blobs::Blobs`].
pub trait Store: Accounts + Scripts + Jobs + Values + Outbox + Nodes {}
impl<T: Accounts + Scripts + Jobs + Values + Outbox + Nodes> Store for T {}
