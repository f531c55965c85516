//! What the operator decided.

use std::time::Duration;
use wasmill_core::answer::Policy;
use wasmill_core::{HostLimits, RunLimits};

/// What the operator decided.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Bounds of the process.
    pub(crate) limits: HostLimits,
    /// Bounds of one run, before a script narrows them.
    pub(crate) run_limits: RunLimits,
    /// How outcomes are answered.
    pub(crate) answers: Policy,
    /// Headers that become arguments of every call, comma separated.
    pub(crate) include_headers: String,
    /// What this process does of what there is to do.
    pub(crate) role: Role,
    /// Jobs that the worker of this process runs at the same time; 0 for none.
    pub(crate) workers: u32,
    /// Whose jobs they are; empty: all.
    pub(crate) tags: Vec<String>,
    /// Whether a synchronous caller waits until its run's record is on disk.
    pub(crate) durable_sync: bool,
    /// How long a worker's jobs stay its own without a sign of life.
    pub(crate) lease: Duration,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    /// Answers requests, runs what callers wait for, and queues the rest.
    Front,
    /// Runs queued jobs. Of requests it answers those about its own health only.
    Worker,
    /// Both.
    All,
}
