//! Writing the records of what ran.

use super::fault::Fault;
use super::tally::Tally;
use super::tx::{Place, Tx, VersionRow};
use super::{erase, rows, signed};
use crate::{NewJob, RunEnd, RunRecord};
use rusqlite::{CachedStatement, Connection, ErrorCode, params};

type Outcome<T> = std::result::Result<T, Fault>;

/// Bytes of arguments, result and log together that go into the run's own row. Lists walk over
/// these rows, so it is no more than most small calls need.
const INLINE_BYTES: usize = 512;

/// The statements that write records, looked up once for a batch.
pub(super) struct Recorder<'c> {
    run: CachedStatement<'c>,
    body: CachedStatement<'c>,
}

impl<'c> Recorder<'c> {
    pub(super) fn new(conn: &'c Connection) -> rusqlite::Result<Self> {
        let run = "INSERT INTO run (id, tail, workspace, script, version, caller, trigger, created, run_at, timeout, \
            max_attempts, tag, priority, label, parent, root, attempt, started, status, duration, memory, deleted, \
            retry, concurrency_key, concurrency_limit, awaited, args, result, log) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, \
            ?10, ?11, ?12, ?13, ?14, ?15, ?16, 1, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28)";
        Ok(Self { run: conn.prepare_cached(run)?, body: conn.prepare_cached(BODY)? })
    }
}

const BODY: &str = "INSERT INTO run_body (id, args, result, log) VALUES (?1, ?2, ?3, ?4)";

/// Arguments, result and log as they are written.
#[derive(Clone, Copy, Default)]
struct Payload<'a> {
    args: Option<&'a [u8]>,
    result: Option<&'a [u8]>,
    log: Option<&'a [u8]>,
}

impl<'a> Payload<'a> {
    /// `args`: none when the job was queued with them.
    fn of(args: Option<&'a [u8]>, end: &'a RunEnd) -> Self {
        let log = Some(end.log.as_ref()).filter(|log| !log.is_empty());
        Self { args, result: Some(end.result.get().as_bytes()), log }
    }

    /// What goes into the run's row, and what beside it.
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
pub(super) fn insert(tx: &mut Tx<'_>, run: &RunRecord, with_body: bool) -> Outcome<()> {
    let RunRecord { job, end } = run;
    let payload = if with_body && !end.deleted {
        Payload::of(Some(job.args.as_ref()), end)
    } else {
        Payload::default()
    };
    let (within, beside) = payload.split();
    let workspace = tx.workspace(&job.workspace)?;
    let known = Known {
        workspace,
        version: tx.version(workspace, &job.version)?,
        caller: tx.caller(&job.created_by, job.token)?,
        tag: tx.word(&job.tag)?,
        label: job.label.as_ref().map(|label| tx.word(label)).transpose()?,
        retry: rows::retry_text(job.retry.as_ref())?,
    };
    let key = match tx.fresh_place(&job.id, job.created)? {
        // Nobody has looked whether a run has this key; hardly ever does one.
        Some(place) => match known.insert(tx, job, end, place, within) {
            Err(Fault::Sql(error))
                if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) =>
            {
                None
            }
            inserted => inserted.map(|()| Some(place.key))?,
        },
        None => None,
    };
    let key = match key {
        Some(key) => key,
        None => {
            let place = tx.place(&job.id, job.created)?;
            known.insert(tx, job, end, place, within)?;
            place.key
        }
    };
    erase::note(tx.conn, key, &job.erasure, (!end.deleted).then(|| end.completed()))?;
    tx.tallies.push((known.workspace, Tally::RECORDED));
    if let Some(Payload { args, result, log }) = beside {
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
        place: Place,
        payload: Payload<'_>,
    ) -> Outcome<()> {
        tx.recorder()?.run.execute(params![
            place.key,
            place.tail,
            self.workspace,
            self.version.script,
            self.version.id,
            self.caller,
            rows::trigger_number(job.trigger),
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
            rows::status_number(end.status),
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
    change: Tally,
    end: &RunEnd,
) -> Outcome<()> {
    let (within, beside) =
        if end.deleted { (Payload::default(), None) } else { Payload::of(None, end).split() };
    let sql = "INSERT INTO run (id, tail, workspace, script, version, caller, trigger, created, run_at, timeout, \
        max_attempts, tag, priority, label, parent, root, attempt, started, status, duration, memory, deleted, \
        retry, concurrency_key, concurrency_limit, awaited, result, log) \
        SELECT id, tail, workspace, script, version, caller, trigger, created, nullif(run_at, created), timeout, \
        max_attempts, tag, priority, label, parent, root, attempt, ?2, ?3, ?4, ?5, ?6, \
        retry, concurrency_key, concurrency_limit, awaited, ?7, ?8 FROM queue WHERE id = ?1";
    tx.conn.prepare_cached(sql)?.execute((
        key,
        end.started,
        rows::status_number(end.status),
        signed(end.duration.as_micros()),
        signed(end.memory_peak_bytes),
        end.deleted,
        within.result,
        within.log,
    ))?;
    tx.conn.prepare_cached("DELETE FROM queue WHERE id = ?1")?.execute([key])?;
    tx.tallies.push((workspace, change));
    if end.deleted {
        return Ok(tx.erase_payload(key)?);
    }
    erase::set_due(tx.conn, key, end.completed())?;
    if let Some(Payload { args, result, log }) = beside {
        tx.conn.prepare_cached(BODY)?.execute((key, args, result, log))?;
    }
    Ok(())
}
