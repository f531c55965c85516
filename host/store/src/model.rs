//! What is stored, as plain values. Every time is microseconds since 1970, UTC.

use bytes::Bytes;
use serde_json::value::RawValue;
use std::time::Duration;
use wasmill_core::limits::DeclaredLimits;
use wasmill_core::{Digest, JobId, Kind, ScriptPath, VersionHash, WorkspaceId};

/// Microseconds since 1970-01-01 UTC.
pub type Micros = i64;

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Its name in addresses.
    pub id: WorkspaceId,
    /// Its name for people.
    pub name: String,
    /// When it was made.
    pub created: Micros,
}

/// A person or a machine account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Unique name, also the `<user>` of `u/<user>/...` paths.
    pub name: String,
    /// Address shown in job records.
    pub email: String,
    /// May administer every workspace.
    pub super_admin: bool,
    /// When it was made.
    pub created: Micros,
}

/// What a user may do in one workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything in the workspace.
    Admin,
    /// Deploys and runs scripts.
    Developer,
    /// Runs scripts, deploys nothing.
    Operator,
}

/// A token to keep. The secret itself is never stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// SHA-256 of the whole token text.
    pub digest: [u8; 32],
    /// The first characters of the token, for lists and revocation.
    pub prefix: String,
    /// Whose it is.
    pub user: String,
    /// The one workspace it works in; `None` for all of the user's.
    pub workspace: Option<WorkspaceId>,
    /// For people.
    pub label: String,
    /// `None`: all of the user's rights.
    pub scopes: Option<Vec<String>>,
    /// When it was made.
    pub created: Micros,
    /// When it stops working.
    pub expires: Option<Micros>,
}

/// A token as its owner sees it in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInfo {
    /// What was stored.
    pub token: NewToken,
    /// Last use, to about a minute.
    pub last_used: Option<Micros>,
}

/// A token with everything that decides what its bearer may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenOwner {
    /// The token.
    pub token: NewToken,
    /// Its user.
    pub user: User,
    /// The user's roles.
    pub roles: Vec<(WorkspaceId, Role)>,
}

/// A version to deploy.
#[derive(Debug, Clone, PartialEq)]
pub struct NewVersion {
    /// SHA-256 of the canonical manifest.
    pub hash: VersionHash,
    /// The canonical manifest.
    pub manifest: String,
    /// Where it is deployed.
    pub path: ScriptPath,
    /// SHA-256 of the module.
    pub module: Digest,
    /// Bytes of the module.
    pub module_bytes: u64,
    /// How it is called.
    pub kind: Kind,
    /// The author's own narrower limits.
    pub limits: DeclaredLimits,
    /// JSON Schema of the arguments, when known.
    pub schema: Option<String>,
    /// One line for lists.
    pub summary: String,
    /// Who deployed it.
    pub created_by: String,
    /// When.
    pub created: Micros,
}

/// A stored version.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// What was deployed. `created` and `created_by` are of the first deployment of this hash.
    pub version: NewVersion,
    /// True when its path is archived.
    pub archived: bool,
    /// The one before it in the path's order of deployment, where a version that was deployed again counts once, as
    /// the newest.
    pub parent: Option<VersionHash>,
}

/// What `deploy` did.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployed {
    /// The version, as `newest` now finds it.
    pub version: Version,
    /// True when this hash was not known in the workspace before.
    pub created: bool,
}

/// A worker process, for leases: chosen at random at its start.
pub type WorkerId = i64;

/// How a job came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// A webhook call.
    Webhook,
    /// A person, by the page or the command line.
    Manual,
}

/// A job to queue.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its id, which also orders it.
    pub id: JobId,
    /// Its tenant.
    pub workspace: WorkspaceId,
    /// What it runs; must be a version of this workspace.
    pub version: VersionHash,
    /// Who started it.
    pub created_by: String,
    /// SHA-256 of the token that started it, so that a narrow token may read the jobs it started and no others.
    pub token: Option<[u8; 32]>,
    /// Where it came from.
    pub trigger: Trigger,
    /// When it was queued.
    pub created: Micros,
    /// When it may start.
    pub run_at: Micros,
    /// Wall-clock limit of one run, when narrower than the version's.
    pub timeout: Option<Duration>,
    /// How often it may be started at most, counting the first. At least 1.
    pub max_attempts: u32,
    /// One JSON object as text.
    pub args: Bytes,
}

/// The fencing pair of a claim: a completion counts only while both still hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Which job.
    pub id: JobId,
    /// Which attempt, counted from 1.
    pub attempt: u32,
}

/// A job under a worker's lease.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    /// The job as it was queued.
    pub job: NewJob,
    /// Which attempt this is, counted from 1.
    pub attempt: u32,
    /// The path of its version.
    pub path: ScriptPath,
}

/// How a finished job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunStatus {
    /// With a result.
    Success,
    /// With an error.
    Failure,
    /// It was cancelled.
    Canceled,
}

/// How and when a run ended, and with what.
#[derive(Debug, Clone)]
pub struct RunEnd {
    /// How.
    pub status: RunStatus,
    /// When it was started.
    pub started: Micros,
    /// How long it took.
    pub duration: Duration,
    /// Largest memory, bytes.
    pub memory_peak_bytes: u64,
    /// The result, or `{"error":{...}}`.
    pub result: Box<RawValue>,
    /// Log text, lines ending in `\n`.
    pub log: Bytes,
}

/// The end of a claimed job.
#[derive(Debug, Clone)]
pub struct Completion {
    /// Under which claim.
    pub claim: Claim,
    /// The end.
    pub end: RunEnd,
}

/// A finished synchronous run, which never was in the queue.
#[derive(Debug, Clone)]
pub struct RunRecord {
    /// What would have been queued.
    pub job: NewJob,
    /// The end.
    pub end: RunEnd,
}

/// Where a job is in its life.
#[derive(Debug, Clone)]
pub enum JobState {
    /// In the queue, not yet due or not yet taken.
    Waiting,
    /// Taken by a worker at this time.
    Running(Micros),
    /// Over. In lists, `result` is `null` and `log` is empty.
    Finished(RunEnd),
}

/// A job as it is read back.
#[derive(Debug, Clone)]
pub struct Job {
    /// What was asked for. In lists, `args` is empty.
    pub job: NewJob,
    /// The path of its version.
    pub path: ScriptPath,
    /// Kind of its version.
    pub kind: Kind,
    /// Starts so far.
    pub attempt: u32,
    /// Where it is.
    pub state: JobState,
}

/// At most so many jobs are in one list, whatever is asked for.
pub const MAX_LIST: u32 = 10_000;

/// Which jobs a list holds.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Only of this path.
    pub path: Option<ScriptPath>,
    /// Only finished with (or without) success.
    pub success: Option<bool>,
    /// `Some(true)`: only waiting or running; `Some(false)`: only finished.
    pub queued: Option<bool>,
    /// Only older than this id: the cursor of the next page.
    pub before: Option<JobId>,
    /// At most so many; capped at [`MAX_LIST`].
    pub limit: u32,
}
