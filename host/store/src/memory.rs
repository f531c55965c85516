//! The store on plain maps under one lock: the specification in its simplest form.
//!
//! What a verb means is decided here, as plainly as it can be written; the other back ends are
//! compared with this one over random sequences of verbs. Nothing survives the process.

mod accounts;
mod fits;
mod jobs;
mod nodes;
mod outbox;
mod queue;
mod runs;
mod scripts;
mod state;
mod store;
mod values;

pub use store::MemoryStore;
