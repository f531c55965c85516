//! The verbs of webhooks and their outbox.

use crate::{Attempt, Delivery, DeliveryRecord, EventId, Micros, Next, Result, Webhook};
use async_trait::async_trait;
use wasmill_core::WorkspaceId;

/// The webhook of each workspace, and the outbox of what it is told.
///
/// The verbs of [`Scripts`](crate::Scripts) and [`Values`](crate::Values) put an event into the
/// outbox in the same transaction as their change, when the workspace has a webhook and something
/// did change. Events of a workspace are told in their order, one at a time.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Sets a workspace's webhook. What waits goes to the new address, at once. `NotFound` when the
    /// workspace is missing.
    async fn set_webhook(&self, workspace: &WorkspaceId, webhook: &Webhook) -> Result<()>;
    /// The workspace's webhook.
    async fn webhook(&self, workspace: &WorkspaceId) -> Result<Option<Webhook>>;
    /// Removes the webhook and gives up what waits. False when there was none.
    async fn clear_webhook(&self, workspace: &WorkspaceId, at: Micros) -> Result<bool>;
    /// Of each workspace where events wait the oldest one, those that are due first before the
    /// others, at most `limit`.
    async fn next_deliveries(&self, limit: u32) -> Result<Vec<Delivery>>;
    /// Puts a [`wasmill_core::outbox::Change::Test`] into the log, for the caller to deliver itself
    /// and note: it does not wait, and so overtakes what does. `NotFound` when the workspace has no
    /// webhook.
    async fn begin_test(&self, workspace: &WorkspaceId, at: Micros) -> Result<Delivery>;
    /// Notes an attempt and what follows from it. When an event is settled, the next one is due at
    /// once, and so is what waits when the receiver takes a test. One that was settled meanwhile is
    /// not tried again. False when there is no such event any more.
    async fn note_attempt(&self, event: EventId, attempt: &Attempt, next: Next) -> Result<bool>;
    /// Makes an event of the workspace wait again, whatever became of it, in its place and with its
    /// attempts counted anew; the oldest that waits is due at `at`. `NotFound` when there is no
    /// such event, or no webhook.
    async fn redeliver(&self, workspace: &WorkspaceId, event: EventId, at: Micros) -> Result<()>;
    /// The workspace's events, the newest first, those before `before`, at most `limit`.
    async fn deliveries(
        &self,
        workspace: &WorkspaceId,
        before: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<DeliveryRecord>>;
    /// Forgets up to `limit` events that were settled before `before`, the longest settled first,
    /// and returns how many.
    async fn purge_deliveries(&self, before: Micros, limit: u32) -> Result<u64>;
    /// A number that changes whenever something may be due sooner than before.
    fn outbox_changes(&self) -> tokio::sync::watch::Receiver<u64>;
}
