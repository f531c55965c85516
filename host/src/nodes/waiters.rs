//! Those who wait on this node for the end of a job, wherever that runs.
//!
//! They are told by the worker of this process, by the signals of others, and by one question to
//! the store for all of them together, asked every 20 ms at first and every half a second at most.

use dashmap::DashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use wasmill_core::{JobId, WorkspaceId};
use wasmill_store::Store;

/// Between the first two questions after somebody began to wait.
const FIRST: Duration = Duration::from_millis(20);
/// Between two questions at most.
const LAST: Duration = Duration::from_millis(500);
/// Jobs asked for at once.
const ASKED: usize = 1_000;

/// Who waits for which job.
pub(crate) struct Waiters {
    store: Arc<dyn Store>,
    /// Whether other processes have the same store.
    shared: bool,
    waiting: DashMap<JobId, Waiting>,
    /// Somebody began to wait.
    begun: Notify,
}

struct Waiting {
    workspace: WorkspaceId,
    over: watch::Sender<bool>,
    /// The store may be asked about it. It takes a job that it does not know for one that is over,
    /// and one that is only about to be queued it does not know yet.
    queued: bool,
}

/// A wait; dropping it ends it.
pub(crate) struct Waiter {
    waiters: Arc<Waiters>,
    id: JobId,
    over: watch::Receiver<bool>,
}

impl Waiters {
    /// Nobody waits yet.
    pub(crate) fn new(store: Arc<dyn Store>, shared: bool) -> Self {
        Self { store, shared, waiting: DashMap::new(), begun: Notify::new() }
    }

    /// Begins to wait for a job that there is. To be called before it is looked at: an end before
    /// that is not told.
    pub(crate) fn wait(self: &Arc<Self>, workspace: &WorkspaceId, id: JobId) -> Waiter {
        let waiter = self.wait_for_new(workspace, id);
        waiter.queued();
        waiter
    }

    /// Begins to wait for a job that is not queued yet. [`Waiter::queued`] is to be called when it
    /// is.
    pub(crate) fn wait_for_new(self: &Arc<Self>, workspace: &WorkspaceId, id: JobId) -> Waiter {
        let new = || Waiting {
            workspace: workspace.clone(),
            over: watch::Sender::new(false),
            queued: false,
        };
        let over = self.waiting.entry(id).or_insert_with(new).over.subscribe();
        Waiter { waiters: self.clone(), id, over }
    }

    /// These jobs are over.
    pub(crate) fn ended(&self, ids: &[JobId]) {
        for id in ids {
            if let Some((_, waiting)) = self.waiting.remove(id) {
                waiting.over.send_replace(true);
            }
        }
    }

    /// Asks the store for the ends that nobody told of, until it is dropped.
    pub(crate) async fn look(&self) {
        // In one process only ends that no worker brought about are not told.
        let first = if self.shared { FIRST } else { LAST };
        let mut wait = first;
        loop {
            let asked = self.asked();
            if asked.is_empty() {
                self.begun.notified().await;
                wait = first;
            } else {
                for some in asked.chunks(ASKED) {
                    match self.store.ended(some).await {
                        Ok(over) => self.ended(&over),
                        Err(error) => {
                            tracing::warn!(%error, "whether jobs are over cannot be seen")
                        }
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => wait = (wait * 2).min(LAST),
                () = self.begun.notified() => {
                    wait = first;
                    tokio::time::sleep(first).await;
                }
            }
        }
    }

    fn asked(&self) -> Vec<(WorkspaceId, JobId)> {
        let queued = self.waiting.iter().filter(|entry| entry.queued);
        queued.map(|entry| (entry.workspace.clone(), *entry.key())).collect()
    }
}

impl Waiter {
    /// The job is queued now: from here on the store is asked whether it is over.
    pub(crate) fn queued(&self) {
        // It may be over already, and then nobody is asked.
        if let Some(mut waiting) = self.waiters.waiting.get_mut(&self.id) {
            waiting.queued = true;
        }
        self.waiters.begun.notify_one();
    }

    /// Resolves when the job is over.
    pub(crate) async fn ended(&mut self) {
        // A sender that is gone has told, or the host is ending.
        let _ = self.over.wait_for(|over| *over).await;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        // This receiver is still counted.
        self.waiters.waiting.remove_if(&self.id, |_, waiting| waiting.over.receiver_count() <= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill_store::memory::MemoryStore;

    fn id(n: u64) -> JobId {
        JobId::from_parts(n, 0, n)
    }

    #[tokio::test]
    async fn everybody_who_waits_is_told_once_it_is_over() {
        let (waiters, main) =
            (Arc::new(Waiters::new(Arc::new(MemoryStore::new()), false)), "main".parse().unwrap());
        let (mut one, mut two) = (waiters.wait(&main, id(1)), waiters.wait(&main, id(1)));
        let other = waiters.wait(&main, id(2));
        assert_eq!(waiters.asked().len(), 2);
        waiters.ended(&[id(1), id(9)]);
        one.ended().await;
        two.ended().await;
        assert_eq!(waiters.asked(), [(main.clone(), id(2))]);
        drop(other);
        assert!(waiters.asked().is_empty());
        // The wait of one does not end with that of another.
        let (three, _four) = (waiters.wait(&main, id(3)), waiters.wait(&main, id(3)));
        drop(three);
        assert_eq!(waiters.asked(), [(main, id(3))]);
    }

    /// The store takes a job that it does not know for one that is over: a call whose job was just
    /// being queued was answered 500.
    #[tokio::test]
    async fn the_store_is_not_asked_about_jobs_that_are_not_queued_yet() {
        let (waiters, main) =
            (Arc::new(Waiters::new(Arc::new(MemoryStore::new()), false)), "main".parse().unwrap());
        let mut new = waiters.wait_for_new(&main, id(1));
        assert!(waiters.asked().is_empty());
        new.queued();
        assert_eq!(waiters.asked(), [(main.clone(), id(1))]);
        // One that is over before that is told all the same.
        let mut quick = waiters.wait_for_new(&main, id(2));
        waiters.ended(&[id(1), id(2)]);
        quick.queued();
        new.ended().await;
        quick.ended().await;
        assert!(waiters.asked().is_empty());
    }
}
