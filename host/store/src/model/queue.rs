//! Jobs on their way: what is queued, claimed and reported.

use super::run_end::RunEnd;
use super::time::{Micros, micros};
use bytes::Bytes;
use std::time::Duration;
use wasmill_core::queue::{Concurrency, RetryPolicy};
use wasmill_core::{JobId, ScriptPath, VersionHash, WorkspaceId};

/// A worker process, for leases: chosen at random at its start.
pub type WorkerId = i64;

/// The tag of a job that asks for no special workers.
pub const DEFAULT_TAG: &str = "wasm";

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
    /// Its id, which also orders it as long as the time within it is about `created`.
    pub id: JobId,
    /// Its tenant.
    pub workspace: WorkspaceId,
    /// What it runs; must be a version of this workspace.
    pub version: VersionHash,
    /// Who started it.
    pub created_by: String,
    /// SHA-256 of the token that started it, so that a narrow token may read the jobs it started
    /// and no others.
    pub token: Option<[u8; 32]>,
    /// Where it came from.
    pub trigger: Trigger,
    /// When it was queued.
    pub created: Micros,
    /// When it may start.
    pub run_at: Micros,
    /// Wall-clock limit of one run, when narrower than the version's.
    pub timeout: Option<Duration>,
    /// How often it may be started without that run coming to an end, counting the first. At least
    /// 1.
    pub max_attempts: u32,
    /// When it is started again after a run that failed; `None`: never. The worker's to apply, by
    /// `Queue::retry`.
    pub retry: Option<RetryPolicy>,
    /// Of how many others of its kind it may run beside; `None`: any number.
    pub concurrency: Option<Concurrency>,
    /// The job that it is a part of, which need not be in this store.
    pub parent: Option<JobId>,
    /// The outermost of the jobs that it is a part of.
    pub root: Option<JobId>,
    /// Which workers may take it.
    pub tag: String,
    /// Larger ones are taken first.
    pub priority: i16,
    /// For finding it again.
    pub label: Option<String>,
    /// What becomes of its payload once it is over.
    pub erasure: Erasure,
    /// Somebody waits for its end on the node that queued it: other nodes tell of that end by a
    /// [`Signal`](crate::Signal).
    pub awaited: bool,
    /// One JSON object as text.
    pub args: Bytes,
}

impl NewJob {
    /// A job of the default tag and priority that may start at once, one time, and belongs to no
    /// other.
    pub fn new(
        id: JobId,
        workspace: WorkspaceId,
        version: VersionHash,
        created_by: impl Into<String>,
        trigger: Trigger,
        created: Micros,
        args: impl Into<Bytes>,
    ) -> Self {
        Self {
            id,
            workspace,
            version,
            created_by: created_by.into(),
            token: None,
            trigger,
            created,
            run_at: created,
            timeout: None,
            max_attempts: 1,
            retry: None,
            concurrency: None,
            awaited: false,
            parent: None,
            root: None,
            tag: DEFAULT_TAG.into(),
            priority: 0,
            label: None,
            erasure: Erasure::default(),
            args: args.into(),
        }
    }
}

/// What becomes of the payload (arguments, result and log) of a job that is over. The default keeps
/// it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erasure {
    /// The payload is erased once somebody has read the result: whoever reads it has to do that.
    pub when_read: bool,
    /// The payload is erased this long after the end, however the job ended: see `Runs::erase_due`.
    pub after: Option<Duration>,
}

impl Erasure {
    /// When the payload of a job that ended so is to be erased, if it has a time for that.
    pub(crate) fn due(&self, end: &RunEnd) -> Option<Micros> {
        let after = self.after.filter(|_| !end.deleted)?;
        Some(end.completed().saturating_add(micros(after)))
    }
}

/// What makes two requests the same one. The workspace is the job's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Digest of the caller's key and of what is to be run.
    pub digest: [u8; 32],
    /// Digest of the request's body.
    pub body: [u8; 32],
    /// From this moment on the key is as if it had never been used.
    pub expires: Micros,
}

/// What queueing under an idempotency key did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// The job was queued.
    New,
    /// This job was queued under the key before, for the same body; nothing was done.
    Existing(JobId),
    /// The key was used for another body; nothing was done.
    Mismatch,
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
    /// How many of the attempts before ended with an error.
    pub failures: u32,
    /// The path of its version.
    pub path: ScriptPath,
}

/// The end of a claimed job.
#[derive(Debug, Clone)]
pub struct Completion {
    /// Under which claim.
    pub claim: Claim,
    /// The end.
    pub end: RunEnd,
}

/// A run that failed and is tried again.
#[derive(Debug, Clone)]
pub struct Retry {
    /// Under which claim.
    pub claim: Claim,
    /// How it ended.
    pub end: RunEnd,
    /// When it may start again.
    pub run_at: Micros,
}

/// What cancelling one job did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CancelOutcome {
    /// The job was waiting and is over now.
    Canceled,
    /// The job is running: it is marked, and its worker has to stop it.
    Running,
    /// The job was over already.
    AlreadyCompleted,
    /// The workspace has no such job.
    NotFound,
}
