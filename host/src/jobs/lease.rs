//! The worker's lease: what makes its jobs its own, and what it does when it has lost it.
//!
//! A worker that cannot show that it lives must take it that others have its jobs. It then ends its
//! runs before the lease does, and says nothing about them; whatever it said would be refused, for
//! the attempt is another one by then.

use crate::clock::{self, micros};
use crate::run::Runner;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use wasmill_store::Micros;

/// Until when this process's jobs are its own.
pub(crate) struct Lease {
    runner: Arc<Runner>,
    /// How long the jobs are this process's own without a sign of life.
    length: Duration,
    /// 0 until the lease is taken for the first time.
    until: AtomicI64,
}

impl Lease {
    /// One that is still to be taken.
    pub(crate) fn of(runner: Arc<Runner>, length: Duration) -> Self {
        Self { runner, length, until: AtomicI64::new(0) }
    }

    /// How often the worker shows that it lives: three signs of life may be lost.
    pub(crate) fn beat_period(&self) -> Duration {
        self.length / 4
    }

    /// True while there is time enough to claim jobs, and to say what became of them. A fifth
    /// before the end it is over: runs take a moment to end.
    pub(crate) fn holds(&self) -> bool {
        let margin: Micros = micros(self.length / 5);
        clock::now() < self.until.load(Ordering::Acquire).saturating_sub(margin)
    }

    /// Takes the lease, or extends it.
    ///
    /// An unknown worker has lost what it had: it was away for longer than the lease.
    pub(crate) async fn extend(&self) {
        let until = clock::now().saturating_add(micros(self.length));
        let first = self.until.load(Ordering::Acquire) == 0;
        match self.runner.store().extend_lease(self.runner.worker(), until).await {
            Ok(known) => {
                if !known && !first {
                    self.lose("others took its jobs over");
                }
                self.until.store(until, Ordering::Release);
            }
            Err(error) => tracing::error!(%error, "the worker's lease cannot be extended"),
        }
    }

    fn lose(&self, why: &str) {
        let jobs = self.runner.running.lose();
        if jobs > 0 {
            tracing::error!(
                jobs,
                why,
                "the worker's lease is lost; its runs are ended, and what becomes of them is for others to say"
            );
        }
    }

    /// Extends the lease, and gives back to the queue what those held who have lost theirs.
    pub(crate) async fn beat(&self) {
        self.extend().await;
        // Who cannot show that he lives must not judge others, and himself least of all.
        if !self.holds() {
            return;
        }
        match self.runner.store().rescue(clock::now(), false).await {
            Ok(0) => {}
            Ok(rescued) => {
                tracing::warn!(rescued, "jobs of a worker that went away were queued again");
                self.runner.notifier().job_queued();
            }
            Err(error) => tracing::error!(%error, "lost jobs cannot be looked for"),
        }
    }

    /// Ends the runs of a lease that is about to end. A host that is alone with its store has
    /// nobody to give way to and need not call this.
    pub(crate) fn watch(&self) {
        if !self.holds() {
            self.lose("the store could not be told that this worker lives");
        }
    }
}
