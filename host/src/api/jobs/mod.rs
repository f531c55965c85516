//! Jobs: looked at, followed, listed, cancelled, restarted, erased.

mod attempts;
pub(crate) mod cancel;
mod job;
mod lists;
mod parameters;
mod queue;
mod restart;
mod rows;
mod updates;

pub(super) use rows::ROWS;
