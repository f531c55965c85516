//! Webhooks and their outbox in PostgreSQL.
//!
//! The moment at which a workspace's oldest waiting event is due stands in the row of its webhook.
//! Whoever changes which events wait holds that row first: so what is written there fits the
//! events, and those of a workspace are numbered in the order of their commits.

mod log;
mod rows;

use super::db::{Db, get};
use super::fault::TxResult;
use super::store::PostgresStore;
use crate::common::changes::{Columns, to_columns};
use crate::common::outbox::{DELIVERED, GIVEN_UP, WAITING, due_after};
use crate::common::refusals::{no_delivery, no_webhook};
use crate::{Attempt, Delivery, DeliveryRecord, EventId, Micros, Next, Outbox, Result, Webhook};
use async_trait::async_trait;
use rows::{delivery, webhook};
use tokio::sync::watch;
use wasmill_core::WorkspaceId;
use wasmill_core::outbox::Change;

/// What is due, the earliest first.
const DUE: &str = "SELECT e.id, w.name, e.kind, e.path, e.old_path, e.hash, e.at, e.attempts, h.due, h.url, h.secret, \
    h.changed_by, h.changed FROM webhook h JOIN workspace w ON w.id = h.workspace CROSS JOIN LATERAL \
    (SELECT * FROM event WHERE workspace = h.workspace AND state = 0 ORDER BY id LIMIT 1) e \
    WHERE h.due IS NOT NULL ORDER BY h.due, h.workspace LIMIT $1";

/// Makes an event that does not wait, and gives it as if it were due.
const TEST: &str = "WITH h AS (SELECT h.*, w.name FROM webhook h JOIN workspace w ON w.id = h.workspace WHERE w.name = $1 \
    FOR NO KEY UPDATE OF h), e AS (INSERT INTO event (workspace, kind, at, state, settled) SELECT h.workspace, $2, $3, $4, $3 \
    FROM h RETURNING *) SELECT e.id, h.name, e.kind, e.path, e.old_path, e.hash, e.at, e.attempts, e.at, h.url, h.secret, \
    h.changed_by, h.changed FROM e CROSS JOIN h";

#[async_trait]
impl Outbox for PostgresStore {
    async fn set_webhook(&self, workspace: &WorkspaceId, webhook: &Webhook) -> Result<()> {
        let Webhook { url, secret, changed_by, changed } = webhook;
        self.transaction(move |db| async move {
            let workspace = db.workspace(workspace).await?;
            let sql = "INSERT INTO webhook (workspace, url, secret, changed_by, changed) VALUES ($1, $2, $3, $4, $5) \
                ON CONFLICT (workspace) DO UPDATE SET url = excluded.url, secret = excluded.secret, \
                changed_by = excluded.changed_by, changed = excluded.changed";
            db.execute(sql, &[&workspace, url, secret, changed_by, changed]).await?;
            // Looked at once the row is held: what waits then is all that does.
            let due = oldest(&db, workspace).await?.map(|_| *changed);
            set_due(&db, workspace, due).await
        })
        .await
    }

    async fn webhook(&self, workspace: &WorkspaceId) -> Result<Option<Webhook>> {
        let sql = "SELECT url, secret, changed_by, changed FROM webhook WHERE workspace = (SELECT id FROM workspace WHERE name = $1)";
        self.statement(move |db| async move {
            db.row(sql, &[&workspace.as_str()]).await?.map(|row| webhook(&row, 0)).transpose()
        })
        .await
    }

    async fn clear_webhook(&self, workspace: &WorkspaceId, at: Micros) -> Result<bool> {
        self.transaction(move |db| async move {
            let sql = "DELETE FROM webhook WHERE workspace = (SELECT id FROM workspace WHERE name = $1) RETURNING workspace";
            let Some(row) = db.row(sql, &[&workspace.as_str()]).await? else {
                return Ok(false);
            };
            give_up(&db, get(&row, 0)?, Micros::MAX, at).await?;
            Ok(true)
        })
        .await
    }

    async fn next_deliveries(&self, limit: u32) -> Result<Vec<Delivery>> {
        self.statement(move |db| async move {
            db.rows(DUE, &[&i64::from(limit)]).await?.iter().map(delivery).collect()
        })
        .await
    }

    async fn begin_test(&self, workspace: &WorkspaceId, at: Micros) -> Result<Delivery> {
        self.statement(move |db| async move {
            let row = db
                .row(TEST, &[&workspace.as_str(), &to_columns(&Change::Test).kind, &at, &GIVEN_UP])
                .await?;
            delivery(&row.ok_or_else(|| no_webhook(workspace))?)
        })
        .await
    }

    async fn note_attempt(&self, event: EventId, attempt: &Attempt, next: Next) -> Result<bool> {
        self.transaction(move |db| async move { note(&db, event, attempt, next).await }).await
    }

    async fn redeliver(&self, workspace: &WorkspaceId, event: EventId, at: Micros) -> Result<()> {
        self.transaction(move |db| async move {
            let sql = "UPDATE webhook SET due = $2 WHERE workspace = (SELECT id FROM workspace WHERE name = $1) RETURNING workspace";
            let row = db.row(sql, &[&workspace.as_str(), &at]).await?.ok_or_else(|| no_webhook(workspace))?;
            let sql = "UPDATE event SET state = $3, settled = NULL, attempts = 0 WHERE id = $1 AND workspace = $2";
            if db.execute(sql, &[&event, &get::<i64>(&row, 0)?, &WAITING]).await? == 0 {
                return Err(no_delivery(event).into());
            }
            db.told();
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
        self.statement(move |db| async move {
            log::read(&db, workspace, before.unwrap_or(EventId::MAX), limit).await
        })
        .await
    }

    async fn purge_deliveries(&self, before: Micros, limit: u32) -> Result<u64> {
        // What somebody else is purging, or telling again, is left to them. As an array, so that
        // the rows are found by their numbers and not by reading all of them.
        let sql = "DELETE FROM event WHERE id = ANY (ARRAY(SELECT id FROM event WHERE settled < $1 ORDER BY settled, id LIMIT $2 \
            FOR UPDATE SKIP LOCKED))";
        self.statement(
            move |db| async move { db.execute(sql, &[&before, &i64::from(limit)]).await },
        )
        .await
    }

    fn outbox_changes(&self) -> watch::Receiver<u64> {
        self.shared.outbox.subscribe()
    }
}

impl Db {
    /// Tells of a change, when there is a webhook to tell. The event gets its number when the
    /// webhook's row is held.
    pub(super) async fn tell(&self, workspace: i64, at: Micros, change: &Change) -> TxResult<()> {
        let sql = "WITH held AS (UPDATE webhook SET due = coalesce(due, $2) WHERE workspace = $1 RETURNING workspace) \
            INSERT INTO event (workspace, kind, path, old_path, hash, at, state) SELECT workspace, $3, $4, $5, $6, $2, $7 FROM held";
        let Columns { kind, path, old_path, hash } = to_columns(change);
        let hash = hash.as_ref().map(<[u8; 32]>::as_slice);
        if self.execute(sql, &[&workspace, &at, &kind, &path, &old_path, &hash, &WAITING]).await?
            > 0
        {
            self.told();
        }
        Ok(())
    }
    /// Tells of each of several changes.
    pub(super) async fn tell_all(
        &self,
        workspace: i64,
        at: Micros,
        changes: impl IntoIterator<Item = Change, IntoIter: Send> + Send,
    ) -> TxResult<()> {
        for change in changes {
            self.tell(workspace, at, &change).await?;
        }
        Ok(())
    }
}

async fn note(db: &Db, event: EventId, attempt: &Attempt, next: Next) -> TxResult<bool> {
    let Some(row) = db.row("SELECT workspace FROM event WHERE id = $1", &[&event]).await? else {
        return Ok(false);
    };
    let workspace: i64 = get(&row, 0)?;
    db.row("SELECT FROM webhook WHERE workspace = $1 FOR NO KEY UPDATE", &[&workspace]).await?;
    let sql = "UPDATE event SET attempts = attempts + 1 WHERE id = $1 RETURNING state";
    let Some(row) = db.row(sql, &[&event]).await? else {
        return Ok(false);
    };
    let waited = get::<i64>(&row, 0)? == WAITING;
    log::append(db, event, attempt).await?;
    match next {
        Next::Delivered => settle(db, event, DELIVERED, attempt.at).await?,
        Next::GiveUp { before } if waited => {
            settle(db, event, GIVEN_UP, attempt.at).await?;
            give_up(db, workspace, before, attempt.at).await?;
        }
        Next::GiveUp { .. } | Next::Retry(_) => {}
    }
    let oldest = oldest(db, workspace).await?;
    let Some(due) = due_after(next, event, oldest, waited, attempt.at) else {
        return Ok(true);
    };
    set_due(db, workspace, due).await?;
    Ok(true)
}

async fn set_due(db: &Db, workspace: i64, due: Option<Micros>) -> TxResult<()> {
    db.execute("UPDATE webhook SET due = $2 WHERE workspace = $1", &[&workspace, &due]).await?;
    db.told();
    Ok(())
}

async fn settle(db: &Db, event: EventId, state: i64, at: Micros) -> TxResult<()> {
    db.execute("UPDATE event SET state = $2, settled = $3 WHERE id = $1", &[&event, &state, &at])
        .await
        .map(drop)
}

/// Gives up what waits in a workspace and happened before a moment.
async fn give_up(db: &Db, workspace: i64, before: Micros, at: Micros) -> TxResult<()> {
    let sql =
        "UPDATE event SET state = 2, settled = $3 WHERE workspace = $1 AND state = 0 AND at < $2";
    db.execute(sql, &[&workspace, &before, &at]).await.map(drop)
}

/// The oldest event of a workspace that waits.
async fn oldest(db: &Db, workspace: i64) -> TxResult<Option<EventId>> {
    let sql = "SELECT id FROM event WHERE workspace = $1 AND state = 0 ORDER BY id LIMIT 1";
    db.row(sql, &[&workspace]).await?.map(|row| get(&row, 0)).transpose()
}
