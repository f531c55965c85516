//! The scaled-out back end: PostgreSQL 15 or later, shared by any number of processes.
//!
//! Every verb is one transaction at the level "read committed", many of them one statement. What
//! several processes may do at once is decided by locks on rows, taken in this order: workspace,
//! script or value, webhook, event. A server that is gone makes verbs `Unavailable` within seconds;
//! when it is back, so are they.

mod accounts;
mod assigned_keys;
mod cancel;
mod claim;
mod claims;
mod columns;
mod concurrency;
mod connect;
mod counts;
mod db;
mod depths;
mod dictionary;
mod enqueue;
mod erase;
mod fault;
mod finish;
mod group_commit;
mod insert;
mod list;
mod lookup;
mod migrate;
mod names;
mod new_jobs;
mod nodes;
mod options;
mod outbox;
mod partitions;
mod queue;
mod ready;
mod ready_scan;
mod record;
mod recorder;
mod report;
mod requeue;
mod rescue;
mod rows;
mod runs;
mod scripts;
mod shared;
mod signals;
mod store;
mod take;
#[cfg(test)]
pub(crate) mod tests;
mod uuid;
mod values;

pub use options::Options;
pub use store::PostgresStore;
