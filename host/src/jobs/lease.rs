//! The worker's lease: what makes its jobs its own, and what it does when it has lost it.
//!
//! A worker that cannot show that it lives must take it that others have its jobs. It then ends its runs before the lease
//! does, and says nothing about them; whatever it said would be refused, for the attempt is another one by then.

use crate::clock;
use crate::host::Host;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use wasmill_store::Micros;

/// How long a worker's jobs stay its own without a sign of life.
const LEASE: Duration = Duration::from_secs(20);
/// Between two signs of life.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// So long before the lease's end runs are ended, and nothing is claimed any more.
const MARGIN: Duration = Duration::from_secs(4);
/// How often it is looked whether that time has come.
const WATCH: Duration = Duration::from_millis(500);

/// Until when this process's jobs are its own.
#[derive(Debug, Default)]
pub(crate) struct Lease(AtomicI64);

impl Lease {
    /// True while there is time enough to claim jobs, and to say what became of them.
    pub(crate) fn holds(&self) -> bool {
        clock::now() < self.0.load(Ordering::Acquire).saturating_sub(MARGIN.as_micros() as Micros)
    }
}

/// Takes the lease, or extends it.
///
/// An unknown worker has lost what it had: it was away for longer than the lease.
pub(crate) async fn extend(host: &Host) {
    let until = clock::now().saturating_add(LEASE.as_micros() as Micros);
    let first = host.lease.0.load(Ordering::Acquire) == 0;
    match host.store.extend_lease(host.worker, until).await {
        Ok(known) => {
            if !known && !first {
                lose(host, "others took its jobs over");
            }
            host.lease.0.store(until, Ordering::Release);
        }
        Err(error) => tracing::error!(%error, "the worker's lease cannot be extended"),
    }
}

fn lose(host: &Host, why: &str) {
    let jobs = host.running.lose();
    if jobs > 0 {
        tracing::error!(jobs, why, "the worker's lease is lost; its runs are ended, and what becomes of them is for others to say");
    }
}

/// Keeps the lease, and gives back to the queue what those held who have lost theirs, until it is dropped.
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
        tokio::time::sleep(HEARTBEAT).await;
    }
}

/// Ends the runs of a lease that is about to end. A host that is alone with its store has nobody to give way to.
async fn watch(host: &Host) {
    while host.shared {
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
