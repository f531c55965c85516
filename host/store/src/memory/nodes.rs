//! What nodes need of each other, in memory, where there is one node.

use super::store::MemoryStore;
use crate::{Micros, Nodes, Result, Signal, WorkerId};
use async_trait::async_trait;
use std::time::Duration;
use tokio::sync::broadcast;

#[async_trait]
impl Nodes for MemoryStore {
    async fn generation(&self) -> Result<i64> {
        Ok(self.state().generation)
    }

    async fn lead(&self, task: &str, node: WorkerId, now: Micros, until: Micros) -> Result<bool> {
        let mut state = self.state();
        let free =
            state.leads.get(task).is_none_or(|(leader, until)| *leader == node || *until < now);
        if free {
            state.leads.insert(task.to_owned(), (node, until));
        }
        Ok(free)
    }

    fn signal(&self, signal: Signal) {
        // Nobody who listens is nobody to tell.
        let _ = self.signals.send(signal);
    }

    fn signals(&self) -> broadcast::Receiver<Signal> {
        self.signals.subscribe()
    }

    async fn maintain(&self, _now: Micros, _keep: Option<Duration>) -> Result<()> {
        Ok(())
    }
}
