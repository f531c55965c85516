//! The jobs that this process runs right now: their logs can be read while they grow.

use dashmap::DashMap;
use std::sync::Arc;
use wasmill_core::JobId;
use wasmill_sandbox::LogBuffer;

/// Logs of running jobs.
#[derive(Default)]
pub(crate) struct RunningJobs(DashMap<JobId, Arc<LogBuffer>>);

impl RunningJobs {
    /// Notes a started job. `end` takes the note back.
    pub(crate) fn begin(&self, id: JobId, log: Arc<LogBuffer>) {
        self.0.insert(id, log);
    }

    /// Takes the note back. To be called after the job's end was stored, so that its log is always found somewhere.
    pub(crate) fn end(&self, id: JobId) {
        self.0.remove(&id);
    }

    /// The growing log of a running job.
    pub(crate) fn log(&self, id: JobId) -> Option<Arc<LogBuffer>> {
        self.0.get(&id).map(|log| log.clone())
    }
}
