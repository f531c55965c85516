//! What is stored, as plain values. Every time is microseconds since 1970, UTC.

mod accounts;
mod ends;
mod filter;
mod jobs;
mod outbox;
mod scripts;
mod signals;
mod values;

pub use accounts::*;
pub use ends::*;
pub use filter::*;
pub use jobs::*;
pub use outbox::*;
pub use scripts::*;
pub use signals::*;
pub use values::*;

/// Microseconds since 1970-01-01 UTC.
pub type Micros = i64;

/// A duration as microseconds; what doesn't fit is cut to the largest.
pub(crate) fn micros(duration: std::time::Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}
