//! The worker's lease: what makes its jobs its own, and what it does when it has lost it.
//!
//! A worker that cannot show that it lives must take it that others have its jobs. It then ends its
//! runs before the lease does, and says nothing about them; whatever it said would be refused, for
//! the attempt is another one by then.

use crate::clock;
use crate::host::Host;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use wasmill_store::Micros;

/// How often it is looked whether that time has come.
const WATCH: Duration = Duration::from_millis(250);

/// Until when this process's jobs are its own.
#[derive(Debug)]
pub(crate) struct Lease {
    /// How long they are without a sign of life.
    length: Duration,
    until: AtomicI64,
}

impl Lease {
    /// One that is still to be taken.
    pub(crate) fn of(length: Duration) -> Self {
        Self { length, until: AtomicI64::new(0) }
    }

    /// True while there is time enough to claim jobs, and to say what became of them. A fifth
    /// before the end it is over: runs take a moment to end.
    pub(crate) fn holds(&self) -> bool {
        let margin = (self.length / 5).as_micros() as Micros;
        clock::now() < self.until.load(Ordering::Acquire).saturating_sub(margin)
    }
}

/// Takes the lease, or extends it.
///
/// An unknown worker has lost what it had: it was away for longer than the lease.
pub(crate) async fn extend(host: &Host) {
    let until = clock::now().saturating_add(host.lease.length.as_micros() as Micros);
    let first = host.lease.until.load(Ordering::Acquire) == 0;
    match host.store.extend_lease(host.worker, until).await {
        Ok(known) => {
            if !known && !first {
                lose(host, "others took its jobs over");
            }
            host.lease.until.store(until, Ordering::Release);
        }
        Err(error) => tracing::error!(%error, "the worker's lease cannot be extended"),
    }
}

fn lose(host: &Host, why: &str) {
    let jobs = host.running.lose();
    if jobs > 0 {
        tracing::error!(
            jobs,
            why,
            "the worker's lease is lost; its runs are ended, and what becomes of them is for others to say"
        );
    }
}

/// Keeps the lease, and gives back to the queue what those held who have lost theirs, until it is
/// dropped.
pub(crate) async fn keep(host: &Host) {
    tokio::join!(beat(host), watch(host));
}

async fn beat(host: &Host) {
    loop {
        extend(host).await;
        // Who cannot show that he lives must not judge others, and himself least of all.
        if host.lease.holds() {
            match host.store.rescue(clock::now(), false).await {
                Ok(0) => {}
                Ok(rescued) => {
                    tracing::warn!(rescued, "jobs of a worker that went away were queued again");
                    host.job_queued();
                }
                Err(error) => tracing::error!(%error, "lost jobs cannot be looked for"),
            }
        }
        // Three signs of life may be lost.
        tokio::time::sleep(host.lease.length / 4).await;
    }
}

/// Ends the runs of a lease that is about to end. A host that is alone with its store has nobody to
/// give way to.
async fn watch(host: &Host) {
    if !host.shared {
        return;
    }
    loop {
        tokio::time::sleep(WATCH).await;
        if !host.lease.holds() {
            lose(host, "the store could not be told that this worker lives");
        }
    }
}

/// Stops the jobs of this process that somebody cancelled on another node.
pub(crate) async fn stop_canceled(host: &Host) {
    let canceled = match host.store.canceled(host.worker).await {
        Ok(canceled) => canceled,
        Err(error) => {
            tracing::warn!(%error, "whether jobs were cancelled cannot be seen");
            return;
        }
    };
    for claim in canceled {
        let Some(workspace) = host.running.going_on(claim.id) else { continue };
        match host.store.job(&workspace, claim.id).await {
            Ok(Some(job)) => {
                if let Some(cancellation) = job.canceled {
                    host.running.cancel(claim.id, cancellation);
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, job = %claim.id, "a cancelled job cannot be read"),
        }
    }
}
