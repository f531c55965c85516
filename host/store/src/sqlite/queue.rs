//! The durable queue: taking jobs in, getting them back from workers, and ending them.

use super::fault::Fault;
use super::tally::Tally;
use super::tx::{Place, Runnable, Tx, alias};
use super::{erase, rows, runs, signed};
use crate::{Cancellation, Claim, Completion, Micros, NewJob, StoreError, WorkerId, ends};
use rusqlite::{OptionalExtension, Row};

type Outcome<T> = std::result::Result<T, Fault>;

/// The row of a job that a worker has.
struct Held {
    key: i64,
    workspace: i64,
    worker: WorkerId,
    attempt: u32,
    started: Option<Micros>,
    canceled: Option<Cancellation>,
}

/// The columns of one.
const HELD: &str = "q.id, q.workspace, q.worker, q.attempt, q.started, x.name, x.reason, x.at";

impl Held {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let canceled = match row.get(5)? {
            Some(by) => Some(Cancellation { by, reason: row.get(6)?, at: row.get(7)? }),
            None => None,
        };
        let (key, workspace, worker) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Self { key, workspace, worker, attempt: row.get(3)?, started: row.get(4)?, canceled })
    }
}

pub(super) fn enqueue(tx: &mut Tx<'_>, jobs: &[NewJob]) -> Outcome<()> {
    for job in jobs {
        let workspace = tx.workspace(&job.workspace)?;
        let runnable = tx.runnable(workspace, &job.version)?;
        if runnable.deleted {
            return Err(StoreError::NotFound(format!("version {}", job.version)).into());
        }
        insert(tx, workspace, runnable, job)?;
        tx.tallies.push((workspace, Tally::ENQUEUED));
    }
    Ok(())
}

pub(super) fn adopt(tx: &mut Tx<'_>, job: &NewJob, worker: WorkerId, started: Micros) -> Outcome<Claim> {
    let workspace = tx.workspace(&job.workspace)?;
    let runnable = tx.runnable(workspace, &job.version)?;
    let key = insert(tx, workspace, runnable, job)?;
    let sql = "UPDATE queue SET worker = ?2, started = ?3, attempt = 1 WHERE id = ?1";
    tx.conn.prepare_cached(sql)?.execute((key, worker, started))?;
    tx.tallies.push((workspace, Tally::ADOPTED));
    Ok(Claim { id: job.id, attempt: 1 })
}

/// Writes a job that waits, and returns its key.
fn insert(tx: &mut Tx<'_>, workspace: i64, runnable: Runnable, job: &NewJob) -> Outcome<i64> {
    let caller = tx.caller(&job.created_by, job.token)?;
    let tag = tx.word(&job.tag)?;
    let label = job.label.as_ref().map(|label| tx.word(label)).transpose()?;
    let Place { key, tail } = tx.place(&job.id, job.created)?;
    let sql = "INSERT INTO queue (id, tail, workspace, script, version, caller, trigger, created, run_at, timeout, \
        max_attempts, tag, priority, label, parent, root) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
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
        tag,
        job.priority,
        label,
        job.parent.map(|id| id.to_string()),
        job.root.map(|id| id.to_string()),
    ))?;
    let sql = "INSERT INTO queue_args (id, args) VALUES (?1, ?2)";
    tx.conn.prepare_cached(sql)?.execute((key, job.args.as_ref()))?;
    erase::note(tx.conn, key, &job.erasure, None)?;
    Ok(key)
}

pub(super) fn extend_lease(tx: &mut Tx<'_>, worker: WorkerId, until: Micros) -> Outcome<()> {
    let sql = "INSERT INTO worker (id, lease_until) VALUES (?1, ?2) \
        ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until";
    tx.conn.prepare_cached(sql)?.execute((worker, until))?;
    Ok(())
}

/// Running jobs that nobody is alive for. A worker without a lease never showed that it was.
const ABANDONED: &str = "q.worker IS NOT NULL AND (?1 OR q.worker NOT IN (SELECT w.id FROM worker w WHERE w.lease_until >= ?2))";

pub(super) fn rescue(tx: &mut Tx<'_>, now: Micros, everything: bool) -> Outcome<u64> {
    let sql = format!(
        "SELECT {HELD} FROM queue q INDEXED BY queue_running LEFT JOIN cancel x ON x.id = q.id \
         WHERE {ABANDONED} AND (q.marked = 1 OR q.attempt >= q.max_attempts)"
    );
    let mut statement = tx.conn.prepare_cached(&sql)?;
    let lost = statement.query_map((everything, now), Held::of)?;
    let lost: Vec<Held> = lost.collect::<rusqlite::Result<_>>()?;
    for held in lost {
        let end = match &held.canceled {
            Some(cancellation) => ends::canceled(cancellation, held.started, now),
            None => {
                tracing::warn!(attempts = held.attempt, "a job ended with its process on every attempt and is given up");
                ends::exhausted(held.attempt, held.started.unwrap_or(now), now)
            }
        };
        runs::finish(tx, held.key, held.workspace, Tally::COMPLETED, &end)?;
    }
    let sql = format!(
        "UPDATE queue AS q INDEXED BY queue_running SET worker = NULL, started = NULL \
         WHERE {ABANDONED} RETURNING workspace"
    );
    let mut statement = tx.conn.prepare_cached(&sql)?;
    let rescued = statement.query_map((everything, now), |row| row.get(0))?;
    let rescued: Vec<i64> = rescued.collect::<rusqlite::Result<_>>()?;
    tx.tallies.extend(rescued.iter().map(|workspace| (*workspace, Tally::RETURNED)));
    let sql = "DELETE FROM worker WHERE ?1 OR lease_until < ?2";
    tx.conn.prepare_cached(sql)?.execute((everything, now))?;
    Ok(rescued.len() as u64)
}

pub(super) fn release(tx: &mut Tx<'_>, worker: WorkerId, jobs: &[Claim]) -> Outcome<u64> {
    let mut released = 0;
    for claim in jobs {
        let Some(held) = held(tx, claim)?.filter(|held| held.worker == worker) else {
            continue;
        };
        if let Some(cancellation) = &held.canceled {
            let end = ends::canceled(cancellation, held.started, cancellation.at);
            runs::finish(tx, held.key, held.workspace, Tally::COMPLETED, &end)?;
            continue;
        }
        let sql = "UPDATE queue SET worker = NULL, started = NULL, attempt = attempt - 1 WHERE id = ?1";
        tx.conn.prepare_cached(sql)?.execute([held.key])?;
        tx.tallies.push((held.workspace, Tally::RETURNED));
        released += 1;
    }
    Ok(released)
}

pub(super) fn complete(tx: &mut Tx<'_>, completions: &[Completion]) -> Outcome<Vec<bool>> {
    let mut done = Vec::with_capacity(completions.len());
    for Completion { claim, end } in completions {
        let held = held(tx, claim)?;
        if let Some(held) = &held {
            runs::finish(tx, held.key, held.workspace, Tally::COMPLETED, end)?;
        }
        done.push(held.is_some());
    }
    Ok(done)
}

/// The job of a claim, when it still is held under it.
fn held(tx: &Tx<'_>, claim: &Claim) -> Outcome<Option<Held>> {
    let find = |key: i64, tail: Option<i64>| {
        let sql = format!(
            "SELECT {HELD} FROM queue q LEFT JOIN cancel x ON x.id = q.id \
             WHERE q.id = ?1 AND q.tail IS ?2 AND q.attempt = ?3 AND q.worker IS NOT NULL"
        );
        tx.conn.prepare_cached(&sql)?.query_row((key, tail, claim.attempt), Held::of).optional()
    };
    if claim.id.is_native()
        && let Some(held) = find(claim.id.key(), Some(claim.id.tail()))?
    {
        return Ok(Some(held));
    }
    let alias = if tx.names.aliases { alias(tx.conn, &claim.id)? } else { None };
    match alias {
        Some(key) => Ok(find(key, None)?),
        None => Ok(None),
    }
}
