//! What the nodes that share the database need of each other.

use super::db::get;
use super::store::PostgresStore;
use crate::{Micros, Nodes, Result, Signal, WorkerId};
use async_trait::async_trait;
use std::time::Duration;
use tokio::sync::broadcast;

#[async_trait]
impl Nodes for PostgresStore {
    async fn generation(&self) -> Result<i64> {
        self.statement(move |db| async move {
            get(&db.one("SELECT number FROM generation", &[]).await?, 0)
        })
        .await
    }

    async fn lead(&self, task: &str, node: WorkerId, now: Micros, until: Micros) -> Result<bool> {
        let sql = "INSERT INTO lead (task, node, until_time) VALUES ($1, $2, $4) ON CONFLICT (task) DO UPDATE \
            SET node = excluded.node, until_time = excluded.until_time WHERE lead.node = excluded.node OR lead.until_time < $3";
        Ok(self
            .statement(
                move |db| async move { db.execute(sql, &[&task, &node, &now, &until]).await },
            )
            .await?
            > 0)
    }

    fn signal(&self, signal: Signal) {
        self.shared.wire.send(signal);
    }

    fn signals(&self) -> broadcast::Receiver<Signal> {
        self.shared.wire.listen()
    }

    async fn maintain(&self, now: Micros, keep: Option<Duration>) -> Result<()> {
        self.shared.keep_up(now, keep).await
    }
}
