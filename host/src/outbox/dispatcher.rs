//! The task that tells: each workspace one event at a time, many workspaces at once, so that a
//! receiver which is slow or dead holds up its own workspace only.

use super::Attempted;
use super::Outbox;
use crate::clock;
use crate::nodes::lead::Lead;
use crate::stop::Stop;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::{Id, JoinError, JoinSet};
use wasmill_core::WorkspaceId;
use wasmill_store::{Delivery, Next};

/// Looked for due events at least so often, should the clock be set or another node not tell of its
/// changes; and so often it is said that this node still tells.
const POLL: Duration = Duration::from_secs(4);
/// Between two looks for what the log has kept for long enough.
const PURGE: Duration = Duration::from_secs(600);
/// Events forgotten at once: few enough that nothing waits for it.
const PURGED: u32 = 10_000;
/// Wait after a failure of the store.
const PAUSE: Duration = Duration::from_secs(5);

/// Tells events until draining begins, then finishes what is under way, or leaves it when the grace
/// period ends: what was not noted is told again.
///
/// `lead` is of the task of telling: of several nodes one tells, or the order of a workspace's
/// events would be lost.
pub(crate) async fn run(outbox: Arc<Outbox>, lead: Lead, stop: Stop) {
    let mut changes = outbox.store.outbox_changes();
    let mut flights = Flights::default();
    let mut purged: Option<Instant> = None;
    while !stop.draining.is_cancelled() {
        if purged.is_none_or(|at| at.elapsed() > PURGE) {
            purge(&outbox).await;
            purged = Some(Instant::now());
        }
        changes.mark_unchanged();
        let wait = match lead.is_ours().await {
            true => flights.depart(&outbox).await,
            false => POLL,
        };
        tokio::select! {
            // A store that is gone has no more changes to tell of, and the host is stopping.
            changed = changes.changed() => if changed.is_err() { break },
            Some(ended) = flights.tasks.join_next_with_id() => flights.arrive(ended),
            () = tokio::time::sleep(wait) => {}
            () = stop.draining.cancelled() => {}
        }
    }
    tokio::select! {
        () = async { while flights.tasks.join_next().await.is_some() {} } => {}
        () = stop.ending.cancelled() => flights.tasks.abort_all(),
    }
    lead.leave().await;
}

/// The deliveries under way.
#[derive(Default)]
struct Flights {
    tasks: JoinSet<()>,
    workspaces: HashMap<Id, WorkspaceId>,
}

impl Flights {
    /// Starts what is due, as far as there is room. Returns how long nothing else can be started,
    /// unless something changes.
    async fn depart(&mut self, outbox: &Arc<Outbox>) -> Duration {
        let room = (outbox.limits.concurrent as usize).saturating_sub(self.tasks.len());
        if room == 0 {
            return POLL;
        }
        // Those under way are among the first, and one more tells when the next is due.
        let limit = u32::try_from(self.tasks.len() + room + 1).unwrap_or(u32::MAX);
        let deliveries = match outbox.store.next_deliveries(limit).await {
            Ok(deliveries) => deliveries,
            Err(error) => {
                tracing::error!(%error, "what is to be told to webhooks cannot be read");
                return PAUSE;
            }
        };
        let now = clock::now();
        let waiting = deliveries
            .into_iter()
            .filter(|delivery| !self.workspaces.values().any(|busy| *busy == delivery.workspace));
        let mut room = room;
        for delivery in waiting.collect::<Vec<_>>() {
            if delivery.due > now {
                return Duration::from_micros(delivery.due.abs_diff(now)).min(POLL);
            }
            if room == 0 {
                // The next that ends makes some.
                return POLL;
            }
            room -= 1;
            let workspace = delivery.workspace.clone();
            let task = self.tasks.spawn(deliver(outbox.clone(), delivery));
            self.workspaces.insert(task.id(), workspace);
        }
        POLL
    }

    fn arrive(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                tracing::error!(%error, "a delivery to a webhook ended unexpectedly");
                error.id()
            }
        };
        self.workspaces.remove(&id);
    }
}

async fn purge(outbox: &Outbox) {
    let kept = i64::try_from(outbox.limits.log.as_micros()).unwrap_or(i64::MAX);
    if let Err(error) =
        outbox.store.purge_deliveries(clock::now().saturating_sub(kept), PURGED).await
    {
        tracing::warn!(%error, "old deliveries could not be deleted");
    }
}

async fn deliver(outbox: Arc<Outbox>, delivery: Delivery) {
    let attempted = outbox.attempt(&delivery).await;
    // Without randomness there is no spread, which is all that is lost.
    let next = outbox.next(&delivery, &attempted, getrandom::u32().unwrap_or(u32::MAX / 2));
    log(&delivery, &attempted, next);
    if let Err(error) = outbox.store.note_attempt(delivery.event, &attempted.attempt, next).await {
        tracing::error!(%error, workspace = %delivery.workspace, event = delivery.event, "a delivery could not be noted; the event is told again");
        // It is still due. The receiver must not be told in a loop.
        tokio::time::sleep(PAUSE).await;
    }
}

/// The URL is not logged: what authorizes a call often is in it.
fn log(delivery: &Delivery, attempted: &Attempted, next: Next) {
    let Delivery { workspace, event, change, attempts, .. } = delivery;
    let (kind, attempt) = (change.name(), attempts + 1);
    let reason = attempted.attempt.error.as_deref().unwrap_or_default();
    match next {
        Next::Delivered => tracing::debug!(%workspace, event, kind, attempt, "told to the webhook"),
        Next::Retry(at) => {
            let seconds = at.saturating_sub(clock::now()).max(0) / 1_000_000;
            tracing::warn!(%workspace, event, kind, attempt, reason, again_in_seconds = seconds, "the webhook could not be told");
        }
        Next::GiveUp { .. } => {
            tracing::error!(%workspace, event, kind, attempt, reason, "the webhook could not be told; the event is given up");
        }
    }
}
