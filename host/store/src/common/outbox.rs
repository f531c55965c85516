//! The outbox's states as rows keep them, and what an attempt means for what waits behind it.

use crate::{DeliveryState, EventId, Micros, Next};

/// The event waits to be told. A value of the column `state`, as the next two.
pub(crate) const WAITING: i64 = 0;
/// The receiver took the event.
pub(crate) const DELIVERED: i64 = 1;
/// The event was given up.
pub(crate) const GIVEN_UP: i64 = 2;

/// The state by its column. `due`: when the oldest waiting event is, if this one is that;
/// `settled`: when it was settled, if it is.
pub(crate) fn delivery_state(
    state: i64,
    settled: Option<Micros>,
    due: Option<Micros>,
) -> DeliveryState {
    match state {
        WAITING => DeliveryState::Waiting(due),
        DELIVERED => DeliveryState::Delivered(settled.unwrap_or_default()),
        _ => DeliveryState::GivenUp(settled.unwrap_or_default()),
    }
}

/// When the oldest waiting event of a workspace is due after an attempt of `event` at `at`, which
/// had `next` as its outcome: `Some(None)` when none waits any more, `None` when the attempt
/// changes nothing about it. `waited`: the event was waiting at that attempt; `oldest`: the oldest
/// event that waits after it.
pub(crate) fn due_after(
    next: Next,
    event: EventId,
    oldest: Option<EventId>,
    waited: bool,
    at: Micros,
) -> Option<Option<Micros>> {
    match next {
        Next::Retry(due) if oldest == Some(event) => Some(Some(due)),
        Next::Delivered => Some(oldest.map(|_| at)),
        Next::GiveUp { .. } if waited => Some(oldest.map(|_| at)),
        Next::Retry(_) | Next::GiveUp { .. } => None,
    }
}
