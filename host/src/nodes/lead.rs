//! Which of the nodes that share a store does what is to be done once.

use crate::clock::{self, micros};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use wasmill_store::{Micros, Store, WorkerId};

/// For how long a node leads without saying so again: as long as nobody does the task when that
/// node went away.
const LEASE: Duration = Duration::from_secs(10);
/// How often is asked.
const ASKED: Duration = Duration::from_secs(5);

fn after(now: Micros, time: Duration) -> Micros {
    now.saturating_add(micros(time))
}

/// Who this node is to the others.
#[derive(Clone)]
pub(crate) struct Node {
    /// What the nodes share.
    pub(crate) store: Arc<dyn Store>,
    /// Whether there may be others.
    pub(crate) shared: bool,
    /// Names this process, also in the leases of jobs.
    pub(crate) id: WorkerId,
}

/// A task that one node does at a time.
pub(crate) struct Lead {
    task: &'static str,
    node: Node,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    leads: bool,
    /// When it has to be asked again.
    until: Micros,
}

impl Lead {
    /// Of the task of this name; not asked yet.
    pub(crate) fn of(task: &'static str, node: Node) -> Self {
        Self { task, node, known: Mutex::default() }
    }

    /// Whether this node is to do the task now.
    pub(crate) async fn is_ours(&self) -> bool {
        if !self.node.shared {
            return true;
        }
        let mut known = self.known.lock().await;
        let now = clock::now();
        // Also after the clock was set back.
        if now >= known.until || after(now, ASKED) < known.until {
            let leads = self.node.store.lead(self.task, self.node.id, now, after(now, LEASE)).await;
            known.leads = leads.unwrap_or_else(|error| {
                tracing::warn!(%error, task = self.task, "who does a task cannot be asked");
                false
            });
            known.until = after(now, ASKED);
        }
        known.leads
    }

    /// Lets another node have it at once.
    pub(crate) async fn leave(&self) {
        let now = clock::now();
        if std::mem::take(&mut *self.known.lock().await).leads
            && let Err(error) =
                self.node.store.lead(self.task, self.node.id, now, now.saturating_sub(1)).await
        {
            tracing::warn!(%error, task = self.task, "a task could not be left to others");
        }
    }
}
