//! The verbs for the nodes that share a store.

use crate::{Micros, Result, Signal, WorkerId};
use async_trait::async_trait;
use std::time::Duration;

/// What the nodes that share a store need of each other.
#[async_trait]
pub trait Nodes: Send + Sync {
    /// A number that is larger after every change of workspaces, users, members, tokens (but not
    /// their uses), scripts and versions, whoever made it: as long as it is the same, what was
    /// remembered of them is right.
    async fn generation(&self) -> Result<i64>;
    /// Makes a node the one that does a task until `until`, and returns true, when no other node is
    /// at `now`.
    async fn lead(&self, task: &str, node: WorkerId, now: Micros, until: Micros) -> Result<bool>;
    /// Tells the other nodes, and this one too, without waiting.
    fn signal(&self, signal: Signal);
    /// What is told from now on. A receiver that is too slow misses some.
    fn signals(&self) -> tokio::sync::broadcast::Receiver<Signal>;
    /// The back end's own upkeep, to be done every few minutes by one node. `keep`: how long
    /// finished jobs are kept at most, in any workspace; what is older may be dropped in bulk where
    /// the back end can, down to a day.
    async fn maintain(&self, now: Micros, keep: Option<Duration>) -> Result<()>;
}
