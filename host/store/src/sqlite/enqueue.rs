//! Taking jobs into the queue.

use super::erase;
use super::fault::TxResult;
use super::job_counts::JobCounts;
use super::names::VersionRow;
use super::tx::{JobKey, Tx};
use crate::common::codec::{self, signed};
use crate::common::refusals;
use crate::{Claim, Micros, NewJob, WorkerId};
use rusqlite::params;

pub(super) fn enqueue(tx: &mut Tx<'_>, jobs: &[NewJob]) -> TxResult<()> {
    for job in jobs {
        let workspace = tx.workspace(&job.workspace)?;
        let version = tx.version(workspace, &job.version)?;
        if version.deleted {
            return Err(refusals::no_version_of(job).into());
        }
        insert(tx, workspace, version, job)?;
        tx.counts.push((workspace, JobCounts::ENQUEUED));
    }
    Ok(())
}

pub(super) fn adopt(
    tx: &mut Tx<'_>,
    job: &NewJob,
    worker: WorkerId,
    started: Micros,
) -> TxResult<Claim> {
    let workspace = tx.workspace(&job.workspace)?;
    let version = tx.version(workspace, &job.version)?;
    let key = insert(tx, workspace, version, job)?;
    let sql = "UPDATE queue SET worker = ?2, started = ?3, attempt = 1 WHERE id = ?1";
    tx.conn.prepare_cached(sql)?.execute((key, worker, started))?;
    tx.counts.push((workspace, JobCounts::ADOPTED));
    Ok(Claim { id: job.id, attempt: 1 })
}

/// Writes a job that waits, and returns its key.
fn insert(tx: &mut Tx<'_>, workspace: i64, version: VersionRow, job: &NewJob) -> TxResult<i64> {
    let caller = tx.caller(&job.created_by, job.token)?;
    let tag = tx.word(&job.tag)?;
    let label = job.label.as_ref().map(|label| tx.word(label)).transpose()?;
    let JobKey { key, tail } = tx.new_key(&job.id, job.created)?;
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
        codec::trigger_number(job.trigger),
        job.created,
        job.run_at,
        job.timeout.map(|timeout| signed(timeout.as_micros())),
        job.max_attempts.max(1),
        tag,
        job.priority,
        label,
        job.parent.map(|id| id.to_string()),
        job.root.map(|id| id.to_string()),
        codec::retry_text(job)?,
        job.concurrency.map(|limit| limit.key),
        job.concurrency.map(|limit| limit.limit),
        job.awaited,
    ])?;
    let sql = "INSERT INTO queue_args (id, args) VALUES (?1, ?2)";
    tx.conn.prepare_cached(sql)?.execute((key, job.args.as_ref()))?;
    erase::note(tx.conn, key, &job.erasure, None)?;
    Ok(key)
}
