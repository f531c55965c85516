//! Writing the records of what ran.

use super::fault::Fault;
use super::tally::Tally;
use super::tx::{Place, Tx};
use super::{erase, rows, signed};
use crate::{RunEnd, RunRecord};
use rusqlite::params;

type Outcome<T> = std::result::Result<T, Fault>;

/// Writes the record of a run that never was in the queue.
pub(super) fn insert(tx: &mut Tx<'_>, run: &RunRecord, with_body: bool) -> Outcome<()> {
    let RunRecord { job, end } = run;
    let workspace = tx.workspace(&job.workspace)?;
    let runnable = tx.runnable(workspace, &job.version)?;
    let caller = tx.caller(&job.created_by, job.token)?;
    let tag = tx.word(&job.tag)?;
    let label = job.label.as_ref().map(|label| tx.word(label)).transpose()?;
    let Place { key, tail } = tx.place(&job.id, job.created)?;
    let sql = "INSERT INTO run (id, tail, workspace, script, version, caller, trigger, created, run_at, timeout, \
        max_attempts, tag, priority, label, parent, root, attempt, started, status, duration, memory, deleted, \
        retry, concurrency_key, concurrency_limit, awaited) VALUES \
        (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, 1, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25)";
    tx.conn.prepare_cached(sql)?.execute(params![
        key,
        tail,
        workspace,
        runnable.script,
        runnable.version,
        caller,
        rows::trigger_number(job.trigger),
        job.created,
        (job.run_at != job.created).then_some(job.run_at),
        job.timeout.map(|timeout| signed(timeout.as_micros())),
        job.max_attempts.max(1),
        tag,
        job.priority,
        label,
        job.parent.map(|id| id.to_string()),
        job.root.map(|id| id.to_string()),
        end.started,
        rows::status_number(end.status),
        signed(end.duration.as_micros()),
        signed(end.memory_peak_bytes),
        end.deleted,
        rows::retry_text(job.retry.as_ref())?,
        job.concurrency.map(|limit| limit.key),
        job.concurrency.map(|limit| limit.limit),
        job.awaited,
    ])?;
    erase::note(tx.conn, key, &job.erasure, (!end.deleted).then(|| end.completed()))?;
    tx.tallies.push((workspace, Tally::RECORDED));
    match with_body && !end.deleted {
        true => body(tx, key, Some(job.args.as_ref()), end),
        false => Ok(()),
    }
}

/// Moves a job of a workspace from the queue to the run records.
pub(super) fn finish(tx: &mut Tx<'_>, key: i64, workspace: i64, change: Tally, end: &RunEnd) -> Outcome<()> {
    let sql = "INSERT INTO run (id, tail, workspace, script, version, caller, trigger, created, run_at, timeout, \
        max_attempts, tag, priority, label, parent, root, attempt, started, status, duration, memory, deleted, \
        retry, concurrency_key, concurrency_limit, awaited) \
        SELECT id, tail, workspace, script, version, caller, trigger, created, nullif(run_at, created), timeout, \
        max_attempts, tag, priority, label, parent, root, attempt, ?2, ?3, ?4, ?5, ?6, \
        retry, concurrency_key, concurrency_limit, awaited FROM queue WHERE id = ?1";
    tx.conn.prepare_cached(sql)?.execute((
        key,
        end.started,
        rows::status_number(end.status),
        signed(end.duration.as_micros()),
        signed(end.memory_peak_bytes),
        end.deleted,
    ))?;
    tx.conn.prepare_cached("DELETE FROM queue WHERE id = ?1")?.execute([key])?;
    tx.tallies.push((workspace, change));
    match end.deleted {
        true => Ok(tx.erase_payload(key)?),
        false => {
            erase::set_due(tx.conn, key, end.completed())?;
            body(tx, key, None, end)
        }
    }
}

fn body(tx: &Tx<'_>, key: i64, args: Option<&[u8]>, end: &RunEnd) -> Outcome<()> {
    let sql = "INSERT INTO run_body (id, args, result, log) VALUES (?1, ?2, ?3, ?4)";
    let log = (!end.log.is_empty()).then_some(end.log.as_ref());
    tx.conn.prepare_cached(sql)?.execute((key, args, end.result.get().as_bytes(), log))?;
    Ok(())
}
