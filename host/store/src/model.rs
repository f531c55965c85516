//! What is stored, as plain values. Every time is microseconds since 1970, UTC.

mod accounts;
mod ends;
mod filter;
mod jobs;
mod outbox;
mod scripts;
mod values;

pub use accounts::*;
pub use ends::*;
pub use filter::*;
pub use jobs::*;
pub use outbox::*;
pub use scripts::*;
pub use values::*;

/// Microseconds since 1970-01-01 UTC.
pub type Micros = i64;
