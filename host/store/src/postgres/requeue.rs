//! Giving jobs back to the queue that were taken out of it: after an attempt that failed, by a
//! shutdown, or because nobody knows what became of the claim.

use super::claims::CLAIM_LOCK;
use super::db::{Db, get};
use super::fault::TxResult;
use super::finish::{Held, cancellations, finish};
use super::ready::{Group, ReadyGroups};
use super::shared::Shared;
use crate::common::system_ends;
use crate::{Claim, Micros, Result, RunEnd, WorkerId};

/// A job that waits again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Requeued<'a> {
    pub(super) held: &'a Held,
    /// How many starts count.
    pub(super) attempt: i32,
    pub(super) failures: i32,
    /// When it may start; `None`: as before.
    pub(super) run_at: Option<Micros>,
}

/// Puts jobs back into the queue.
pub(super) async fn requeue(
    db: &Db,
    jobs: &[Requeued<'_>],
    ready_groups: &ReadyGroups,
) -> TxResult<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    let later: Vec<&Requeued<'_>> = jobs.iter().filter(|job| job.run_at.is_some()).collect();
    if !later.is_empty() {
        let keys: Vec<i64> = later.iter().map(|job| job.held.key).collect();
        let times: Vec<Option<Micros>> = later.iter().map(|job| job.run_at).collect();
        let sql = "UPDATE job j SET run_at = b.run_at FROM unnest($1::bigint[], $2::bigint[]) b (id, run_at) \
            WHERE j.id = b.id AND j.id = ANY ($1)";
        db.execute(sql, &[&keys, &times]).await?;
    }
    let keys: Vec<i64> = jobs.iter().map(|job| job.held.key).collect();
    let attempts: Vec<i32> = jobs.iter().map(|job| job.attempt).collect();
    let failures: Vec<i32> = jobs.iter().map(|job| job.failures).collect();
    let sql = "INSERT INTO waiting (id, workspace, script, tag, run_at, max_attempts, tail, concurrency_key, concurrency_limit, \
        erase_after, rank, attempt, failures, held) SELECT j.id, j.workspace, j.script, j.tag, j.run_at, j.max_attempts, j.tail, \
        j.concurrency_key, j.concurrency_limit, j.erase_after, -j.priority::integer, b.attempt, b.failures, false \
        FROM unnest($1::bigint[], $2::integer[], $3::integer[]) b (id, attempt, failures) JOIN job j ON j.id = b.id \
        WHERE j.id = ANY ($1) RETURNING workspace, tag, rank, run_at";
    for row in db.rows(sql, &[&keys, &attempts, &failures]).await? {
        ready_groups.note(
            Group { workspace: get(&row, 0)?, tag: get(&row, 1)?, rank: get(&row, 2)? },
            get(&row, 3)?,
        );
    }
    Ok(())
}

impl Shared {
    /// See [`crate::Queue::release`].
    pub(super) async fn release_jobs(&self, worker: WorkerId, claims: &[Claim]) -> Result<u64> {
        let mut claims = claims.to_vec();
        claims.sort_unstable_by_key(|claim| (claim.id, claim.attempt));
        claims.dedup();
        let writing = self.depths.begin();
        let claims = &claims;
        let (released, over) = self
            .transaction(move |db| async move {
                let held = self.take_out(&db, claims, Some(worker)).await?;
                let held: Vec<Held> = held.into_iter().flatten().collect();
                self.release_held(&db, &held).await
            })
            .await?;
        writing.confirm(over.into_iter().map(|workspace| (workspace, -1)));
        Ok(released)
    }

    /// Gives back what these calls of `claim` took, if they did.
    pub(super) async fn requeue_claims(&self, calls: &[(WorkerId, i64)]) -> Result<()> {
        let workers: Vec<WorkerId> = calls.iter().map(|(worker, _)| *worker).collect();
        let numbers: Vec<i64> = calls.iter().map(|(_, number)| *number).collect();
        let writing = self.depths.begin();
        let (numbers, workers) = (&numbers, &workers);
        let over = self
            .transaction(move |db| async move {
                // A claim that is still under way has this lock.
                db.rows("SELECT count(pg_advisory_xact_lock($1))", &[&CLAIM_LOCK]).await?;
                let sql = format!("DELETE FROM running r WHERE r.worker = ANY ($1) AND r.claim = ANY ($2) RETURNING {}", Held::COLUMNS);
                let rows = db.rows(&sql, &[&workers, &numbers]).await?;
                let held = rows.iter().map(Held::of).collect::<TxResult<Vec<Held>>>()?;
                self.release_held(&db, &held).await
            })
            .await?
            .1;
        writing.confirm(over.into_iter().map(|workspace| (workspace, -1)));
        Ok(())
    }

    /// Puts jobs back as if they had not been started, and ends those that were cancelled
    /// meanwhile. Returns how many wait again, and the workspaces of those that are over.
    async fn release_held(&self, db: &Db, held: &[Held]) -> TxResult<(u64, Vec<i64>)> {
        let marked: Vec<i64> =
            held.iter().filter(|held| held.marked).map(|held| held.key).collect();
        let why = cancellations(db, &marked).await?;
        let ended = held.iter().filter_map(|held| {
            let why = why.get(&held.key).filter(|_| held.marked)?;
            Some((held, system_ends::canceled(why, Some(held.started), why.at)))
        });
        let ended: Vec<(&Held, RunEnd)> = ended.collect();
        let over: Vec<(&Held, &RunEnd)> = ended.iter().map(|(held, end)| (*held, end)).collect();
        finish(db, &over).await?;
        let is_over = |held: &Held| held.marked && why.contains_key(&held.key);
        let back = held.iter().filter(|held| !is_over(held));
        let back: Vec<Requeued<'_>> = back
            .map(|held| Requeued {
                held,
                attempt: held.attempt.saturating_sub(1),
                failures: held.failures,
                run_at: None,
            })
            .collect();
        requeue(db, &back, &self.ready_groups).await?;
        self.free(db, held.iter()).await?;
        Ok((back.len() as u64, over.iter().map(|(held, _)| held.workspace).collect()))
    }
}
