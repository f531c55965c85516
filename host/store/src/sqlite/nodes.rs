//! What nodes need of each other in SQLite, where there is one node: the directory belongs to one
//! process.

use super::store::{Need, SqliteStore};
use crate::{Micros, Nodes, Result, Signal, WorkerId};
use async_trait::async_trait;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::broadcast;

#[async_trait]
impl Nodes for SqliteStore {
    /// Nobody remembers anything from before the process, so the number begins anew with it.
    async fn generation(&self) -> Result<i64> {
        match self.counters.stopped() {
            None => Ok(self.counters.generation.load(Ordering::Acquire)),
            Some(error) => Err(error),
        }
    }

    async fn lead(&self, task: &str, node: WorkerId, now: Micros, until: Micros) -> Result<bool> {
        let task = task.to_owned();
        self.write(Need::Committed, move |tx| {
            let sql = "INSERT INTO lead (task, node, until) VALUES (?1, ?2, ?4) ON CONFLICT (task) DO UPDATE \
                SET node = excluded.node, until = excluded.until WHERE node = excluded.node OR until < ?3";
            Ok(tx.conn.prepare_cached(sql)?.execute((&task, node, now, until))? > 0)
        })
        .await
    }

    fn signal(&self, signal: Signal) {
        // Nobody who listens is nobody to tell.
        let _ = self.signals.send(signal);
    }

    fn signals(&self) -> broadcast::Receiver<Signal> {
        self.signals.subscribe()
    }

    /// Nothing: the writer copies its log itself, and no query is left to the planner's guess.
    async fn maintain(&self, _now: Micros, _keep: Option<Duration>) -> Result<()> {
        Ok(())
    }
}
