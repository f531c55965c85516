//! The one storage seam: what the host keeps, as domain verbs.
//!
//! Every verb is one transaction, takes the workspace where there is one, and is batch-shaped where the hot path needs
//! it. No transaction type and no SQL leak out. Times and ids come in as arguments. SQLite is the embedded back end;
//! the in-memory model is the specification in its simplest form, and one conformance suite runs against every one.

#![forbid(unsafe_code)]

pub mod blobs;
mod exhausted;
mod keys;
pub mod memory;
pub mod model;
pub mod sqlite;

#[cfg(test)]
mod conformance;

use exhausted::exhausted;
pub use model::*;

use async_trait::async_trait;
use wasmill_core::{JobId, ScriptPath, VersionHash, WorkspaceId};

/// Why a verb could not be done, as the decisions a caller can take.
#[derive(Debug, thiserror::Error)]
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
    /// Makes a user or changes the existing one of that name, which keeps its `created`.
    async fn put_user(&self, user: &User) -> Result<()>;
    /// Makes a user a member of a workspace, or changes the role. `NotFound` when either is missing.
    async fn put_member(&self, workspace: &WorkspaceId, user: &str, role: Role) -> Result<()>;
    /// Keeps a new token; `Conflict` when its digest is there already, `NotFound` when user or workspace is missing.
    async fn put_token(&self, token: &NewToken) -> Result<()>;
    /// The token of this digest with its user and the roles that user has, expired ones included; `None` when unknown or revoked.
    async fn find_token(&self, digest: &[u8; 32]) -> Result<Option<TokenOwner>>;
    /// A user's tokens, newest first, then by digest.
    async fn list_tokens(&self, user: &str) -> Result<Vec<TokenInfo>>;
    /// Deletes the user's tokens with this prefix and returns their digests, so that caches can forget them.
    async fn revoke_tokens(&self, user: &str, prefix: &str) -> Result<Vec<[u8; 32]>>;
    /// Notes last uses; unknown digests are skipped, and so is a use older than the one noted.
    async fn touch_tokens(&self, uses: &[([u8; 32], Micros)]) -> Result<()>;
}

/// Scripts and their versions.
#[async_trait]
pub trait Scripts: Send + Sync {
    /// Deploys a version. The same hash as the path's newest one changes nothing (`created: false`); the hash of an
    /// older version of that path deploys that one again as the newest, without a second row in the history of hashes.
    /// `NotFound` when the workspace is missing.
    async fn deploy(&self, workspace: &WorkspaceId, version: &NewVersion) -> Result<Deployed>;
    /// The newest deployed version of a path; `None` when there is none or the path is archived.
    async fn newest(&self, workspace: &WorkspaceId, path: &ScriptPath) -> Result<Option<Version>>;
    /// The version of this hash in this workspace, archived paths included. A hash of another workspace is `None`.
    async fn version(&self, workspace: &WorkspaceId, hash: &VersionHash) -> Result<Option<Version>>;
    /// The newest version of each path that is not archived, by path, after `after`, at most `limit`.
    async fn list_scripts(&self, workspace: &WorkspaceId, after: Option<&ScriptPath>, limit: u32) -> Result<Vec<Version>>;
    /// A path's versions, newest deployment first.
    async fn history(&self, workspace: &WorkspaceId, path: &ScriptPath, limit: u32) -> Result<Vec<Version>>;
    /// Archives a path: `newest` no longer finds it, `version` still does. False when there is no such path. Deploying to it again brings it back.
    async fn archive(&self, workspace: &WorkspaceId, path: &ScriptPath) -> Result<bool>;
}

/// The durable queue, and the record of what ran.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Queues jobs; returns once they are durable. All or none.
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<()>;
    /// Takes up to `limit` waiting jobs that are due at `now`, oldest first, under `worker`'s lease, and counts the attempt.
    async fn claim(&self, worker: WorkerId, now: Micros, limit: u32) -> Result<Vec<ClaimedJob>>;
    /// Notes that a worker is alive: its jobs are its own until `until`. Registers an unknown worker.
    async fn extend_lease(&self, worker: WorkerId, until: Micros) -> Result<()>;
    /// Gives running jobs whose worker's lease ended before `now` back to the queue and returns how many; the attempt
    /// stays counted. A job without further attempts becomes a failed run record instead and is not among them. With
    /// `everything`, all running jobs: for the start of a host that is alone with its file.
    async fn rescue(&self, now: Micros, everything: bool) -> Result<u64>;
    /// Gives a worker's claimed jobs back without counting the attempt: they were cut off by a shutdown.
    async fn release(&self, worker: WorkerId, jobs: &[Claim]) -> Result<u64>;
    /// Moves claimed jobs to the run records in one atomic step; durable on return. Returns which of them were still
    /// held under that claim, in order: a stale attempt changes nothing.
    async fn complete(&self, runs: Vec<Completion>) -> Result<Vec<bool>>;
    /// Records finished synchronous runs without waiting: false when the channel is full and this record was dropped
    /// (the drop is counted in `dropped_records`). When room is merely short, the record is kept without arguments (read
    /// back empty), result (`null`) and log (a line that says so).
    fn record(&self, run: RunRecord) -> bool;
    /// As `record`, but returns once the record is durable.
    async fn record_durably(&self, run: RunRecord) -> Result<()>;
    /// How many records `record` has dropped since the start, those with a taken id or an unknown version included.
    fn dropped_records(&self) -> u64;
    /// Writes out everything recorded so far.
    async fn flush(&self) -> Result<()>;
    /// One job, waiting, running or finished, with arguments, result and log.
    async fn job(&self, workspace: &WorkspaceId, id: JobId) -> Result<Option<Job>>;
    /// Jobs newest first, without arguments, result and log.
    async fn list_jobs(&self, workspace: &WorkspaceId, filter: &JobFilter) -> Result<Vec<Job>>;
    /// Jobs waiting or running in a workspace.
    async fn queue_depth(&self, workspace: &WorkspaceId) -> Result<u64>;
    /// When the next waiting job becomes due, if any waits.
    async fn next_due(&self) -> Result<Option<Micros>>;
}

/// Everything the host stores but module bytes, which are in [`blobs::Blobs`].
pub trait Store: Accounts + Scripts + Jobs {}
impl<T: Accounts + Scripts + Jobs> Store for T {}
