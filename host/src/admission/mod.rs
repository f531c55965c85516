//! What refuses a call before work is done: permits for runs, how much may wait in a queue, and
//! what was sent before.

pub(crate) mod once;
mod permits;
mod queue_bounds;

pub(crate) use permits::{Permit, Permits};
pub(crate) use queue_bounds::QueueBounds;
