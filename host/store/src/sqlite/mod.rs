//! The embedded back end: SQLite, one file, one writing thread, a few readers.
//!
//! One file, so that moving a job from the queue to the run records is one atomic commit. One
//! writing thread, so that nobody ever waits for a lock and every commit carries what gathered
//! meanwhile. The directory belongs to one process.

mod accounts;
mod attempts;
mod cancel;
mod claim;
mod concurrency;
mod connection;
mod counters;
mod enqueue;
mod erase;
mod fault;
mod file;
mod held;
mod idempotency;
mod job_counts;
mod leases;
mod list;
mod lock;
mod lookup;
mod message;
mod migrate;
mod modules;
mod names;
mod nodes;
mod open;
mod options;
mod outbox;
mod pool;
mod purge;
mod queue;
mod ready;
mod record;
mod recorder;
mod report;
mod rows;
mod runs;
mod scripts;
mod store;
#[cfg(test)]
pub(crate) mod tests;
mod tx;
mod values;
mod writer;

pub use counters::Stats;
pub use file::DatabaseFile;
pub use options::{FILE, Options};
pub use store::SqliteStore;
