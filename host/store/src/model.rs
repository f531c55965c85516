//! What is stored, as plain values. Every time is microseconds since 1970, UTC.

mod accounts;
mod filter;
mod jobs;
mod outbox;
mod queue;
mod run_end;
mod scripts;
mod signals;
mod time;
mod values;

pub use accounts::*;
pub use filter::*;
pub use jobs::*;
pub use outbox::*;
pub use queue::*;
pub use run_end::*;
pub use scripts::*;
pub use signals::*;
pub use time::*;
pub use values::*;
