//! What workers report of the jobs they hold: that they are over, or that they are to be tried
//! again.
//!
//! A report counts only as long as the job is held under the claim that it names. Completions of
//! many calls are committed together, by one statement; those it leaves, because their jobs have a
//! concurrency limit, an assigned key that this node does not know, or ends without payload, are
//! looked at more closely in a transaction of their own.

use super::columns::EndColumns;
use super::concurrency;
use super::db::{Db, get};
use super::fault::{Fault, TxResult};
use super::finish::{Asked, Held, finish, finish_plain};
use super::requeue::{Requeued, requeue};
use super::shared::Shared;
use super::uuid::Uuid;
use crate::common::codec::{self, Extent};
use crate::{Claim, Completion, JobAttempt, Result, Retry, RunEnd};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use wasmill_core::JobId;

impl Shared {
    /// A batch of calls of `complete`.
    pub(super) async fn complete_all(
        &self,
        calls: &[Arc<Vec<Completion>>],
    ) -> Result<Vec<Vec<bool>>> {
        let runs: Vec<&Completion> = calls.iter().flat_map(|call| call.iter()).collect();
        let mut done = vec![false; runs.len()];
        let mut seen = HashSet::new();
        // Of several reports under one claim, the first counts.
        let mut rest: Vec<usize> = (0..runs.len())
            .filter(|n| runs.get(*n).is_some_and(|run| seen.insert(run.claim)))
            .collect();
        let writing = self.depths.begin();
        let mut over: Vec<i64> = Vec::new();
        if !self.claims.expects_limited() {
            let plain = rest
                .iter()
                .filter_map(|n| Some((*n, *runs.get(*n)?)))
                .filter(|(_, run)| !run.end.deleted);
            let (places, asked): (Vec<usize>, Vec<(Asked, &RunEnd)>) =
                plain.map(|(n, run)| (n, (self.asked(run.claim), &run.end))).unzip();
            if !asked.is_empty() {
                let asked = &asked;
                for (n, workspace) in
                    self.statement(move |db| async move { finish_plain(&db, asked).await }).await?
                {
                    if let Some(done) = places.get(n).and_then(|n| done.get_mut(*n)) {
                        *done = true;
                        over.push(workspace);
                    }
                }
            }
            rest.retain(|n| done.get(*n) == Some(&false));
        }
        if !rest.is_empty() {
            let left: Vec<(Claim, &RunEnd)> =
                rest.iter().filter_map(|n| runs.get(*n)).map(|run| (run.claim, &run.end)).collect();
            let left = &left;
            let found = self
                .transaction(move |db| async move { self.complete_closely(&db, left).await })
                .await?;
            for (n, held) in rest.into_iter().zip(found) {
                if let (Some(done), Some(workspace)) = (done.get_mut(n), held) {
                    *done = true;
                    over.push(workspace);
                }
            }
        }
        writing.confirm(over.into_iter().map(|workspace| (workspace, -1)));
        let mut done = done.into_iter();
        Ok(calls.iter().map(|call| done.by_ref().take(call.len()).collect()).collect())
    }

    /// The workspaces of those that were held.
    async fn complete_closely(
        &self,
        db: &Db,
        runs: &[(Claim, &RunEnd)],
    ) -> TxResult<Vec<Option<i64>>> {
        let claims: Vec<Claim> = runs.iter().map(|(claim, _)| *claim).collect();
        let held = self.take_out(db, &claims, None).await?;
        let both: Vec<(&Held, &RunEnd)> = held
            .iter()
            .zip(runs)
            .filter_map(|(held, (_, end))| Some((held.as_ref()?, *end)))
            .collect();
        finish(db, &both).await?;
        self.free(db, both.iter().map(|(held, _)| *held)).await?;
        Ok(held.iter().map(|held| held.as_ref().map(|held| held.workspace)).collect())
    }

    /// A batch of calls of `retry`.
    pub(super) async fn retry_all(&self, calls: &[Arc<Vec<Retry>>]) -> Result<Vec<Vec<bool>>> {
        let runs: Vec<&Retry> = calls.iter().flat_map(|call| call.iter()).collect();
        let mut seen = HashSet::new();
        let first: Vec<usize> = (0..runs.len())
            .filter(|n| runs.get(*n).is_some_and(|run| seen.insert(run.claim)))
            .collect();
        let chosen: Vec<&Retry> = first.iter().filter_map(|n| runs.get(*n).copied()).collect();
        let writing = self.depths.begin();
        let chosen = &chosen;
        let (found, over) = self
            .transaction(move |db| async move { self.retry_closely(&db, chosen).await })
            .await?;
        writing.confirm(over.into_iter().map(|workspace| (workspace, -1)));
        let mut done = vec![false; runs.len()];
        for (n, held) in first.into_iter().zip(found) {
            if let Some(done) = done.get_mut(n) {
                *done = held;
            }
        }
        let mut done = done.into_iter();
        Ok(calls.iter().map(|call| done.by_ref().take(call.len()).collect()).collect())
    }

    /// Which of them were held, and the workspaces of those that are over.
    async fn retry_closely(&self, db: &Db, runs: &[&Retry]) -> TxResult<(Vec<bool>, Vec<i64>)> {
        let claims: Vec<Claim> = runs.iter().map(|run| run.claim).collect();
        let held = self.take_out(db, &claims, None).await?;
        let mut over: Vec<(&Held, &RunEnd)> = Vec::new();
        let mut back: Vec<Requeued<'_>> = Vec::new();
        let mut attempts: Vec<(&Held, &RunEnd)> = Vec::new();
        for (held, run) in held.iter().zip(runs) {
            match held {
                Some(held) if held.marked => over.push((held, &run.end)),
                Some(held) => {
                    attempts.push((held, &run.end));
                    back.push(Requeued {
                        held,
                        attempt: held.attempt,
                        failures: held.failures.saturating_add(1),
                        run_at: Some(run.run_at),
                    });
                }
                None => {}
            }
        }
        finish(db, &over).await?;
        note_attempts(db, &attempts, false).await?;
        requeue(db, &back, &self.ready_groups).await?;
        self.free(db, held.iter().flatten()).await?;
        Ok((
            held.iter().map(Option::is_some).collect(),
            over.iter().map(|(held, _)| held.workspace).collect(),
        ))
    }

    /// Takes running jobs out of the queue that are still held under these claims, and by this
    /// worker if it is given.
    pub(super) async fn take_out(
        &self,
        db: &Db,
        claims: &[Claim],
        worker: Option<i64>,
    ) -> TxResult<Vec<Option<Held>>> {
        let keys: Vec<Option<i64>> =
            claims.iter().map(|claim| claim.id.is_native().then(|| claim.id.key())).collect();
        let tails: Vec<i64> = claims.iter().map(|claim| claim.id.tail()).collect();
        let uuids: Vec<Uuid> = claims.iter().map(|claim| Uuid(claim.id)).collect();
        let attempts: Vec<i32> =
            claims.iter().map(|claim| i32::try_from(claim.attempt).unwrap_or(i32::MAX)).collect();
        // In the order of their keys, so that two which report the same jobs don't wait for each
        // other in a circle.
        let sql = format!(
            "WITH c AS (SELECT c.n, c.attempt, c.tail, c.key, NULL::bigint AS alias FROM {ASKED} WHERE c.key IS NOT NULL \
             UNION ALL SELECT c.n, c.attempt, NULL, a.key, a.key FROM {ASKED} JOIN alias a ON a.uuid = c.uuid), \
             held AS (SELECT c.n, r.id FROM c JOIN running r ON r.id = c.key AND r.attempt = c.attempt AND r.tail IS NOT DISTINCT FROM c.tail \
             AND ($5::bigint IS NULL OR r.worker = $5) ORDER BY r.id FOR UPDATE OF r) \
             DELETE FROM running r USING held WHERE r.id = held.id RETURNING {}, held.n",
            Held::COLUMNS
        );
        let mut held = vec![None; claims.len()];
        for row in db.rows(&sql, &[&keys, &tails, &uuids, &attempts, &worker]).await? {
            let n: i64 = get(&row, 10)?;
            if let Some(place) = usize::try_from(n - 1).ok().and_then(|n| held.get_mut(n)) {
                *place = Some(Held::of(&row)?);
            }
        }
        Ok(held)
    }

    /// What these jobs had of their concurrency limits is free.
    pub(super) async fn free<'h>(
        &self,
        db: &Db,
        held: impl Iterator<Item = &'h Held>,
    ) -> TxResult<()> {
        let keys: BTreeSet<i64> = held.filter_map(|held| held.concurrency_key).collect();
        if !keys.is_empty() {
            self.claims.saw_limited();
        }
        concurrency::unblock(db, &keys, &self.ready_groups).await
    }

    /// A claim as a statement asks for it.
    fn asked(&self, claim: Claim) -> Asked {
        let attempt = i32::try_from(claim.attempt).unwrap_or(i32::MAX);
        let (key, tail) = match self.assigned_keys.key(&claim.id) {
            Some(key) => (key, None),
            None => (claim.id.key(), Some(claim.id.tail())),
        };
        Asked { key, tail, uuid: Uuid(claim.id), attempt }
    }

    /// See [`crate::Runs::attempts`].
    pub(super) async fn attempts_of(&self, workspace: i64, id: JobId) -> Result<Vec<JobAttempt>> {
        let sql = format!(
            "SELECT t.number, t.lost, t.started, t.status, t.duration, t.memory, t.deleted, t.result, t.log FROM job_attempt t \
             WHERE t.job = ({}) ORDER BY t.number",
            super::lookup::KEY_OF
        );
        let sql = &sql;
        let rows = self
            .statement(move |db| async move {
                db.rows(sql, &[&workspace, &super::lookup::own(&id), &id.tail(), &Uuid(id)]).await
            })
            .await?;
        let attempt = |row: &tokio_postgres::Row| {
            let end = super::rows::end(row, 3, get(row, 2)?, Extent::Line)?;
            Ok(JobAttempt { attempt: codec::count(get::<i32>(row, 0)?), end, lost: get(row, 1)? })
        };
        rows.iter().map(attempt).collect::<TxResult<_>>().map_err(Fault::into_error)
    }
}

/// Claims, as values of a statement.
const ASKED: &str = "unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::integer[]) WITH ORDINALITY c (key, tail, uuid, attempt, n)";

/// Keeps how attempts ended that were not the last ones.
pub(super) async fn note_attempts(
    db: &Db,
    attempts: &[(&Held, &RunEnd)],
    lost: bool,
) -> TxResult<()> {
    if attempts.is_empty() {
        return Ok(());
    }
    let keys: Vec<i64> = attempts.iter().map(|(held, _)| held.key).collect();
    let numbers: Vec<i32> = attempts.iter().map(|(held, _)| held.attempt).collect();
    let ends: Vec<&RunEnd> = attempts.iter().map(|(_, end)| *end).collect();
    let ends = EndColumns::of(&ends);
    let sql = "INSERT INTO job_attempt (job, number, lost, started, duration, memory, status, deleted, result, log) \
        SELECT a.job, a.number, $1, a.started, a.duration, a.memory, a.status, a.deleted, a.result, a.log \
        FROM unnest($2::bigint[], $3::integer[], $4::bigint[], $5::bigint[], $6::bigint[], $7::smallint[], $8::boolean[], $9::bytea[], \
        $10::bytea[]) a (job, number, started, duration, memory, status, deleted, result, log)";
    db.execute(
        sql,
        &[
            &lost,
            &keys,
            &numbers,
            &ends.started,
            &ends.durations,
            &ends.memory,
            &ends.statuses,
            &ends.deleted,
            &ends.results,
            &ends.logs,
        ],
    )
    .await
    .map(drop)
}
