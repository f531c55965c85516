//! What refuses a call before work is done: places for runs, and how much may wait in a queue.

pub(crate) mod permits;
pub(crate) mod queue_bounds;
