//! The delivery log: what was noted of each event.

use super::rows::{change, oldest};
use crate::common::codec::signed;
use crate::common::outbox::delivery_state;
use crate::model::{duration, micros};
use crate::sqlite::fault::TxResult;
use crate::sqlite::names::workspace_row;
use crate::{Attempt, DeliveryRecord, EventId, KEPT_ATTEMPTS, Micros};
use rusqlite::{Connection, OptionalExtension};
use wasmill_core::WorkspaceId;

/// A page of a workspace's events.
pub(in crate::sqlite) const PAGE: &str = "SELECT id, kind, path, old_path, hash, at, state, settled, attempts \
    FROM event INDEXED BY event_workspace WHERE workspace = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";

/// Notes an attempt, and forgets those that are too many.
pub(super) fn append(conn: &Connection, event: EventId, attempt: &Attempt) -> TxResult<()> {
    let sql = "INSERT INTO attempt (event, number, at, duration, status, error, answer) \
        SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5, ?6 FROM attempt WHERE event = ?1 RETURNING number";
    let Attempt { at, duration, status, error, answer } = attempt;
    let values = (event, at, micros(*duration), status, error, answer);
    let number: i64 = conn.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
    let sql = "DELETE FROM attempt WHERE event = ?1 AND number <= ?2";
    conn.prepare_cached(sql)?.execute((event, number - signed(KEPT_ATTEMPTS)))?;
    Ok(())
}

pub(super) fn read(
    conn: &Connection,
    workspace: &WorkspaceId,
    before: EventId,
    limit: u32,
) -> TxResult<Vec<DeliveryRecord>> {
    // One snapshot, so that an event and its attempts fit together.
    let snapshot = conn.unchecked_transaction()?;
    let Some(workspace) = workspace_row(&snapshot, workspace)? else {
        return Ok(Vec::new());
    };
    let oldest = oldest(&snapshot, workspace)?;
    let sql = "SELECT due FROM webhook WHERE workspace = ?1";
    let due: Option<Option<Micros>> =
        snapshot.prepare_cached(sql)?.query_row([workspace], |row| row.get(0)).optional()?;
    let mut statement = snapshot.prepare_cached(PAGE)?;
    let mut rows = statement.query((workspace, before, limit))?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let event: EventId = row.get(0)?;
        let due = due.flatten().filter(|_| oldest == Some(event));
        let state = delivery_state(row.get(6)?, row.get(7)?, due);
        let (at, attempts) = (row.get(5)?, row.get(8)?);
        records.push(DeliveryRecord {
            event,
            change: change(row, 1)?,
            at,
            state,
            attempts,
            last: attempts_of(&snapshot, event)?,
        });
    }
    Ok(records)
}

fn attempts_of(conn: &Connection, event: EventId) -> TxResult<Vec<Attempt>> {
    let sql =
        "SELECT at, duration, status, error, answer FROM attempt WHERE event = ?1 ORDER BY number";
    let mut statement = conn.prepare_cached(sql)?;
    let attempts = statement.query_map([event], |row| {
        Ok(Attempt {
            at: row.get(0)?,
            duration: duration(row.get(1)?),
            status: row.get(2)?,
            error: row.get(3)?,
            answer: row.get(4)?,
        })
    })?;
    Ok(attempts.collect::<rusqlite::Result<_>>()?)
}
