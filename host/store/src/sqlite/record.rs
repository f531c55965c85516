//! Writing the records of what ran.

use super::erase;
use super::fault::{Fault, TxResult};
use super::job_counts::JobCounts;
use super::names::VersionRow;
use super::recorder::BODY;
use super::tx::{JobKey, Tx};
use crate::common::codec::{self, signed};
use crate::{NewJob, RunEnd, RunRecord};
use rusqlite::{ErrorCode, params};

/// Bytes of arguments, result and log together that go into the run's own row. Lists walk over
/// these rows, so it is no more than most small calls need.
const INLINE_BYTES: usize = 512;

/// Arguments, result and log as they are written.
#[derive(Clone, Copy, Default)]
struct Payload<'a> {
    args: Option<&'a [u8]>,
    result: Option<&'a [u8]>,
    log: Option<&'a [u8]>,
}

impl<'a> Payload<'a> {
    /// `args`: none when the job was queued with them. Nothing of an end whose payload is deleted.
    fn of(args: Option<&'a [u8]>, end: &'a RunEnd) -> Self {
        let (result, log) = codec::payload_columns(end);
        Self { args, result, log }
    }

    /// What goes into the run's row, and what into `run_body`.
    fn split(self) -> (Self, Option<Self>) {
        let bytes = [self.args, self.result, self.log]
            .into_iter()
            .flatten()
            .map(<[u8]>::len)
            .sum::<usize>();
        if bytes <= INLINE_BYTES { (self, None) } else { (Self::default(), Some(self)) }
    }
}

/// Writes the record of a run that never was in the queue.
pub(super) fn insert(tx: &mut Tx<'_>, run: &RunRecord, with_payload: bool) -> TxResult<()> {
    let RunRecord { job, end } = run;
    let payload = if with_payload && !end.deleted {
        Payload::of(Some(job.args.as_ref()), end)
    } else {
        Payload::default()
    };
    let (inline, apart) = payload.split();
    let workspace = tx.workspace(&job.workspace)?;
    let known = Known {
        workspace,
        version: tx.version(workspace, &job.version)?,
        caller: tx.caller(&job.created_by, job.token)?,
        tag: tx.word(&job.tag)?,
        label: job.label.as_ref().map(|label| tx.word(label)).transpose()?,
        retry: codec::retry_text(job)?,
    };
    let key = match tx.fresh_key(&job.id, job.created)? {
        // Nobody has looked whether a run has this key; hardly ever does one.
        Some(job_key) => match known.insert(tx, job, end, job_key, inline) {
            Err(Fault::Sql(error))
                if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) =>
            {
                None
            }
            inserted => inserted.map(|()| Some(job_key.key))?,
        },
        None => None,
    };
    let key = match key {
        Some(key) => key,
        None => {
            let job_key = tx.new_key(&job.id, job.created)?;
            known.insert(tx, job, end, job_key, inline)?;
            job_key.key
        }
    };
    erase::note(tx.conn, key, &job.erasure, Some(end))?;
    tx.counts.push((known.workspace, JobCounts::RECORDED));
    if let Some(Payload { args, result, log }) = apart {
        tx.recorder()?.body.execute((key, args, result, log))?;
    }
    Ok(())
}

/// What a record names, as rows.
struct Known {
    workspace: i64,
    version: VersionRow,
    caller: i64,
    tag: i64,
    label: Option<i64>,
    retry: Option<String>,
}

impl Known {
    fn insert(
        &self,
        tx: &mut Tx<'_>,
        job: &NewJob,
        end: &RunEnd,
        job_key: JobKey,
        payload: Payload<'_>,
    ) -> TxResult<()> {
        tx.recorder()?.run.execute(params![
            job_key.key,
            job_key.tail,
            self.workspace,
            self.version.script,
            self.version.id,
            self.caller,
            codec::trigger_number(job.trigger),
            job.created,
            (job.run_at != job.created).then_some(job.run_at),
            job.timeout.map(|timeout| signed(timeout.as_micros())),
            job.max_attempts.max(1),
            self.tag,
            job.priority,
            self.label,
            job.parent.map(|id| id.to_string()),
            job.root.map(|id| id.to_string()),
            end.started,
            codec::status_number(end.status),
            signed(end.duration.as_micros()),
            signed(end.memory_peak_bytes),
            end.deleted,
            self.retry,
            job.concurrency.map(|limit| limit.key),
            job.concurrency.map(|limit| limit.limit),
            job.awaited,
            payload.args,
            payload.result,
            payload.log,
        ])?;
        Ok(())
    }
}

/// Moves a job of a workspace from the queue to the run records.
pub(super) fn finish(
    tx: &mut Tx<'_>,
    key: i64,
    workspace: i64,
    change: JobCounts,
    end: &RunEnd,
) -> TxResult<()> {
    let (inline, apart) = Payload::of(None, end).split();
    let sql = "INSERT INTO run (id, tail, workspace, script, version, caller, trigger, created, run_at, timeout, \
        max_attempts, tag, priority, label, parent, root, attempt, started, status, duration, memory, deleted, \
        retry, concurrency_key, concurrency_limit, awaited, result, log) \
        SELECT id, tail, workspace, script, version, caller, trigger, created, nullif(run_at, created), timeout, \
        max_attempts, tag, priority, label, parent, root, attempt, ?2, ?3, ?4, ?5, ?6, \
        retry, concurrency_key, concurrency_limit, awaited, ?7, ?8 FROM queue WHERE id = ?1";
    tx.conn.prepare_cached(sql)?.execute((
        key,
        end.started,
        codec::status_number(end.status),
        signed(end.duration.as_micros()),
        signed(end.memory_peak_bytes),
        end.deleted,
        inline.result,
        inline.log,
    ))?;
    tx.conn.prepare_cached("DELETE FROM queue WHERE id = ?1")?.execute([key])?;
    tx.counts.push((workspace, change));
    if end.deleted {
        return Ok(tx.erase_payload(key)?);
    }
    erase::set_due(tx.conn, key, end.completed())?;
    if let Some(Payload { args, result, log }) = apart {
        tx.conn.prepare_cached(BODY)?.execute((key, args, result, log))?;
    }
    Ok(())
}
