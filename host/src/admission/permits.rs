//! How much runs at once. What cannot be taken is refused before work is done, never queued without
//! a bound.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use wasmill_core::problem::Code;
use wasmill_core::{HostLimits, Problem};

/// A place for one run, given back when dropped.
pub(crate) type Permit = OwnedSemaphorePermit;

/// The places for runs, those of queued jobs included.
pub(crate) struct Permits {
    free: Arc<Semaphore>,
    /// How long a caller waits for one.
    wait: Duration,
    all: u32,
}

impl Permits {
    /// As many as the host's limits say.
    pub(crate) fn new(limits: &HostLimits) -> Self {
        let all = limits.concurrent_runs;
        Self { free: Arc::new(Semaphore::new(all as usize)), wait: limits.admit_wait, all }
    }

    /// A permit for a run that its caller waits for.
    ///
    /// # Errors
    /// 503 with `Retry-After` when none becomes free in time.
    pub(crate) async fn enter(&self) -> Result<Permit, Problem> {
        if let Ok(permit) = self.free.clone().try_acquire_owned() {
            return Ok(permit);
        }
        match Box::pin(timeout(self.wait, self.free.clone().acquire_owned())).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => {
                let all = self.all;
                let detail =
                    format!("All {all} places for running scripts are taken; nothing was started");
                Err(Problem::new(Code::Unavailable, detail).retry_after(1))
            }
        }
    }

    /// A permit for a queued job, waited for without a bound: the job is safe in the queue
    /// meanwhile. `None` when there will be none any more.
    pub(crate) async fn enter_queued(&self) -> Option<Permit> {
        self.free.clone().acquire_owned().await.ok()
    }
}
