//! The durable queue: taking jobs in, and what workers say of those that they have.

use super::fault::Fault;
use super::held::held;
use super::tally::Tally;
use super::tx::{Place, Tx, VersionRow};
use super::{attempts, erase, rows, signed};
use crate::{Claim, Completion, Micros, NewJob, Retry, StoreError, WorkerId, ends};
use rusqlite::params;

type Outcome<T> = std::result::Result<T, Fault>;

pub(super) fn enqueue(tx: &mut Tx<'_>, jobs: &[NewJob]) -> Outcome<()> {
    for job in jobs {
        let workspace = tx.workspace(&job.workspace)?;
        let version = tx.version(workspace, &job.version)?;
        if version.deleted {
            return Err(StoreError::NotFound(format!("version {}", job.version)).into());
        }
        insert(tx, workspace, version, job)?;
        tx.tallies.push((workspace, Tally::ENQUEUED));
    }
    Ok(())
}

pub(super) fn adopt(
    tx: &mut Tx<'_>,
    job: &NewJob,
    worker: WorkerId,
    started: Micros,
) -> Outcome<Claim> {
    let workspace = tx.workspace(&job.workspace)?;
    let version = tx.version(workspace, &job.version)?;
    let key = insert(tx, workspace, version, job)?;
    let sql = "UPDATE queue SET worker = ?2, started = ?3, attempt = 1 WHERE id = ?1";
    tx.conn.prepare_cached(sql)?.execute((key, worker, started))?;
    tx.tallies.push((workspace, Tally::ADOPTED));
    Ok(Claim { id: job.id, attempt: 1 })
}

/// Writes a job that waits, and returns its key.
fn insert(tx: &mut Tx<'_>, workspace: i64, version: VersionRow, job: &NewJob) -> Outcome<i64> {
    let caller = tx.caller(&job.created_by, job.token)?;
    let tag = tx.word(&job.tag)?;
    let label = job.label.as_ref().map(|label| tx.word(label)).transpose()?;
    let Place { key, tail } = tx.place(&job.id, job.created)?;
    let sql = "INSERT INTO queue (id, tail, workspace, script, version, caller, trigger, created, run_at, timeout, \
        max_attempts, tag, priority, label, parent, root, retry, concurrency_key, concurrency_limit, awaited) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)";
    tx.conn.prepare_cached(sql)?.execute(params![
        key,
        tail,
        workspace,
        version.script,
        version.id,
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
        rows::retry_text(job.retry.as_ref())?,
        job.concurrency.map(|limit| limit.key),
        job.concurrency.map(|limit| limit.limit),
        job.awaited,
    ])?;
    let sql = "INSERT INTO queue_args (id, args) VALUES (?1, ?2)";
    tx.conn.prepare_cached(sql)?.execute((key, job.args.as_ref()))?;
    erase::note(tx.conn, key, &job.erasure, None)?;
    Ok(key)
}

pub(super) fn complete(tx: &mut Tx<'_>, completions: &[Completion]) -> Outcome<Vec<bool>> {
    let mut done = Vec::with_capacity(completions.len());
    for Completion { claim, end } in completions {
        let held = held(tx, claim)?;
        if let Some(held) = &held {
            held.finish(tx, end)?;
        }
        done.push(held.is_some());
    }
    Ok(done)
}

pub(super) fn retry(tx: &mut Tx<'_>, retries: &[Retry]) -> Outcome<Vec<bool>> {
    let mut done = Vec::with_capacity(retries.len());
    for Retry { claim, end, run_at } in retries {
        let held = held(tx, claim)?;
        match &held {
            Some(held) if held.canceled.is_some() => held.finish(tx, end)?,
            Some(held) => {
                attempts::note(tx.conn, held.key, held.attempt, end, false)?;
                let sql = "UPDATE queue SET worker = NULL, started = NULL, run_at = ?2, failures = failures + 1 WHERE id = ?1";
                tx.conn.prepare_cached(sql)?.execute((held.key, run_at))?;
                held.returned(tx)?;
            }
            None => {}
        }
        done.push(held.is_some());
    }
    Ok(done)
}

pub(super) fn release(tx: &mut Tx<'_>, worker: WorkerId, jobs: &[Claim]) -> Outcome<u64> {
    let mut released = 0;
    for claim in jobs {
        let Some(held) = held(tx, claim)?.filter(|held| held.worker == worker) else {
            continue;
        };
        if let Some(cancellation) = &held.canceled {
            let end = ends::canceled(cancellation, held.started, cancellation.at);
            held.finish(tx, &end)?;
            continue;
        }
        let sql =
            "UPDATE queue SET worker = NULL, started = NULL, attempt = attempt - 1 WHERE id = ?1";
        tx.conn.prepare_cached(sql)?.execute([held.key])?;
        held.returned(tx)?;
        released += 1;
    }
    Ok(released)
}
