//! How much is done at once. What cannot be taken is refused before work is done, never queued
//! without a bound.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use wasmill_core::problem::Code;
use wasmill_core::{HostLimits, Problem};

/// The places for running scripts.
pub(crate) struct Admission {
    runs: Arc<Semaphore>,
    wait: std::time::Duration,
    places: u32,
}

impl Admission {
    /// As many places as the host's limits say.
    pub(crate) fn new(limits: &HostLimits) -> Self {
        Self {
            runs: Arc::new(Semaphore::new(limits.concurrent_runs as usize)),
            wait: limits.admit_wait,
            places: limits.concurrent_runs,
        }
    }

    /// A place for a synchronous run, given back when dropped.
    ///
    /// # Errors
    /// 503 with `Retry-After` when none becomes free in time.
    pub(crate) async fn enter(&self) -> Result<OwnedSemaphorePermit, Problem> {
        if let Ok(permit) = self.runs.clone().try_acquire_owned() {
            return Ok(permit);
        }
        match Box::pin(timeout(self.wait, self.runs.clone().acquire_owned())).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Problem::new(
                Code::Unavailable,
                format!(
                    "All {} places for running scripts are taken; nothing was started",
                    self.places
                ),
            )
            .retry_after(1)),
        }
    }

    /// A place for a queued job, waited for without a bound: the job is safe in the queue
    /// meanwhile. `None` when stopping.
    pub(crate) async fn enter_queued(&self) -> Option<OwnedSemaphorePermit> {
        self.runs.clone().acquire_owned().await.ok()
    }
}
