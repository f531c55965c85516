//! Moments and lengths of time as the store keeps them.

use std::time::Duration;

/// Microseconds since 1970-01-01 UTC.
pub type Micros = i64;

/// A duration as microseconds; what doesn't fit is cut to the largest.
pub(crate) fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}

/// A column of microseconds as a duration; what is below zero is none.
pub(crate) fn duration(micros: Micros) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
