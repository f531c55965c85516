//! Deleting payloads, and forgetting jobs.
//!
//! The server leaves the bytes of what is deleted in its files until it clears them away, and in
//! its log until that is recycled; see the documentation for what to do about backups of either.

use super::columns::day_of;
use super::db::{Db, get};
use super::fault::TxResult;
use super::finish::{erase_payload, note_counts};
use super::lookup::locate;
use super::shared::Shared;
use crate::common::keys::first_key;
use crate::{Micros, Result};
use wasmill_core::{JobId, ScriptPath, WorkspaceId};

impl Shared {
    /// Empties finished jobs of a workspace of their payload.
    pub(super) async fn erase_jobs(&self, workspace: &WorkspaceId, ids: &[JobId]) -> Result<u64> {
        let Some(workspace) = self.workspace_row(workspace).await? else {
            return Ok(0);
        };
        self.transaction(move |db| async move {
            let keys: Vec<i64> = locate(&db, workspace, ids).await?.into_iter().flatten().collect();
            erase_finished(&db, &keys).await
        })
        .await
    }

    /// Empties finished jobs whose own time for it has come.
    pub(super) async fn erase_overdue(&self, now: Micros, limit: u32) -> Result<u64> {
        let sql = "SELECT id FROM finished WHERE erase_due <= $1 ORDER BY erase_due, id LIMIT $2";
        let due = |row: &tokio_postgres::Row| get::<i64>(row, 0);
        // Nearly always nothing is due, and then nothing is written.
        let keys: Vec<i64> = self
            .statement(move |db| async move {
                db.rows(sql, &[&now, &i64::from(limit)]).await?.iter().map(due).collect()
            })
            .await?;
        if keys.is_empty() {
            return Ok(0);
        }
        let keys = &keys;
        self.transaction(move |db| async move { erase_finished(&db, keys).await }).await
    }

    /// Forgets finished jobs of a workspace, or of one of its scripts.
    pub(super) async fn purge(
        &self,
        workspace: &WorkspaceId,
        path: Option<&ScriptPath>,
        before: Micros,
        limit: u32,
    ) -> Result<u64> {
        let Some(workspace) = self.workspace_row(workspace).await? else {
            return Ok(0);
        };
        self.transaction(move |db| async move {
            let script = match path {
                Some(path) => {
                    let sql = "SELECT id FROM script WHERE workspace = $1 AND path = $2";
                    match db.row(sql, &[&workspace, &path.as_str()]).await? {
                        Some(row) => Some(get::<i64>(&row, 0)?),
                        None => return Ok(0),
                    }
                }
                None => None,
            };
            // What was created later is not looked through: it can't be old enough.
            let which = if script.is_some() { "f.script = $1" } else { "f.workspace = $1" };
            let sql = format!(
                "SELECT f.id FROM finished f JOIN job j ON j.id = f.id WHERE {which} AND f.id < $2 AND f.started + f.duration < $3 \
                 AND j.created < $3 ORDER BY f.id LIMIT $4 FOR UPDATE OF f SKIP LOCKED"
            );
            let end = first_key(before.saturating_add(KEY_DRIFT));
            let rows = db.rows(&sql, &[&script.unwrap_or(workspace), &end, &before, &i64::from(limit)]).await?;
            let keys = rows.iter().map(|row| get(row, 0)).collect::<TxResult<Vec<i64>>>()?;
            forget(&db, &keys).await?;
            note_counts(&db, keys.iter().map(|key| (workspace, day_of(*key), 0, -1))).await?;
            Ok(keys.len() as u64)
        })
        .await
    }
}

/// How far a key may be from the job's creation, with some to spare.
const KEY_DRIFT: Micros = 10_000_000;

async fn erase_finished(db: &Db, keys: &[i64]) -> TxResult<u64> {
    let sql = "UPDATE finished SET deleted = true, result = NULL, log = NULL, erase_due = NULL WHERE id = ANY ($1) AND NOT deleted \
        RETURNING id";
    let erased = db
        .rows(sql, &[&keys])
        .await?
        .iter()
        .map(|row| get(row, 0))
        .collect::<TxResult<Vec<i64>>>()?;
    erase_payload(db, &erased).await?;
    Ok(erased.len() as u64)
}

/// Deletes all that belongs to jobs that are over.
async fn forget(db: &Db, keys: &[i64]) -> TxResult<()> {
    if keys.is_empty() {
        return Ok(());
    }
    for sql in [
        "DELETE FROM finished WHERE id = ANY ($1)",
        "DELETE FROM job_attempt WHERE job = ANY ($1)",
        "DELETE FROM cancellation WHERE job = ANY ($1)",
        "DELETE FROM alias WHERE key = ANY ($1)",
        // Last: from here on its key may be given to another one.
        "DELETE FROM job WHERE id = ANY ($1)",
    ] {
        db.execute(sql, &[&keys]).await?;
    }
    Ok(())
}
