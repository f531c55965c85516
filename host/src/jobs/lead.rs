//! Which of the nodes that share a store does what is to be done once.

use crate::clock;
use crate::host::Host;
use std::time::Duration;
use tokio::sync::Mutex;
use wasmill_store::Micros;

/// For how long a node leads without saying so again: as long as nobody does the task when that
/// node went away.
const LEASE: Duration = Duration::from_secs(10);
/// How often is asked.
const ASKED: Duration = Duration::from_secs(5);

fn after(now: Micros, time: Duration) -> Micros {
    now.saturating_add(Micros::try_from(time.as_micros()).unwrap_or(Micros::MAX))
}

/// A task that one node does at a time.
pub(crate) struct Lead {
    task: &'static str,
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
    pub(crate) fn of(task: &'static str) -> Self {
        Self { task, known: Mutex::default() }
    }

    /// Whether this node is to do the task now.
    pub(crate) async fn is_ours(&self, host: &Host) -> bool {
        if !host.shared {
            return true;
        }
        let mut known = self.known.lock().await;
        let now = clock::now();
        // Also after the clock was set back.
        if now >= known.until || after(now, ASKED) < known.until {
            let leads = host.store.lead(self.task, host.worker, now, after(now, LEASE)).await;
            known.leads = leads.unwrap_or_else(|error| {
                tracing::warn!(%error, task = self.task, "who does a task cannot be asked");
                false
            });
            known.until = after(now, ASKED);
        }
        known.leads
    }

    /// Lets another node have it at once.
    pub(crate) async fn leave(&self, host: &Host) {
        let now = clock::now();
        if std::mem::take(&mut *self.known.lock().await).leads
            && let Err(error) =
                host.store.lead(self.task, host.worker, now, now.saturating_sub(1)).await
        {
            tracing::warn!(%error, task = self.task, "a task could not be left to others");
        }
    }
}
