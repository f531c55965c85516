//! A workspace's webhook, the events that are told to it, and how that went.

use super::time::Micros;
use std::time::Duration;
use wasmill_core::WorkspaceId;
use wasmill_core::outbox::Change;

/// Number of an event: unique in the store, larger than that of every earlier one.
pub type EventId = i64;

/// How many attempts are kept of an event: the last ones.
pub const KEPT_ATTEMPTS: usize = 10;

/// Where a workspace's changes are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The address.
    pub url: String,
    /// The signing secret as the host sealed it: opaque bytes.
    pub secret: Vec<u8>,
    /// Who set it last.
    pub changed_by: String,
    /// When.
    pub changed: Micros,
}

/// An event that is to be told, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The event.
    pub event: EventId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// What happened.
    pub change: Change,
    /// When it happened.
    pub at: Micros,
    /// Attempts so far, all failed.
    pub attempts: u32,
    /// When the next one is due.
    pub due: Micros,
    /// Where it goes.
    pub webhook: Webhook,
}

/// One attempt to tell an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub at: Micros,
    /// How long it took.
    pub duration: Duration,
    /// The receiver's status, when it answered.
    pub status: Option<u16>,
    /// Why it failed, when it did.
    pub error: Option<String>,
    /// The beginning of what the receiver answered.
    pub answer: String,
}

/// What follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the receiver has it.
    Delivered,
    /// The event is tried again at this moment; what is behind it waits.
    Retry(Micros),
    /// Nothing: it is tried no more. Neither is any event of the workspace that waits and happened
    /// before this moment.
    GiveUp {
        /// The moment; `Micros::MIN` for none.
        before: Micros,
    },
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// The event waits: for the moment that is given, or, without one, for the events before it.
    Waiting(Option<Micros>),
    /// The receiver took the event at this moment.
    Delivered(Micros),
    /// The event was given up at this moment.
    GivenUp(Micros),
}

/// An event in the delivery log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// The event.
    pub event: EventId,
    /// What happened.
    pub change: Change,
    /// When it happened.
    pub at: Micros,
    /// What became of it.
    pub state: DeliveryState,
    /// Attempts since it happened, or since somebody wanted it told again.
    pub attempts: u32,
    /// The last attempts, [`KEPT_ATTEMPTS`] at most, the oldest first.
    pub last: Vec<Attempt>,
}
