//! The durable queue: taking jobs in, handing them to workers, getting them back, and ending them.

use super::fault::Fault;
use super::rows::{self, Extent};
use super::tx::{Place, Tx, alias};
use super::{runs, signed};
use crate::{Claim, ClaimedJob, Completion, Job, Micros, NewJob, WorkerId, exhausted};
use rusqlite::OptionalExtension;
use wasmill_core::JobId;

type Outcome<T> = std::result::Result<T, Fault>;

/// The row of a job that a worker has.
struct Held {
    key: i64,
    workspace: i64,
}

pub(super) fn enqueue(tx: &mut Tx<'_>, jobs: &[NewJob]) -> Outcome<()> {
    for job in jobs {
        let workspace = tx.workspace(&job.workspace)?;
        let runnable = tx.runnable(workspace, &job.version)?;
        let caller = tx.caller(&job.created_by, job.token)?;
        let Place { key, tail } = tx.place(&job.id, job.created)?;
        let sql = "INSERT INTO queue (id, tail, workspace, script, version, caller, trigger, created, run_at, timeout, \
            max_attempts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        tx.conn.prepare_cached(sql)?.execute((
            key,
            tail,
            workspace,
            runnable.script,
            runnable.version,
            caller,
            rows::trigger_number(job.trigger),
            job.created,
            job.run_at,
            job.timeout.map(|timeout| signed(timeout.as_micros())),
            job.max_attempts.max(1),
        ))?;
        let sql = "INSERT INTO queue_args (id, args) VALUES (?1, ?2)";
        tx.conn.prepare_cached(sql)?.execute((key, job.args.as_ref()))?;
        tx.depth.push((workspace, 1));
    }
    Ok(())
}

pub(super) fn claim(tx: &mut Tx<'_>, worker: WorkerId, now: Micros, limit: u32) -> Outcome<Vec<ClaimedJob>> {
    let sql = "UPDATE queue SET worker = ?1, started = ?2, attempt = attempt + 1 WHERE id IN \
        (SELECT id FROM queue INDEXED BY queue_due WHERE worker IS NULL AND run_at <= ?2 ORDER BY run_at, id LIMIT ?3) \
        RETURNING run_at, id";
    let mut statement = tx.conn.prepare_cached(sql)?;
    let keys = statement.query_map((worker, now, limit), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut keys: Vec<(Micros, i64)> = keys.collect::<rusqlite::Result<_>>()?;
    // The rows come in the order of the update, not of the selection.
    keys.sort_unstable();
    let sql = rows::select(true, Extent::Whole, None, "WHERE j.id = ?1");
    let mut statement = tx.conn.prepare_cached(&sql)?;
    let mut claimed = Vec::with_capacity(keys.len());
    for (_, key) in keys {
        let found = statement.query_and_then([key], |row| rows::job(row, true, Extent::Whole))?;
        for job in found {
            let (_, Job { job, path, attempt, .. }) = job?;
            claimed.push(ClaimedJob { job, attempt, path });
        }
    }
    Ok(claimed)
}

pub(super) fn extend_lease(tx: &mut Tx<'_>, worker: WorkerId, until: Micros) -> Outcome<()> {
    let sql = "INSERT INTO worker (id, lease_until) VALUES (?1, ?2) \
        ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until";
    tx.conn.prepare_cached(sql)?.execute((worker, until))?;
    Ok(())
}

/// Running jobs that nobody is alive for. A worker without a lease never showed that it was.
const ABANDONED: &str = "worker IS NOT NULL AND (?1 OR worker NOT IN (SELECT id FROM worker WHERE lease_until >= ?2))";

pub(super) fn rescue(tx: &mut Tx<'_>, now: Micros, everything: bool) -> Outcome<u64> {
    let sql = format!(
        "SELECT id, workspace, attempt, started FROM queue INDEXED BY queue_running \
         WHERE {ABANDONED} AND attempt >= max_attempts"
    );
    let mut statement = tx.conn.prepare_cached(&sql)?;
    let lost = statement.query_map((everything, now), |row| {
        let held = Held { key: row.get(0)?, workspace: row.get(1)? };
        Ok((held, row.get(2)?, row.get::<_, Option<i64>>(3)?))
    })?;
    let lost: Vec<(Held, u32, Option<i64>)> = lost.collect::<rusqlite::Result<_>>()?;
    for (held, attempts, started) in lost {
        tracing::warn!(attempts, "a job ended with its process on every attempt and is given up");
        let end = exhausted(attempts, started.unwrap_or(now), now);
        runs::finish(tx, held.key, &end)?;
        tx.depth.push((held.workspace, -1));
    }
    let sql = format!("UPDATE queue INDEXED BY queue_running SET worker = NULL, started = NULL WHERE {ABANDONED}");
    let rescued = tx.conn.prepare_cached(&sql)?.execute((everything, now))?;
    let sql = "DELETE FROM worker WHERE ?1 OR lease_until < ?2";
    tx.conn.prepare_cached(sql)?.execute((everything, now))?;
    Ok(rescued as u64)
}

pub(super) fn release(tx: &mut Tx<'_>, worker: WorkerId, jobs: &[Claim]) -> Outcome<u64> {
    let mut released = 0;
    for claim in jobs {
        if let Some(held) = held(tx, claim)? {
            let sql = "UPDATE queue SET worker = NULL, started = NULL, attempt = attempt - 1 WHERE id = ?1 AND worker = ?2";
            released += tx.conn.prepare_cached(sql)?.execute((held.key, worker))?;
        }
    }
    Ok(released as u64)
}

pub(super) fn complete(tx: &mut Tx<'_>, completions: &[Completion]) -> Outcome<Vec<bool>> {
    let mut done = Vec::with_capacity(completions.len());
    for Completion { claim, end } in completions {
        let held = held(tx, claim)?;
        if let Some(held) = &held {
            runs::finish(tx, held.key, end)?;
            tx.depth.push((held.workspace, -1));
        }
        done.push(held.is_some());
    }
    Ok(done)
}

pub(super) fn next_due(conn: &rusqlite::Connection) -> Outcome<Option<Micros>> {
    let sql = "SELECT min(run_at) FROM queue INDEXED BY queue_due WHERE worker IS NULL";
    Ok(conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// The job of a claim, when it still is held under it.
fn held(tx: &Tx<'_>, claim: &Claim) -> Outcome<Option<Held>> {
    let find = |key: i64, tail: Option<i64>| {
        let sql = "SELECT id, workspace FROM queue \
            WHERE id = ?1 AND tail IS ?2 AND attempt = ?3 AND worker IS NOT NULL";
        tx.conn
            .prepare_cached(sql)?
            .query_row((key, tail, claim.attempt), |row| Ok(Held { key: row.get(0)?, workspace: row.get(1)? }))
            .optional()
    };
    let JobKey { own, alias } = JobKey::of(tx, &claim.id)?;
    let held = match own {
        Some((key, tail)) => find(key, Some(tail))?,
        None => None,
    };
    match (held, alias) {
        (None, Some(key)) => Ok(find(key, None)?),
        (held, _) => Ok(held),
    }
}

/// Where the job of an id may be.
struct JobKey {
    /// The key and the tail that the id itself carries.
    own: Option<(i64, i64)>,
    /// The key that it was given instead.
    alias: Option<i64>,
}

impl JobKey {
    fn of(tx: &Tx<'_>, id: &JobId) -> rusqlite::Result<Self> {
        let own = id.is_native().then(|| (id.key(), id.tail()));
        let alias = if tx.names.aliases { alias(tx.conn, id)? } else { None };
        Ok(Self { own, alias })
    }
}
