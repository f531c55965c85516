//! Taking jobs into the queue, and keys by which a request that is sent twice is done once.

use super::db::{Db, get};
use super::fault::TxResult;
use super::insert::{New, Target};
use super::names::Refs;
use super::new_jobs::{Placed, put_native, put_rest};
use super::ready::Group;
use super::shared::Shared;
use super::uuid::Uuid;
use crate::common::keys::{first_key, own_key};
use crate::common::refusals;
use crate::{Claim, Enqueued, IdempotencyKey, Micros, NewJob, Result, StoreError, WorkerId};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Shared {
    /// A batch of jobs, each queued by a call of its own.
    pub(super) async fn enqueue_each(&self, jobs: &[Arc<NewJob>]) -> Result<Vec<Result<()>>> {
        let all: Vec<&NewJob> = jobs.iter().map(AsRef::as_ref).collect();
        let refs = self.refs(&all).await?;
        let (mut answers, mut new) =
            (Vec::with_capacity(jobs.len()), Vec::with_capacity(jobs.len()));
        for (job, refs) in all.into_iter().zip(refs) {
            match refs {
                Ok(refs) => {
                    new.push(New { job, refs, end: None, with_payload: true });
                    answers.push(None);
                }
                Err(error) => answers.push(Some(Err(error))),
            }
        }
        let mut placed = self
            .put_each(Target::Waiting, &new)
            .await?
            .into_iter()
            .zip(&new)
            .map(|(place, new)| place.check(new.job).map(drop));
        Ok(answers
            .into_iter()
            .map(|answer| answer.or_else(|| placed.next()).unwrap_or_else(|| Err(unplaced())))
            .collect())
    }

    /// Puts jobs that are independent of each other: those whose ids give them their keys in one
    /// statement, the others in a transaction after it.
    pub(super) async fn put_each(&self, target: Target, new: &[New<'_>]) -> Result<Vec<Placed>> {
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let waits = target != Target::Finished;
        let writing = waits.then(|| self.depths.begin());
        let native =
            self.statement(move |db| async move { put_native(&db, target, new).await }).await?;
        let (mut placed, mut rest, mut places) =
            (Vec::with_capacity(new.len()), Vec::new(), Vec::new());
        for (n, (place, new)) in native.into_iter().zip(new).enumerate() {
            if place.is_none() {
                places.push(n);
                rest.push(*new);
            }
            placed.push(place.unwrap_or(Placed::Taken));
        }
        if !rest.is_empty() {
            let rest = &rest;
            let done = self
                .transaction(move |db| async move {
                    put_rest(&db, target, rest, vec![None; rest.len()]).await
                })
                .await?;
            for (n, place) in places.into_iter().zip(done) {
                if let Some(placed) = placed.get_mut(n) {
                    *placed = place;
                }
            }
        }
        if let Some(writing) = writing {
            writing.confirm(self.note_put(new, &placed));
        }
        Ok(placed)
    }

    /// Queues jobs, all or none.
    pub(super) async fn enqueue_together(&self, jobs: &[NewJob]) -> Result<()> {
        let all: Vec<&NewJob> = jobs.iter().collect();
        let refs = self.refs(&all).await?;
        let writing = self.depths.begin();
        let refs = &refs;
        let done =
            self.transaction(move |db| async move { put_together(&db, jobs, refs).await }).await;
        if done.as_ref().is_err_and(is_refusal) {
            writing.confirm([]);
            return done.map(drop);
        }
        let (new, placed) = done?;
        writing.confirm(self.note_put(&new, &placed));
        Ok(())
    }

    /// What jobs that were put change about the depths of workspaces.
    fn note_put(&self, new: &[New<'_>], placed: &[Placed]) -> Vec<(i64, i64)> {
        let put = new.iter().zip(placed).filter(|(_, place)| matches!(place, Placed::At(_)));
        let changes = put.map(|(New { job, refs, .. }, _)| {
            self.ready_groups.note(
                Group { workspace: refs.workspace, tag: refs.tag, rank: -i32::from(job.priority) },
                job.run_at,
            );
            (refs.workspace, 1)
        });
        changes.collect()
    }

    /// See [`crate::Queue::enqueue_once`].
    pub(super) async fn enqueue_unless(
        &self,
        key: &IdempotencyKey,
        job: &NewJob,
    ) -> Result<Enqueued> {
        let Some(workspace) = self.workspace_row(&job.workspace).await? else {
            return Err(refusals::no_workspace(&job.workspace));
        };
        let refs = self.refs(&[job]).await?.into_iter().next().unwrap_or_else(|| Err(unplaced()));
        let writing = self.depths.begin();
        let refs = &refs;
        let done = self
            .transaction(move |db| async move {
                // Whoever uses the same key at this moment waits here for the other one's end.
                let sql = "INSERT INTO idempotency (workspace, digest, body, job, expires) VALUES ($1, $2, $3, $4, $5) \
                    ON CONFLICT (workspace, digest) DO UPDATE SET body = excluded.body, job = excluded.job, expires = excluded.expires \
                    WHERE idempotency.expires <= $6 RETURNING 1";
                let (digest, body) = (key.digest.as_slice(), key.body.as_slice());
                if db.row(sql, &[&workspace, &digest, &body, &Uuid(job.id), &key.expires, &job.created]).await?.is_none() {
                    let sql = "SELECT body = $3, job FROM idempotency WHERE workspace = $1 AND digest = $2";
                    let row = db.one(sql, &[&workspace, &digest, &body]).await?;
                    let Uuid(first) = get(&row, 1)?;
                    return Ok((if get(&row, 0)? { Enqueued::Existing(first) } else { Enqueued::Mismatch }, Vec::new()));
                }
                let refs = match &refs {
                    Ok(refs) => *refs,
                    Err(error) => return Err(error.clone().into()),
                };
                let new = [New { job, refs, end: None, with_payload: true }];
                let placed = put(&db, Target::Waiting, &new).await?;
                for place in &placed {
                    place.check(job)?;
                }
                Ok((Enqueued::New, self.note_put(&new, &placed)))
            })
            .await;
        if done.as_ref().is_err_and(is_refusal) {
            writing.confirm([]);
            return done.map(|(enqueued, _)| enqueued);
        }
        let (enqueued, changes) = done?;
        writing.confirm(changes);
        Ok(enqueued)
    }

    /// See [`crate::Queue::purge_idempotency`].
    pub(super) async fn purge_keys(&self, now: Micros, limit: u32) -> Result<u64> {
        let sql = "DELETE FROM idempotency i USING (SELECT workspace, digest FROM idempotency WHERE expires <= $1 \
            ORDER BY expires, digest, workspace LIMIT $2 FOR UPDATE SKIP LOCKED) old \
            WHERE i.workspace = old.workspace AND i.digest = old.digest";
        self.statement(move |db| async move { db.execute(sql, &[&now, &i64::from(limit)]).await })
            .await
    }

    /// See [`crate::Queue::adopt`].
    pub(super) async fn adopt_job(
        &self,
        job: &NewJob,
        worker: WorkerId,
        started: Micros,
    ) -> Result<Claim> {
        let refs =
            self.refs(&[job]).await?.into_iter().next().unwrap_or_else(|| Err(unplaced()))?;
        let new = [New { job, refs, end: None, with_payload: true }];
        for place in self.put_each(Target::Running { worker, started }, &new).await? {
            let key = place.check(job)?;
            self.assigned_keys.learn([(key, &job.id)].into_iter());
        }
        Ok(Claim { id: job.id, attempt: 1 })
    }
}

fn unplaced() -> StoreError {
    StoreError::Unavailable("a job was not judged".into())
}

/// True when it is known that nothing was done.
fn is_refusal(error: &StoreError) -> bool {
    matches!(error, StoreError::NotFound(_) | StoreError::Conflict(_))
}

/// Puts jobs within a transaction.
async fn put(db: &Db, target: Target, new: &[New<'_>]) -> TxResult<Vec<Placed>> {
    let native = put_native(db, target, new).await?;
    put_rest(db, target, new, native).await
}

/// Puts jobs in their call's order, or refuses all of them for the first reason that there is.
async fn put_together<'a>(
    db: &Db,
    jobs: &'a [NewJob],
    refs: &[Result<Refs>],
) -> TxResult<(Vec<New<'a>>, Vec<Placed>)> {
    let (mut new, mut missing) = (Vec::with_capacity(jobs.len()), None);
    for (job, refs) in jobs.iter().zip(refs) {
        // What follows on a refusal is of no interest any more.
        match refs {
            Ok(refs) => new.push(New { job, refs: *refs, end: None, with_payload: true }),
            Err(error) => {
                missing = Some(error.clone());
                break;
            }
        }
    }
    db.execute("SAVEPOINT call", &[]).await?;
    let mut placed = put(db, Target::Waiting, &new).await?;
    if crosses(&new, &placed) {
        db.execute("ROLLBACK TO SAVEPOINT call", &[]).await?;
        placed.clear();
        for new in &new {
            placed.extend(put(db, Target::Waiting, std::slice::from_ref(new)).await?);
        }
    }
    for (new, place) in new.iter().zip(&placed) {
        place.check(new.job)?;
    }
    match missing {
        Some(error) => Err(error.into()),
        None => Ok((new, placed)),
    }
}

/// True when a job's id gave it the key that an earlier one, whose id gives none, would have been
/// given.
fn crosses(new: &[New<'_>], placed: &[Placed]) -> bool {
    let mut own = BTreeSet::new();
    for (new, place) in new.iter().zip(placed).rev() {
        let Placed::At(key) = place else { continue };
        if own_key(&new.job.id, new.job.created) == Some(*key) {
            own.insert(*key);
        } else if own.range(first_key(new.job.created)..*key).next().is_some() {
            return true;
        }
    }
    false
}
