//! Webhooks and their outbox in SQLite: the verbs, and when each is answered.
//!
//! The moment at which a workspace's oldest waiting event is due stands in the row of its webhook,
//! so that finding what is due next reads one index, however many events wait.

mod log;
mod rows;

use super::fault::{Fault, TxResult};
use super::names::workspace_row;
use super::store::{Need, SqliteStore};
use super::tx::Tx;
use crate::common::changes::to_columns;
use crate::common::outbox::{DELIVERED, GIVEN_UP, WAITING, due_after};
use crate::common::refusals::{no_delivery, no_webhook};
use crate::{Attempt, Delivery, DeliveryRecord, EventId, Micros, Next, Outbox, Result, Webhook};
use async_trait::async_trait;
use rows::{delivery, oldest, webhook};
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::watch;
use wasmill_core::WorkspaceId;
use wasmill_core::outbox::Change;

#[cfg(test)]
pub(super) use log::PAGE;

/// What is due, the earliest first.
pub(super) const DUE: &str = "SELECT e.id, w.name, e.kind, e.path, e.old_path, e.hash, e.at, e.attempts, h.due, h.url, h.secret, \
    h.changed_by, h.changed FROM webhook h INDEXED BY webhook_due CROSS JOIN workspace w ON w.id = h.workspace \
    CROSS JOIN event e ON e.id = (SELECT id FROM event WHERE workspace = h.workspace AND state = 0 ORDER BY id LIMIT 1) \
    WHERE h.due IS NOT NULL ORDER BY h.due LIMIT ?1";

/// One event as if it were due.
const ONE: &str = "SELECT e.id, w.name, e.kind, e.path, e.old_path, e.hash, e.at, e.attempts, e.at, h.url, h.secret, \
    h.changed_by, h.changed FROM event e JOIN webhook h ON h.workspace = e.workspace JOIN workspace w ON w.id = e.workspace \
    WHERE e.id = ?1";

/// Forgets what was settled long ago; what was noted of it goes with it.
pub(super) const PURGE: &str = "DELETE FROM event WHERE id IN \
    (SELECT id FROM event INDEXED BY event_settled WHERE settled < ?1 ORDER BY settled, id LIMIT ?2)";

#[async_trait]
impl Outbox for SqliteStore {
    async fn set_webhook(&self, workspace: &WorkspaceId, webhook: &Webhook) -> Result<()> {
        let (workspace, webhook) = (workspace.clone(), webhook.clone());
        self.write(Need::Synced, move |tx| {
            let workspace = tx.workspace(&workspace)?;
            let due = oldest(tx.conn, workspace)?.map(|_| webhook.changed);
            let Webhook { url, secret, changed_by, changed } = &webhook;
            let sql = "INSERT INTO webhook (workspace, url, secret, changed_by, changed, due) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
                ON CONFLICT (workspace) DO UPDATE SET url = excluded.url, secret = excluded.secret, \
                changed_by = excluded.changed_by, changed = excluded.changed, due = excluded.due";
            tx.conn.prepare_cached(sql)?.execute((workspace, url, secret, changed_by, changed, due))?;
            tx.told = true;
            Ok(())
        })
        .await
    }

    async fn webhook(&self, workspace: &WorkspaceId) -> Result<Option<Webhook>> {
        let workspace = workspace.clone();
        self.read(move |conn| {
            let sql = "SELECT url, secret, changed_by, changed FROM webhook WHERE workspace = (SELECT id FROM workspace WHERE name = ?1)";
            Ok(conn.prepare_cached(sql)?.query_row([workspace.as_str()], |row| webhook(row, 0)).optional()?)
        })
        .await
    }

    async fn clear_webhook(&self, workspace: &WorkspaceId, at: Micros) -> Result<bool> {
        let workspace = workspace.clone();
        self.write(Need::Synced, move |tx| {
            let Some(workspace) = workspace_row(tx.conn, &workspace)? else {
                return Ok(false);
            };
            give_up(tx.conn, workspace, Micros::MAX, at)?;
            Ok(tx
                .conn
                .prepare_cached("DELETE FROM webhook WHERE workspace = ?1")?
                .execute([workspace])?
                > 0)
        })
        .await
    }

    async fn next_deliveries(&self, limit: u32) -> Result<Vec<Delivery>> {
        self.read(move |conn| {
            let mut statement = conn.prepare_cached(DUE)?;
            let mut rows = statement.query([limit])?;
            let mut deliveries = Vec::new();
            while let Some(row) = rows.next()? {
                deliveries.push(delivery(row)?);
            }
            Ok(deliveries)
        })
        .await
    }

    async fn begin_test(&self, workspace: &WorkspaceId, at: Micros) -> Result<Delivery> {
        let workspace = workspace.clone();
        self.write(Need::Synced, move |tx| {
            let none = || Fault::from(no_webhook(&workspace));
            let row = workspace_row(tx.conn, &workspace)?.ok_or_else(none)?;
            let event = insert(tx.conn, row, &Change::Test, at, GIVEN_UP)?;
            let mut statement = tx.conn.prepare_cached(ONE)?;
            let mut rows = statement.query([event])?;
            rows.next()?.map(delivery).transpose()?.ok_or_else(none)
        })
        .await
    }

    async fn note_attempt(&self, event: EventId, attempt: &Attempt, next: Next) -> Result<bool> {
        let attempt = attempt.clone();
        // One that a power cut undoes is made again: receivers may be told twice anyway.
        self.write(Need::Committed, move |tx| note(tx, event, &attempt, next)).await
    }

    async fn redeliver(&self, workspace: &WorkspaceId, event: EventId, at: Micros) -> Result<()> {
        let workspace = workspace.clone();
        self.write(Need::Synced, move |tx| {
            let row = workspace_row(tx.conn, &workspace)?.ok_or_else(|| no_webhook(&workspace))?;
            if tx.conn.prepare_cached("UPDATE webhook SET due = ?2 WHERE workspace = ?1")?.execute((row, at))? == 0 {
                return Err(no_webhook(&workspace).into());
            }
            let sql = "UPDATE event SET state = ?3, settled = NULL, attempts = 0 WHERE id = ?1 AND workspace = ?2";
            if tx.conn.prepare_cached(sql)?.execute((event, row, WAITING))? == 0 {
                return Err(no_delivery(event).into());
            }
            tx.told = true;
            Ok(())
        })
        .await
    }

    async fn deliveries(
        &self,
        workspace: &WorkspaceId,
        before: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<DeliveryRecord>> {
        let workspace = workspace.clone();
        self.read(move |conn| log::read(conn, &workspace, before.unwrap_or(EventId::MAX), limit))
            .await
    }

    async fn purge_deliveries(&self, before: Micros, limit: u32) -> Result<u64> {
        self.write(Need::Committed, move |tx| {
            Ok(tx.conn.prepare_cached(PURGE)?.execute((before, limit))? as u64)
        })
        .await
    }

    fn outbox_changes(&self) -> watch::Receiver<u64> {
        self.counters.outbox.subscribe()
    }
}

impl Tx<'_> {
    /// Tells of a change, when there is a webhook to tell.
    pub(super) fn tell(&mut self, workspace: i64, at: Micros, change: &Change) -> TxResult<()> {
        let sql = "UPDATE webhook SET due = coalesce(due, ?2) WHERE workspace = ?1";
        if self.conn.prepare_cached(sql)?.execute((workspace, at))? > 0 {
            insert(self.conn, workspace, change, at, WAITING)?;
            self.told = true;
        }
        Ok(())
    }

    /// Tells of each of several changes.
    pub(super) fn tell_all(
        &mut self,
        workspace: i64,
        at: Micros,
        changes: impl IntoIterator<Item = Change>,
    ) -> TxResult<()> {
        changes.into_iter().try_for_each(|change| self.tell(workspace, at, &change))
    }
}

fn insert(
    conn: &Connection,
    workspace: i64,
    change: &Change,
    at: Micros,
    state: i64,
) -> TxResult<EventId> {
    let columns = to_columns(change);
    let settled = (state != WAITING).then_some(at);
    let sql = "INSERT INTO event (workspace, kind, path, old_path, hash, at, state, settled) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let values =
        (workspace, columns.kind, columns.path, columns.old_path, columns.hash, at, state, settled);
    conn.prepare_cached(sql)?.execute(values)?;
    Ok(conn.last_insert_rowid())
}

fn note(tx: &mut Tx<'_>, event: EventId, attempt: &Attempt, next: Next) -> TxResult<bool> {
    let sql = "UPDATE event SET attempts = attempts + 1 WHERE id = ?1 RETURNING workspace, state";
    let noted =
        tx.conn.prepare_cached(sql)?.query_row([event], |row| Ok((row.get(0)?, row.get(1)?)));
    let Some((workspace, state)): Option<(i64, i64)> = noted.optional()? else {
        return Ok(false);
    };
    log::append(tx.conn, event, attempt)?;
    let waited = state == WAITING;
    match next {
        Next::Delivered => settle(tx.conn, event, DELIVERED, attempt.at)?,
        Next::GiveUp { before } if waited => {
            settle(tx.conn, event, GIVEN_UP, attempt.at)?;
            give_up(tx.conn, workspace, before, attempt.at)?;
        }
        Next::GiveUp { .. } | Next::Retry(_) => {}
    }
    let oldest = oldest(tx.conn, workspace)?;
    let Some(due) = due_after(next, event, oldest, waited, attempt.at) else {
        return Ok(true);
    };
    tx.conn
        .prepare_cached("UPDATE webhook SET due = ?2 WHERE workspace = ?1")?
        .execute((workspace, due))?;
    tx.told = true;
    Ok(true)
}

fn settle(conn: &Connection, event: EventId, state: i64, at: Micros) -> TxResult<()> {
    let sql = "UPDATE event SET state = ?2, settled = ?3 WHERE id = ?1";
    Ok(conn.prepare_cached(sql)?.execute((event, state, at)).map(drop)?)
}

/// Gives up what waits in a workspace and happened before a moment.
fn give_up(conn: &Connection, workspace: i64, before: Micros, at: Micros) -> TxResult<()> {
    let sql = "UPDATE event INDEXED BY event_waiting SET state = 2, settled = ?3 WHERE workspace = ?1 AND state = 0 AND at < ?2";
    Ok(conn.prepare_cached(sql)?.execute((workspace, before, at)).map(drop)?)
}
