//! Writing the rows of new jobs whose keys are free, by one statement.

use super::columns::{clamped, day};
use super::db::{Db, get};
use super::fault::{TxResult, corrupt};
use super::names::Refs;
use super::uuid::Uuid;
use crate::common::codec::{payload_columns, retry_text, signed, status_number, trigger_number};
use crate::model::micros;
use crate::{NewJob, RunEnd};
use std::collections::HashMap;
use tokio_postgres::types::ToSql;
use wasmill_core::JobId;

/// A job to put.
#[derive(Debug, Clone, Copy)]
pub(super) struct New<'a> {
    pub(super) job: &'a NewJob,
    pub(super) refs: Refs,
    /// How it ended, when it has.
    pub(super) end: Option<&'a RunEnd>,
    /// False: nothing of its payload is kept.
    pub(super) with_payload: bool,
}

/// Where jobs are put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The jobs wait; one is refused when its version is deleted.
    Waiting,
    /// The jobs run.
    Running {
        /// The worker.
        worker: i64,
        /// The start.
        started: i64,
    },
    /// The jobs are over.
    Finished,
}

/// A row of `job`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) n: usize,
    pub(super) new: &'a New<'a>,
    pub(super) key: i64,
    pub(super) tail: Option<i64>,
}

const JOB: &str = "id, tail, workspace, script, version, caller, tag, created, run_at, max_attempts, label, timeout, concurrency_key, \
    concurrency_limit, erase_after, priority, trigger, when_read, awaited, parent, root, retry, args";

/// Writes rows whose keys are free, and returns which those were.
pub(super) async fn insert(
    db: &Db,
    target: Target,
    rows: Vec<Row<'_>>,
) -> TxResult<Vec<(usize, i64)>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut rows = rows;
    rows.sort_unstable_by_key(|row| row.key);
    let new =
        |read: fn(&New<'_>) -> i64| rows.iter().map(|row| read(row.new)).collect::<Vec<i64>>();
    let some = |read: fn(&New<'_>) -> Option<i64>| {
        rows.iter().map(|row| read(row.new)).collect::<Vec<Option<i64>>>()
    };
    let small =
        |read: fn(&New<'_>) -> i16| rows.iter().map(|row| read(row.new)).collect::<Vec<i16>>();
    let flag =
        |read: fn(&New<'_>) -> bool| rows.iter().map(|row| read(row.new)).collect::<Vec<bool>>();
    let uuid = |read: fn(&New<'_>) -> Option<JobId>| {
        rows.iter().map(|row| read(row.new).map(Uuid)).collect::<Vec<Option<Uuid>>>()
    };
    let keys: Vec<i64> = rows.iter().map(|row| row.key).collect();
    let tails: Vec<Option<i64>> = rows.iter().map(|row| row.tail).collect();
    // Only those with a key of their own must not have an assigned one.
    let uuids: Vec<Option<Uuid>> =
        rows.iter().map(|row| row.tail.map(|_| Uuid(row.new.job.id))).collect();
    let mut retries = Vec::with_capacity(rows.len());
    for row in &rows {
        retries.push(retry_text(row.new.job)?);
    }
    let args: Vec<&[u8]> = rows
        .iter()
        .map(|row| if row.new.with_payload { row.new.job.args.as_ref() } else { &[] })
        .collect();
    let (workspaces, versions) = (new(|new| new.refs.workspace), new(|new| new.refs.version));
    let (scripts, callers, tags) =
        (new(|new| new.refs.script), new(|new| new.refs.caller), new(|new| new.refs.tag));
    let (created, run_at) = (new(|new| new.job.created), new(|new| new.job.run_at));
    let max_attempts = new(|new| new.job.max_attempts.max(1).into());
    let labels = some(|new| new.refs.label);
    let timeouts = some(|new| new.job.timeout.map(micros));
    let limit_keys = some(|new| new.job.concurrency.map(|limit| limit.key));
    let limits = some(|new| new.job.concurrency.map(|limit| limit.limit.into()));
    let erase_after = some(|new| new.job.erasure.after.map(micros));
    let priorities = small(|new| new.job.priority);
    let triggers = small(|new| trigger_number(new.job.trigger));
    let (when_read, awaited) = (flag(|new| new.job.erasure.when_read), flag(|new| new.job.awaited));
    let (parents, roots) = (uuid(|new| new.job.parent), uuid(|new| new.job.root));
    let refused = match target {
        Target::Waiting => {
            "NOT EXISTS (SELECT FROM version v WHERE v.id = ANY ($6) AND v.deleted AND v.id = n.version)"
        }
        _ => "true",
    };
    // Of several that are put at the same moment, all go by the order of their keys, so that none
    // waits in a circle.
    let placed = format!(
        "WITH n AS MATERIALIZED (SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[], \
         $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], \
         $15::bigint[], $16::bigint[], $17::smallint[], $18::smallint[], $19::boolean[], $20::boolean[], $21::uuid[], $22::uuid[], \
         $23::text[], $24::bytea[]) n (id, tail, uuid, workspace, script, version, caller, tag, created, run_at, max_attempts, label, \
         timeout, concurrency_key, concurrency_limit, erase_after, priority, trigger, when_read, awaited, parent, root, retry, args)), \
         placed AS (INSERT INTO job ({JOB}) SELECT {JOB} FROM n \
         WHERE {refused} AND NOT EXISTS (SELECT FROM alias a WHERE a.uuid = n.uuid) ORDER BY n.id \
         ON CONFLICT DO NOTHING RETURNING id, tail, workspace, script, tag, run_at, max_attempts, concurrency_key, \
         concurrency_limit, erase_after, priority), "
    );
    let day = day("id");
    let mut values: Vec<&(dyn ToSql + Sync)> = vec![
        &keys,
        &tails,
        &uuids,
        &workspaces,
        &scripts,
        &versions,
        &callers,
        &tags,
        &created,
        &run_at,
        &max_attempts,
        &labels,
        &timeouts,
        &limit_keys,
        &limits,
        &erase_after,
        &priorities,
        &triggers,
        &when_read,
        &awaited,
        &parents,
        &roots,
        &retries,
        &args,
    ];
    let put = match &target {
        Target::Waiting => {
            let sql = format!(
                "{placed} waits AS (INSERT INTO waiting (id, workspace, script, tag, run_at, max_attempts, tail, concurrency_key, \
                 concurrency_limit, erase_after, rank, attempt, failures, held) SELECT id, workspace, script, tag, run_at, max_attempts, \
                 tail, concurrency_key, concurrency_limit, erase_after, -priority::integer, 0, 0, false FROM placed), \
                 told AS (INSERT INTO tally (workspace, day, depth, finished) SELECT workspace, {day}, count(*), 0 FROM placed GROUP BY 1, 2) \
                 SELECT id, tail FROM placed"
            );
            db.rows(&sql, &values).await?
        }
        Target::Running { worker, started } => {
            let sql = format!(
                "{placed} alive AS (INSERT INTO worker (id) VALUES ($25) ON CONFLICT (id) DO UPDATE SET id = excluded.id WHERE false), \
                 runs AS (INSERT INTO running (id, workspace, script, worker, claim, started, max_attempts, tail, concurrency_key, \
                 erase_after, attempt, failures, marked) SELECT id, workspace, script, $25, 0, $26, max_attempts, tail, concurrency_key, \
                 erase_after, 1, 0, false FROM placed), \
                 told AS (INSERT INTO tally (workspace, day, depth, finished) SELECT workspace, {day}, count(*), 0 FROM placed GROUP BY 1, 2) \
                 SELECT id, tail FROM placed"
            );
            values.extend([worker as &(dyn ToSql + Sync), started]);
            db.rows(&sql, &values).await?
        }
        Target::Finished => {
            let mut ends = Vec::with_capacity(rows.len());
            for row in &rows {
                ends.push(row.new.end.ok_or_else(|| corrupt("job", "a finished one has no end"))?);
            }
            let started: Vec<i64> = ends.iter().map(|end| end.started).collect();
            let durations: Vec<i64> = ends.iter().map(|end| clamped(end)).collect();
            let memory: Vec<i64> = ends.iter().map(|end| signed(end.memory_peak_bytes)).collect();
            let due: Vec<Option<i64>> =
                rows.iter().zip(&ends).map(|(row, end)| row.new.job.erasure.due(end)).collect();
            let statuses: Vec<i16> = ends.iter().map(|end| status_number(end.status)).collect();
            let deleted: Vec<bool> = ends.iter().map(|end| end.deleted).collect();
            let kept = rows.iter().zip(&ends).map(|(row, end)| match row.new.with_payload {
                true => payload_columns(end),
                false => (None, None),
            });
            let (results, logs): (Vec<_>, Vec<_>) = kept.unzip();
            let sql = format!(
                "{placed} over AS (INSERT INTO finished (id, workspace, script, started, duration, memory, erase_due, attempt, status, \
                 deleted, result, log) SELECT p.id, p.workspace, p.script, e.started, e.duration, e.memory, e.erase_due, 1, e.status, \
                 e.deleted, e.result, e.log FROM placed p JOIN unnest($1, $2, $25::bigint[], $26::bigint[], $27::bigint[], $28::bigint[], \
                 $29::smallint[], $30::boolean[], $31::bytea[], $32::bytea[]) e (id, tail, started, duration, memory, erase_due, status, \
                 deleted, result, log) ON e.id = p.id AND e.tail IS NOT DISTINCT FROM p.tail), \
                 told AS (INSERT INTO tally (workspace, day, depth, finished) SELECT workspace, {day}, 0, count(*) FROM placed GROUP BY 1, 2) \
                 SELECT id, tail FROM placed"
            );
            let more: [&(dyn ToSql + Sync); 8] =
                [&started, &durations, &memory, &due, &statuses, &deleted, &results, &logs];
            values.extend(more);
            db.rows(&sql, &values).await?
        }
    };
    let by_place: HashMap<(i64, Option<i64>), usize> =
        rows.iter().map(|row| ((row.key, row.tail), row.n)).collect();
    let mut placed = Vec::with_capacity(put.len());
    for row in &put {
        let (key, tail): (i64, Option<i64>) = (get(row, 0)?, get(row, 1)?);
        if let Some(n) = by_place.get(&(key, tail)) {
            placed.push((*n, key));
        }
    }
    Ok(placed)
}
