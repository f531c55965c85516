//! Rows of events and webhooks, and the values they stand for.

use crate::common::changes::{Columns, from_columns};
use crate::sqlite::fault::{TxResult, corrupt};
use crate::{Delivery, EventId, Webhook};
use rusqlite::{Connection, OptionalExtension, Row};
use wasmill_core::outbox::Change;

/// The oldest event of a workspace that waits.
const OLDEST: &str = "SELECT id FROM event INDEXED BY event_waiting WHERE workspace = ?1 AND state = 0 ORDER BY id LIMIT 1";

/// The oldest event of a workspace that waits.
pub(super) fn oldest(conn: &Connection, workspace: i64) -> TxResult<Option<EventId>> {
    Ok(conn.prepare_cached(OLDEST)?.query_row([workspace], |row| row.get(0)).optional()?)
}

/// A delivery from the thirteen columns of a query for them.
pub(super) fn delivery(row: &Row<'_>) -> TxResult<Delivery> {
    let workspace: String = row.get(1)?;
    Ok(Delivery {
        event: row.get(0)?,
        workspace: workspace.parse().map_err(|error| corrupt("workspace.name", error))?,
        change: change(row, 2)?,
        at: row.get(6)?,
        attempts: row.get(7)?,
        due: row.get(8)?,
        webhook: webhook(row, 9)?,
    })
}

/// A change from its four columns, which begin at one.
pub(super) fn change(row: &Row<'_>, first: usize) -> TxResult<Change> {
    let (path, old_path): (Option<String>, Option<String>) =
        (row.get(first + 1)?, row.get(first + 2)?);
    let columns = Columns {
        kind: row.get(first)?,
        path: path.as_deref(),
        old_path: old_path.as_deref(),
        hash: row.get(first + 3)?,
    };
    Ok(from_columns(&columns)?)
}

/// A webhook from its four columns, which begin at one.
pub(super) fn webhook(row: &Row<'_>, first: usize) -> rusqlite::Result<Webhook> {
    Ok(Webhook {
        url: row.get(first)?,
        secret: row.get(first + 1)?,
        changed_by: row.get(first + 2)?,
        changed: row.get(first + 3)?,
    })
}
