//! Leases of workers, and what becomes of the jobs of those whose lease ended.
//!
//! Each worker's jobs are taken from it in one transaction that has the worker's row, so that
//! several nodes may look at the same time, and a worker that shows up again meanwhile has either
//! kept all of its jobs or is told that it lost them. A claim has that row too: whatever it takes
//! for a worker comes before or after that.

use super::db::{Db, get};
use super::fault::TxResult;
use super::finish::{Held, cancellations, finish};
use super::report::note_attempts;
use super::requeue::{Requeued, requeue};
use super::shared::Shared;
use crate::common::system_ends;
use crate::{Micros, Result, RunEnd, WorkerId};

impl Shared {
    /// See [`crate::Queue::extend_lease`].
    pub(super) async fn extend(&self, worker: WorkerId, until: Micros) -> Result<bool> {
        // Of a row that is new, or that only a claim has made, there is nothing before.
        let sql = "INSERT INTO worker (id, lease_until) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE \
            SET was_until = worker.lease_until, lease_until = excluded.lease_until RETURNING was_until IS NOT NULL";
        self.statement(move |db| async move { get(&db.one(sql, &[&worker, &until]).await?, 0) })
            .await
    }

    /// See [`crate::Queue::rescue`].
    pub(super) async fn rescue_jobs(&self, now: Micros, everything: bool) -> Result<u64> {
        let sql =
            "SELECT id FROM worker WHERE $2 OR lease_until IS NULL OR lease_until < $1 ORDER BY id";
        let gone: Vec<WorkerId> = self
            .statement(move |db| async move {
                db.rows(sql, &[&now, &everything]).await?.iter().map(|row| get(row, 0)).collect()
            })
            .await?;
        let mut rescued = 0;
        for worker in gone {
            let writing = self.depths.begin();
            let (back, over) = self
                .transaction(
                    move |db| async move { self.rescue_of(&db, worker, now, everything).await },
                )
                .await?;
            writing.confirm(over.into_iter().map(|workspace| (workspace, -1)));
            rescued += back;
        }
        Ok(rescued)
    }

    /// How many of a worker's jobs wait again, and the workspaces of those that are over.
    async fn rescue_of(
        &self,
        db: &Db,
        worker: WorkerId,
        now: Micros,
        everything: bool,
    ) -> TxResult<(u64, Vec<i64>)> {
        // Nobody else is doing that, and it is still necessary.
        let sql = "SELECT id FROM worker WHERE id = $1 AND ($3 OR lease_until IS NULL OR lease_until < $2) FOR UPDATE SKIP LOCKED";
        if db.row(sql, &[&worker, &now, &everything]).await?.is_none() {
            return Ok((0, Vec::new()));
        }
        let sql = format!("DELETE FROM running r WHERE r.worker = $1 RETURNING {}", Held::COLUMNS);
        let held = db
            .rows(&sql, &[&worker])
            .await?
            .iter()
            .map(Held::of)
            .collect::<TxResult<Vec<Held>>>()?;
        let marked: Vec<i64> =
            held.iter().filter(|held| held.marked).map(|held| held.key).collect();
        let why = cancellations(db, &marked).await?;
        let mut over: Vec<(&Held, RunEnd)> = Vec::new();
        let mut lost: Vec<(&Held, RunEnd)> = Vec::new();
        for held in &held {
            match why.get(&held.key).filter(|_| held.marked) {
                Some(why) => over.push((held, system_ends::canceled(why, Some(held.started), now))),
                None if i64::from(held.lost()) >= held.max_attempts => {
                    tracing::warn!(
                        attempts = held.attempt,
                        "a job ended with its process on every attempt and is given up"
                    );
                    over.push((held, system_ends::exhausted(held.lost(), held.started, now)));
                }
                None => lost.push((held, system_ends::lost(held.started, now))),
            }
        }
        let over: Vec<(&Held, &RunEnd)> = over.iter().map(|(held, end)| (*held, end)).collect();
        finish(db, &over).await?;
        let attempts: Vec<(&Held, &RunEnd)> = lost.iter().map(|(held, end)| (*held, end)).collect();
        note_attempts(db, &attempts, true).await?;
        let back: Vec<Requeued<'_>> = lost
            .iter()
            .map(|(held, _)| Requeued {
                held,
                attempt: held.attempt,
                failures: held.failures,
                run_at: None,
            })
            .collect();
        requeue(db, &back, &self.ready_groups).await?;
        self.free(db, held.iter()).await?;
        db.execute("DELETE FROM worker WHERE id = $1", &[&worker]).await?;
        Ok((back.len() as u64, over.iter().map(|(held, _)| held.workspace).collect()))
    }
}
