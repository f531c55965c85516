//! The jobs that this process runs right now: their logs can be read while they grow, and they can
//! be stopped.

use dashmap::DashMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use wasmill_core::{JobId, WorkspaceId};
use wasmill_sandbox::LogBuffer;
use wasmill_store::Cancellation;

/// What is known of one.
#[derive(Default)]
struct Running {
    /// Absent while it is claimed, but not yet begun.
    log: Option<Arc<LogBuffer>>,
    stop: CancellationToken,
    canceled: Option<Cancellation>,
    /// Whose job it is, once it is held under this process's lease.
    held: Option<WorkspaceId>,
    /// The lease under which it was held is over: somebody else may run it by now.
    lost: bool,
}

/// Running jobs by id.
#[derive(Default)]
pub(crate) struct RunningJobs(DashMap<JobId, Running>);

impl RunningJobs {
    /// Notes a started job, and returns what stops it. `end` takes the note back.
    /// `ending` stops it as well.
    fn begin(
        &self,
        id: JobId,
        log: Arc<LogBuffer>,
        ending: &CancellationToken,
    ) -> CancellationToken {
        let mut running = self
            .0
            .entry(id)
            .or_insert_with(|| Running { stop: ending.child_token(), ..Running::default() });
        running.log = Some(log);
        running.stop.clone()
    }

    /// Notes that a started job is held under this process's lease.
    pub(crate) fn hold(&self, id: JobId, workspace: &WorkspaceId) {
        if let Some(mut running) = self.0.get_mut(&id) {
            running.held = Some(workspace.clone());
        }
    }

    /// Stops a job. One that was claimed a moment ago and is about to begin finds itself stopped.
    pub(crate) fn cancel(&self, id: JobId, cancellation: Cancellation) {
        let mut running = self.0.entry(id).or_default();
        running.canceled.get_or_insert(cancellation);
        running.stop.cancel();
    }

    /// Stops everything that is held, for the lease is over; returns how many jobs that are. What
    /// becomes of those runs is no longer this process's to say.
    pub(crate) fn lose(&self) -> usize {
        let held = self.0.iter_mut().filter(|running| running.held.is_some() && !running.lost);
        held.map(|mut running| {
            running.lost = true;
            running.stop.cancel();
        })
        .count()
    }

    /// Whether the lease under which it was held is over.
    pub(crate) fn is_lost(&self, id: JobId) -> bool {
        self.0.get(&id).is_some_and(|running| running.lost)
    }

    /// Whose job this is, if it is held and nobody cancelled it here.
    pub(crate) fn going_on(&self, id: JobId) -> Option<WorkspaceId> {
        let running = self.0.get(&id)?;
        running.held.clone().filter(|_| running.canceled.is_none())
    }

    /// Who stopped it, if somebody did.
    pub(crate) fn cancellation(&self, id: JobId) -> Option<Cancellation> {
        self.0.get(&id)?.canceled.clone()
    }

    /// Takes the note back. To be called after the job's end was stored, so that its log is always
    /// found somewhere.
    fn end(&self, id: JobId) {
        self.0.remove(&id);
    }

    /// The growing log of a running job.
    pub(crate) fn log(&self, id: JobId) -> Option<Arc<LogBuffer>> {
        self.0.get(&id)?.log.clone()
    }
}

/// The note of a running job, which is taken back when this is dropped: after the job's end was
/// stored.
pub(crate) struct Noted<'r> {
    running: &'r RunningJobs,
    id: JobId,
    cancel: CancellationToken,
}

impl<'r> Noted<'r> {
    /// Notes a started job. `ending` stops it too.
    pub(crate) fn new(
        running: &'r RunningJobs,
        id: JobId,
        log: &Arc<LogBuffer>,
        ending: &CancellationToken,
    ) -> Self {
        let cancel = running.begin(id, log.clone(), ending);
        Self { running, id, cancel }
    }

    /// What stops the job.
    pub(crate) fn cancel(&self) -> CancellationToken {
        self.cancel.clone()
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.running.end(self.id);
    }
}
