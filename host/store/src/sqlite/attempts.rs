//! A job's attempts before the last one.

use super::fault::Fault;
use super::lookup::locate;
use super::rows;
use super::signed;
use super::tx::workspace_row;
use crate::{JobAttempt, RunEnd};
use bytes::Bytes;
use rusqlite::{Connection, Row};
use serde_json::value::RawValue;
use wasmill_core::{JobId, WorkspaceId};

type Outcome<T> = std::result::Result<T, Fault>;

/// Writes down how an attempt ended that is not the last one.
pub(super) fn note(
    conn: &Connection,
    key: i64,
    attempt: u32,
    end: &RunEnd,
    lost: bool,
) -> Outcome<()> {
    let sql = "INSERT INTO job_attempt (job, attempt, lost, started, status, duration, memory, deleted, result, log) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let kept = !end.deleted;
    conn.prepare_cached(sql)?.execute((
        key,
        attempt,
        lost,
        end.started,
        rows::status_number(end.status),
        signed(end.duration.as_micros()),
        signed(end.memory_peak_bytes),
        end.deleted,
        kept.then(|| end.result.get().as_bytes()),
        (kept && !end.log.is_empty()).then_some(end.log.as_ref()),
    ))?;
    Ok(())
}

/// A job's attempts, oldest first.
pub(super) fn read(
    conn: &Connection,
    workspace: &WorkspaceId,
    id: &JobId,
) -> Outcome<Vec<JobAttempt>> {
    let snapshot = conn.unchecked_transaction()?;
    let Some(workspace) = workspace_row(&snapshot, workspace)? else {
        return Ok(Vec::new());
    };
    let Some((key, _)) = locate(&snapshot, workspace, id)? else {
        return Ok(Vec::new());
    };
    let sql = "SELECT attempt, lost, started, status, duration, memory, deleted, result, log FROM job_attempt \
        WHERE job = ?1 ORDER BY attempt";
    let mut statement = snapshot.prepare_cached(sql)?;
    let mut found = statement.query([key])?;
    let mut attempts = Vec::new();
    while let Some(row) = found.next()? {
        attempts.push(attempt(row)?);
    }
    Ok(attempts)
}

/// Empties a job's attempts. The caller decides what happens to the bytes in the file.
pub(super) fn empty(conn: &Connection, key: i64) -> rusqlite::Result<usize> {
    let sql = "UPDATE job_attempt SET deleted = 1, result = NULL, log = NULL WHERE job = ?1 AND deleted = 0";
    conn.prepare_cached(sql)?.execute([key])
}

fn attempt(row: &Row<'_>) -> Outcome<JobAttempt> {
    let result: Option<Vec<u8>> = row.get(7)?;
    let end = RunEnd {
        status: rows::status(row.get(3)?)?,
        started: row.get(2)?,
        duration: rows::duration(row.get(4)?),
        memory_peak_bytes: u64::try_from(row.get::<_, i64>(5)?).unwrap_or(0),
        result: result.map_or_else(|| Ok(RawValue::NULL.to_owned()), rows::json)?,
        log: row.get::<_, Option<Vec<u8>>>(8)?.map(Bytes::from).unwrap_or_default(),
        deleted: row.get(6)?,
    };
    Ok(JobAttempt { attempt: rows::count(row.get(0)?), end, lost: row.get(1)? })
}
