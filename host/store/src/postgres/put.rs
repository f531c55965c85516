//! Giving new jobs their places: each gets a key that no other job has, and rows of what it is.
//!
//! Nearly every id gives its job the key, and a whole batch is written by one statement. Which keys
//! are free is the database's to decide, by the primary key of `job`: others may want the same one
//! at the same moment. Those who don't get theirs, because nodes do make ids with the same key, or
//! whose ids give none, get an alias: the row of `alias` takes a free key for them.

use super::db::{Db, get};
use super::fault::{Outcome, corrupt};
use super::names::Refs;
use super::rows::{day, retry_text, status_number, trigger_number};
use super::uuid::Uuid;
use super::{clamped, signed};
use crate::keys::{first_key, own_key};
use crate::model::micros;
use crate::{NewJob, RunEnd, StoreError};
use std::collections::{HashMap, HashSet};
use wasmill_core::JobId;

/// Further keys that are looked at beyond as many as are needed.
const SPARE_KEYS: i64 = 64;

/// How often other places are looked for when somebody takes those that were found.
const TRIES: u32 = 20;
/// How many keys further each attempt begins, at most. All of them together stay within a
/// millisecond's 4,096.
const ASIDE: i64 = 64;

/// A job to put.
#[derive(Debug, Clone, Copy)]
pub(super) struct New<'a> {
    pub(super) job: &'a NewJob,
    pub(super) refs: Refs,
    /// How it ended, when it has.
    pub(super) end: Option<&'a RunEnd>,
    /// False: nothing of its payload is kept.
    pub(super) with_body: bool,
}

/// Where jobs are put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// They wait; refused when their version is deleted.
    Waiting,
    /// They run, under this worker, since then.
    Running {
        /// The worker.
        worker: i64,
        /// The start.
        started: i64,
    },
    /// They are over.
    Finished,
}

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    /// It has this key.
    At(i64),
    /// Its id is taken.
    Taken,
    /// Its version is deleted.
    Deleted,
}

impl Placed {
    /// An error for those that were refused.
    pub(super) fn check(self, job: &NewJob) -> Result<i64, StoreError> {
        match self {
            Placed::At(key) => Ok(key),
            Placed::Taken => Err(taken(&job.id)),
            Placed::Deleted => Err(StoreError::NotFound(format!("version {}", job.version))),
        }
    }
}

pub(super) fn taken(id: &JobId) -> StoreError {
    StoreError::Conflict(format!("job {id} exists already"))
}

/// Puts those jobs whose ids give them their keys, by one statement. `None`: not put, see
/// [`put_rest`].
pub(super) async fn put_native(
    db: &Db,
    target: Target,
    new: &[New<'_>],
) -> Outcome<Vec<Option<Placed>>> {
    let mut seen = HashSet::new();
    let mut rows = Vec::with_capacity(new.len());
    for (n, new) in new.iter().enumerate() {
        let id = &new.job.id;
        // Of two with the same id, the second is judged when the first is put.
        if let Some(key) = own_key(id, new.job.created).filter(|_| seen.insert(*id)) {
            rows.push(Row { n, new, key, tail: Some(id.tail()) });
        }
    }
    let mut placed = vec![None; new.len()];
    for (n, key) in insert(db, target, rows).await? {
        if let Some(place) = placed.get_mut(n) {
            *place = Some(Placed::At(key));
        }
    }
    Ok(placed)
}

/// Judges the jobs that [`put_native`] left, and puts those that may be put. To be called in a
/// transaction.
pub(super) async fn put_rest(
    db: &Db,
    target: Target,
    new: &[New<'_>],
    placed: Vec<Option<Placed>>,
) -> Outcome<Vec<Placed>> {
    let mut placed = placed;
    for attempt in 0..TRIES {
        let rest: Vec<usize> = placed
            .iter()
            .enumerate()
            .filter(|(_, place)| place.is_none())
            .map(|(n, _)| n)
            .collect();
        if rest.is_empty() {
            break;
        }
        let judged = judge(db, target, new, &rest).await?;
        let mut seen = HashSet::new();
        let mut twins = Vec::new();
        for (n, refused) in rest.into_iter().zip(judged) {
            let (Some(place), Some(new)) = (placed.get_mut(n), new.get(n)) else { continue };
            *place = refused;
            if refused.is_none() && seen.insert(new.job.id) {
                twins.push((n, new));
            }
        }
        for (n, key) in put_twins(db, target, twins, attempt).await? {
            if let Some(place) = placed.get_mut(n) {
                *place = Some(Placed::At(key));
            }
        }
    }
    let all: Option<Vec<Placed>> = placed.into_iter().collect();
    all.ok_or_else(|| {
        StoreError::Unavailable("others took every place that was found for a job".into()).into()
    })
}

/// Why each of these jobs can't be put, if so.
///
/// What may be there is looked up by a subquery that gives a value, here and wherever jobs are
/// looked for by their keys: the planner makes a join of `EXISTS`, or a table in memory, and reads
/// every job of every day for it.
async fn judge(
    db: &Db,
    target: Target,
    new: &[New<'_>],
    which: &[usize],
) -> Outcome<Vec<Option<Placed>>> {
    let chosen: Vec<&New<'_>> = which.iter().filter_map(|n| new.get(*n)).collect();
    let keys: Vec<Option<i64>> =
        chosen.iter().map(|new| new.job.id.is_native().then(|| new.job.id.key())).collect();
    let tails: Vec<i64> = chosen.iter().map(|new| new.job.id.tail()).collect();
    let uuids: Vec<Uuid> = chosen.iter().map(|new| Uuid(new.job.id)).collect();
    let versions: Vec<i64> = chosen.iter().map(|new| new.refs.version).collect();
    let sql = "SELECT (SELECT true FROM job j WHERE j.id = n.key AND j.tail = n.tail) IS NOT NULL \
        OR (SELECT true FROM alias a JOIN job j ON j.id = a.key WHERE a.uuid = n.uuid AND j.tail IS NULL) IS NOT NULL, \
        (SELECT deleted FROM version WHERE id = n.version) \
        FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::bigint[]) WITH ORDINALITY n (key, tail, uuid, version, n) ORDER BY n.n";
    let mut judged = Vec::with_capacity(chosen.len());
    for row in db.rows(sql, &[&keys, &tails, &uuids, &versions]).await? {
        let (is_taken, deleted): (bool, Option<bool>) = (get(&row, 0)?, get(&row, 1)?);
        judged.push(match (is_taken, deleted) {
            (_, Some(true)) if target == Target::Waiting => Some(Placed::Deleted),
            (true, _) => Some(Placed::Taken),
            (false, _) => None,
        });
    }
    Ok(judged)
}

/// Puts jobs under aliases. Those that are not among what is returned have to be judged again.
async fn put_twins(
    db: &Db,
    target: Target,
    twins: Vec<(usize, &New<'_>)>,
    attempt: u32,
) -> Outcome<Vec<(usize, i64)>> {
    let Some((_, one)) = twins.first() else {
        return Ok(Vec::new());
    };
    // Others who need keys of the same moment look for the first free one too: whoever lost it
    // looks on from somewhere else. The id says where, for no two have the same.
    let mixed = (one.job.id.tail() ^ one.job.id.key().rotate_left(32))
        .wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64);
    let aside = (mixed >> 32).rem_euclid(1 + i64::from(attempt) * ASIDE);
    // In one order everywhere, so that two that take keys of the same moment don't wait for each
    // other in a circle.
    let mut wanted: Vec<(i64, usize, &New<'_>)> =
        twins.into_iter().map(|(n, new)| (first_key(new.job.created) + aside, n, new)).collect();
    wanted.sort_unstable_by_key(|(first, n, _)| (*first, *n));
    let mut counts: Vec<(i64, i64)> = Vec::new();
    for (first, ..) in &wanted {
        match counts.last_mut() {
            Some((last, count)) if last == first => *count += 1,
            _ => counts.push((*first, 1)),
        }
    }
    let mut free = free_keys(db, &counts).await?;
    let mut rows = Vec::with_capacity(wanted.len());
    for (first, n, new) in wanted {
        if let Some(key) = free.get_mut(&first).and_then(Iterator::next) {
            rows.push(Row { n, new, key, tail: None });
        }
    }
    let uuids: Vec<Uuid> = rows.iter().map(|row| Uuid(row.new.job.id)).collect();
    let keys: Vec<i64> = rows.iter().map(|row| row.key).collect();
    // An alias without a job is of one that was dropped with its whole day.
    let sql = "DELETE FROM alias a WHERE (a.uuid = ANY ($1) OR a.key = ANY ($2)) AND (SELECT true FROM job j WHERE j.id = a.key) IS NULL";
    db.execute(sql, &[&uuids, &keys]).await?;
    let sql = "INSERT INTO alias (uuid, key) SELECT * FROM unnest($1::uuid[], $2::bigint[]) ON CONFLICT DO NOTHING RETURNING key";
    let mut won = HashSet::new();
    for row in db.rows(sql, &[&uuids, &keys]).await? {
        won.insert(get::<i64>(&row, 0)?);
    }
    rows.retain(|row| won.contains(&row.key));
    let put = insert(db, target, rows).await?;
    // Somebody's id gave the same key at this moment.
    let lost: Vec<i64> =
        won.into_iter().filter(|key| put.iter().all(|(_, other)| other != key)).collect();
    if !lost.is_empty() {
        db.execute("DELETE FROM alias WHERE key = ANY ($1)", &[&lost]).await?;
    }
    Ok(put)
}

/// The first free keys from each of these on, so many of each.
async fn free_keys(
    db: &Db,
    wanted: &[(i64, i64)],
) -> Outcome<HashMap<i64, std::vec::IntoIter<i64>>> {
    let sql = "SELECT w.first, k FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) w (first, count, width) CROSS JOIN LATERAL \
        (SELECT k FROM generate_series(w.first, w.first + w.width) k WHERE (SELECT true FROM job j WHERE j.id = k) IS NULL \
        AND (SELECT true FROM alias a WHERE a.key = k) IS NULL ORDER BY k LIMIT w.count) k ORDER BY w.first, k";
    let mut found: HashMap<i64, Vec<i64>> = HashMap::new();
    let mut wanted = wanted.to_vec();
    let mut spare = SPARE_KEYS;
    while !wanted.is_empty() {
        let firsts: Vec<i64> = wanted.iter().map(|(first, _)| *first).collect();
        let counts: Vec<i64> = wanted.iter().map(|(_, count)| *count).collect();
        let widths: Vec<i64> = wanted.iter().map(|(_, count)| 2 * count + spare).collect();
        for first in &firsts {
            found.remove(first);
        }
        for row in db.rows(sql, &[&firsts, &counts, &widths]).await? {
            found.entry(get(&row, 0)?).or_default().push(get(&row, 1)?);
        }
        wanted.retain(|(first, count)| {
            found.get(first).map_or(0, Vec::len) < usize::try_from(*count).unwrap_or(0)
        });
        spare = spare.saturating_mul(8).min(1 << 24);
    }
    Ok(found.into_iter().map(|(first, keys)| (first, keys.into_iter())).collect())
}

/// A row of `job`.
#[derive(Debug, Clone, Copy)]
struct Row<'a> {
    n: usize,
    new: &'a New<'a>,
    key: i64,
    tail: Option<i64>,
}

const JOB: &str = "id, tail, workspace, script, version, caller, tag, created, run_at, max_attempts, label, timeout, concurrency_key, \
    concurrency_limit, erase_after, priority, trigger, when_read, awaited, parent, root, retry, args";

/// Writes rows whose keys are free, and returns which those were.
async fn insert(db: &Db, target: Target, rows: Vec<Row<'_>>) -> Outcome<Vec<(usize, i64)>> {
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
    // Only those without an alias must not have one.
    let uuids: Vec<Option<Uuid>> =
        rows.iter().map(|row| row.tail.map(|_| Uuid(row.new.job.id))).collect();
    let mut retries = Vec::with_capacity(rows.len());
    for row in &rows {
        retries.push(row.new.job.retry.as_ref().map(retry_text).transpose()?);
    }
    let args: Vec<&[u8]> = rows
        .iter()
        .map(|row| if row.new.with_body { row.new.job.args.as_ref() } else { &[] })
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
    let mut values: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> = vec![
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
            values.extend([worker as &(dyn tokio_postgres::types::ToSql + Sync), started]);
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
                rows.iter().zip(&ends).map(|(row, end)| erase_due(row.new.job, end)).collect();
            let statuses: Vec<i16> = ends.iter().map(|end| status_number(end.status)).collect();
            let deleted: Vec<bool> = ends.iter().map(|end| end.deleted).collect();
            let kept = rows
                .iter()
                .zip(&ends)
                .map(|(row, end)| (row.new.with_body && !end.deleted).then_some(*end));
            let (results, logs): (Vec<_>, Vec<_>) = kept.map(body).unzip();
            let sql = format!(
                "{placed} over AS (INSERT INTO finished (id, workspace, script, started, duration, memory, erase_due, attempt, status, \
                 deleted, result, log) SELECT p.id, p.workspace, p.script, e.started, e.duration, e.memory, e.erase_due, 1, e.status, \
                 e.deleted, e.result, e.log FROM placed p JOIN unnest($1, $2, $25::bigint[], $26::bigint[], $27::bigint[], $28::bigint[], \
                 $29::smallint[], $30::boolean[], $31::bytea[], $32::bytea[]) e (id, tail, started, duration, memory, erase_due, status, \
                 deleted, result, log) ON e.id = p.id AND e.tail IS NOT DISTINCT FROM p.tail), \
                 told AS (INSERT INTO tally (workspace, day, depth, finished) SELECT workspace, {day}, 0, count(*) FROM placed GROUP BY 1, 2) \
                 SELECT id, tail FROM placed"
            );
            let more: [&(dyn tokio_postgres::types::ToSql + Sync); 8] =
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

/// When the payload of a job that ended so is to be erased.
pub(super) fn erase_due(job: &NewJob, end: &RunEnd) -> Option<i64> {
    let after = job.erasure.after.filter(|_| !end.deleted)?;
    Some(end.completed().saturating_add(micros(after)))
}

/// The result and the log of an end, as columns.
pub(super) fn body(end: Option<&RunEnd>) -> (Option<&[u8]>, Option<&[u8]>) {
    match end {
        Some(end) => {
            (Some(end.result.get().as_bytes()), (!end.log.is_empty()).then_some(end.log.as_ref()))
        }
        None => (None, None),
    }
}
