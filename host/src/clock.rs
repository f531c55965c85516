//! The only place that reads the wall clock. Everything else gets times handed in.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wasmill_store::Micros;

/// Microseconds since 1970, UTC. A clock before 1970 reads as 0.
pub(crate) fn now() -> Micros {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// A length of time as the store counts it. One that is too long for it is the longest.
pub(crate) fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}

/// When something arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    /// By the wall clock.
    pub(crate) at: Micros,
    /// By the clock that measures.
    pub(crate) instant: Instant,
}

impl Arrival {
    /// Of what arrives now.
    pub(crate) fn now() -> Self {
        Self { at: now(), instant: Instant::now() }
    }
}
