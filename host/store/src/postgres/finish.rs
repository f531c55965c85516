//! Moving jobs to where it is written how they ended.

use super::columns::{EndColumns, day, day_of};
use super::db::{Db, Values, get};
use super::fault::TxResult;
use super::uuid::Uuid;
use crate::common::codec;
use crate::{Cancellation, Micros, RunEnd};
use std::collections::BTreeMap;
use tokio_postgres::Row;

/// A job that was taken out of the queue, to be put elsewhere in the same transaction.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) key: i64,
    pub(super) workspace: i64,
    pub(super) script: i64,
    pub(super) started: Micros,
    pub(super) max_attempts: i64,
    pub(super) concurrency_key: Option<i64>,
    pub(super) erase_after: Option<i64>,
    pub(super) attempt: i32,
    pub(super) failures: i32,
    pub(super) marked: bool,
}

impl Held {
    /// The columns of [`Held::of`], of a row of `running` named `r`.
    pub(super) const COLUMNS: &str = "r.id, r.workspace, r.script, r.started, r.max_attempts, r.concurrency_key, r.erase_after, \
        r.attempt, r.failures, r.marked";

    /// A job from the first ten columns.
    pub(super) fn of(row: &Row) -> TxResult<Self> {
        Ok(Self {
            key: get(row, 0)?,
            workspace: get(row, 1)?,
            script: get(row, 2)?,
            started: get(row, 3)?,
            max_attempts: get(row, 4)?,
            concurrency_key: get(row, 5)?,
            erase_after: get(row, 6)?,
            attempt: get(row, 7)?,
            failures: get(row, 8)?,
            marked: get(row, 9)?,
        })
    }

    /// How many attempts were lost with their workers, were this one.
    pub(super) fn lost(&self) -> u32 {
        codec::count(self.attempt.saturating_sub(self.failures))
    }
}

/// Writes how jobs ended that were taken out of the queue.
pub(super) async fn finish(db: &Db, jobs: &[(&Held, &RunEnd)]) -> TxResult<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    let held =
        |read: fn(&Held) -> i64| jobs.iter().map(|(held, _)| read(held)).collect::<Vec<i64>>();
    let (keys, workspaces, scripts) =
        (held(|held| held.key), held(|held| held.workspace), held(|held| held.script));
    let attempts: Vec<i32> = jobs.iter().map(|(held, _)| held.attempt).collect();
    let due: Vec<Option<i64>> = jobs.iter().map(|(held, end)| due(held.erase_after, end)).collect();
    let all: Vec<&RunEnd> = jobs.iter().map(|(_, end)| *end).collect();
    let ends = EndColumns::of(&all);
    let sql = "INSERT INTO finished (id, workspace, script, started, duration, memory, erase_due, attempt, status, deleted, result, log) \
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], \
        $8::integer[], $9::smallint[], $10::boolean[], $11::bytea[], $12::bytea[])";
    let values: Values<'_> = &[
        &keys,
        &workspaces,
        &scripts,
        &ends.started,
        &ends.durations,
        &ends.memory,
        &due,
        &attempts,
        &ends.statuses,
        &ends.deleted,
        &ends.results,
        &ends.logs,
    ];
    db.execute(sql, values).await?;
    let secret: Vec<i64> =
        jobs.iter().filter(|(_, end)| end.deleted).map(|(held, _)| held.key).collect();
    erase_payload(db, &secret).await?;
    note_counts(db, jobs.iter().map(|(held, _)| (held.workspace, day_of(held.key), -1, 1))).await
}

fn due(erase_after: Option<i64>, end: &RunEnd) -> Option<i64> {
    erase_after.filter(|_| !end.deleted).map(|after| end.completed().saturating_add(after))
}

/// Deletes what jobs were given, and how their earlier attempts ended.
pub(super) async fn erase_payload(db: &Db, keys: &[i64]) -> TxResult<()> {
    if keys.is_empty() {
        return Ok(());
    }
    db.execute("UPDATE job SET args = '' WHERE id = ANY ($1) AND args <> ''", &[&keys]).await?;
    let sql = "UPDATE job_attempt SET deleted = true, result = NULL, log = NULL WHERE job = ANY ($1) AND NOT deleted";
    db.execute(sql, &[&keys]).await.map(drop)
}

/// Notes how many jobs workspaces have more or fewer: workspace, day, those waiting or running, and
/// those finished.
pub(super) async fn note_counts(
    db: &Db,
    changes: impl Iterator<Item = (i64, i32, i64, i64)>,
) -> TxResult<()> {
    let mut sums: BTreeMap<(i64, i32), (i64, i64)> = BTreeMap::new();
    for (workspace, day, depth, finished) in changes {
        let sum = sums.entry((workspace, day)).or_default();
        *sum = (sum.0 + depth, sum.1 + finished);
    }
    if sums.is_empty() {
        return Ok(());
    }
    let (workspaces, days): (Vec<i64>, Vec<i32>) = sums.keys().copied().unzip();
    let (depths, finished): (Vec<i64>, Vec<i64>) = sums.values().copied().unzip();
    let sql = "INSERT INTO tally (workspace, day, depth, finished) \
        SELECT * FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bigint[])";
    db.execute(sql, &[&workspaces, &days, &depths, &finished]).await.map(drop)
}

/// A claim as a statement asks for it: the key its job has as far as is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) key: i64,
    pub(super) tail: Option<i64>,
    pub(super) uuid: Uuid,
    pub(super) attempt: i32,
}

impl Asked {
    /// The condition that a row of `running` named `r` is what a row named `c` asks for.
    pub(super) const MATCHES: &str = "r.id = c.key AND r.attempt = c.attempt AND r.tail IS NOT DISTINCT FROM c.tail \
        AND (c.tail IS NOT NULL OR EXISTS (SELECT FROM alias a WHERE a.uuid = c.uuid AND a.key = c.key))";
}

/// Moves running jobs by one statement to how they ended, those that have no concurrency limit, and
/// returns which of them those were, and their workspaces. None of the ends may be without payload.
pub(super) async fn finish_plain(
    db: &Db,
    runs: &[(Asked, &RunEnd)],
) -> TxResult<Vec<(usize, i64)>> {
    let keys: Vec<i64> = runs.iter().map(|(asked, _)| asked.key).collect();
    let tails: Vec<Option<i64>> = runs.iter().map(|(asked, _)| asked.tail).collect();
    let uuids: Vec<Uuid> = runs.iter().map(|(asked, _)| asked.uuid).collect();
    let attempts: Vec<i32> = runs.iter().map(|(asked, _)| asked.attempt).collect();
    let completed: Vec<i64> = runs.iter().map(|(_, end)| end.completed()).collect();
    let all: Vec<&RunEnd> = runs.iter().map(|(_, end)| *end).collect();
    let ends = EndColumns::of(&all);
    let (day, matches) = (day("id"), Asked::MATCHES);
    let sql = format!(
        "WITH c AS (SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::integer[], $5::bigint[], $6::bigint[], $7::bigint[], \
         $8::bigint[], $9::smallint[], $10::bytea[], $11::bytea[]) WITH ORDINALITY c (key, tail, uuid, attempt, completed, started, \
         duration, memory, status, result, log, n)), \
         gone AS (DELETE FROM running r USING c WHERE {matches} AND r.concurrency_key IS NULL \
         RETURNING c.n, r.id, r.workspace, r.script, c.started, c.duration, c.memory, r.attempt, c.status, c.result, c.log, \
         CASE WHEN r.erase_after > 9223372036854775807 - greatest(c.completed, 0) THEN 9223372036854775807 \
         ELSE c.completed + r.erase_after END AS erase_due), \
         over AS (INSERT INTO finished (id, workspace, script, started, duration, memory, erase_due, attempt, status, deleted, result, log) \
         SELECT id, workspace, script, started, duration, memory, erase_due, attempt, status, false, result, log FROM gone), \
         told AS (INSERT INTO tally (workspace, day, depth, finished) SELECT workspace, {day}, -count(*), count(*) FROM gone GROUP BY 1, 2) \
         SELECT n, workspace FROM gone"
    );
    let values: Values<'_> = &[
        &keys,
        &tails,
        &uuids,
        &attempts,
        &completed,
        &ends.started,
        &ends.durations,
        &ends.memory,
        &ends.statuses,
        &ends.results,
        &ends.logs,
    ];
    let mut done = Vec::with_capacity(runs.len());
    for row in db.rows(&sql, values).await? {
        let n: i64 = get(&row, 0)?;
        done.push((usize::try_from(n - 1).unwrap_or(usize::MAX), get(&row, 1)?));
    }
    Ok(done)
}

/// Writes down that somebody asked for jobs to be cancelled; the first cancellation stays.
pub(super) async fn note_cancellation(db: &Db, keys: &[i64], why: &Cancellation) -> TxResult<()> {
    let sql = "INSERT INTO cancellation (job, name, reason, at) SELECT k, $2, $3, $4 FROM unnest($1::bigint[]) k ON CONFLICT DO NOTHING";
    db.execute(
        sql,
        &[&keys, &why.by.as_bytes(), &why.reason.as_ref().map(String::as_bytes), &why.at],
    )
    .await
    .map(drop)
}

/// The cancellations of jobs, by their keys.
pub(super) async fn cancellations(db: &Db, keys: &[i64]) -> TxResult<BTreeMap<i64, Cancellation>> {
    let mut found = BTreeMap::new();
    if keys.is_empty() {
        return Ok(found);
    }
    for row in db
        .rows("SELECT job, name, reason, at FROM cancellation WHERE job = ANY ($1)", &[&keys])
        .await?
    {
        let by = super::db::text(&row, 1)?;
        found.insert(
            get(&row, 0)?,
            Cancellation { by, reason: super::db::optional_text(&row, 2)?, at: get(&row, 3)? },
        );
    }
    Ok(found)
}
