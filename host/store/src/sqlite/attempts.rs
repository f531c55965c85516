//! A job's attempts before the last one.

use super::fault::TxResult;
use super::lookup::locate;
use super::names::workspace_row;
use crate::common::codec::{self, Extent, signed};
use crate::model::duration;
use crate::{JobAttempt, RunEnd};
use rusqlite::{Connection, Row};
use wasmill_core::{JobId, WorkspaceId};

/// Writes down how an attempt ended that is not the last one.
pub(super) fn note(
    conn: &Connection,
    key: i64,
    attempt: u32,
    end: &RunEnd,
    lost: bool,
) -> TxResult<()> {
    let sql = "INSERT INTO job_attempt (job, attempt, lost, started, status, duration, memory, deleted, result, log) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let (result, log) = codec::payload_columns(end);
    conn.prepare_cached(sql)?.execute((
        key,
        attempt,
        lost,
        end.started,
        codec::status_number(end.status),
        signed(end.duration.as_micros()),
        signed(end.memory_peak_bytes),
        end.deleted,
        result,
        log,
    ))?;
    Ok(())
}

/// A job's attempts, oldest first.
pub(super) fn read(
    conn: &Connection,
    workspace: &WorkspaceId,
    id: &JobId,
) -> TxResult<Vec<JobAttempt>> {
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

fn attempt(row: &Row<'_>) -> TxResult<JobAttempt> {
    let deleted = row.get(6)?;
    let (result, log) = codec::payload(row.get(7)?, row.get(8)?, deleted, Extent::Line)?;
    let end = RunEnd {
        status: codec::status(row.get::<_, i64>(3)?)?,
        started: row.get(2)?,
        duration: duration(row.get(4)?),
        memory_peak_bytes: codec::unsigned(row.get(5)?),
        result,
        log,
        deleted,
    };
    Ok(JobAttempt { attempt: codec::count(row.get::<_, i64>(0)?), end, lost: row.get(1)? })
}
