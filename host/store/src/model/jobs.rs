//! Jobs as they are read back, and the records of what ran.

use super::queue::NewJob;
use super::run_end::RunEnd;
use super::time::Micros;
use wasmill_core::{Kind, ScriptPath};

/// A finished synchronous run, which never was in the queue.
#[derive(Debug, Clone)]
pub struct RunRecord {
    /// What would have been queued.
    pub job: NewJob,
    /// The end.
    pub end: RunEnd,
}

/// That somebody asked for a job to be cancelled. The first one counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancellation {
    /// Who.
    pub by: String,
    /// Why, if it was said.
    pub reason: Option<String>,
    /// When.
    pub at: Micros,
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
    /// What was asked for. In lists, `args` is empty unless it was asked for.
    pub job: NewJob,
    /// The path of its version.
    pub path: ScriptPath,
    /// Kind of its version.
    pub kind: Kind,
    /// Starts so far. A cancelled job with none was never started, and its `started` is when it was
    /// cancelled.
    pub attempt: u32,
    /// Set when somebody wanted it cancelled. Its worker may have been faster: how it ended is in
    /// `state`.
    pub canceled: Option<Cancellation>,
    /// Where it is.
    pub state: JobState,
}

/// An attempt of a job that was not its last one.
#[derive(Debug, Clone)]
pub struct JobAttempt {
    /// Which, counted from 1.
    pub attempt: u32,
    /// How it ended. Of one that was lost with its worker: a failure whose result says so, which
    /// took until that was seen.
    pub end: RunEnd,
    /// True when its worker went away.
    pub lost: bool,
}

/// How many jobs a workspace has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Waiting, due or not.
    pub queued: u64,
    /// Under a worker's lease.
    pub running: u64,
    /// Waiting for somebody's approval; always 0 so far.
    pub suspended: u64,
    /// Over.
    pub completed: u64,
}
