//! Deleting payloads so that they are in no file any more.
//!
//! SQLite leaves the bytes of what is deleted where they are unless it is told otherwise.
//! Overwriting what lies on pages that are written anyway costs nothing and is always on. Large
//! payloads have pages of their own, which become free; to overwrite those costs as much as writing
//! them did, so that is done only where somebody wants a payload gone. What the log's file still
//! has is the writer's to forget.

use super::attempts;
use super::fault::TxResult;
use super::lookup::{Whereabouts, locate};
use super::names::workspace_row;
use super::tx::Tx;
use crate::model::micros;
use crate::{Erasure, Micros, RunEnd};
use rusqlite::Connection;
use wasmill_core::{JobId, WorkspaceId};

/// What happens to the bytes of what is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overwrite {
    /// Those on pages that are written anyway are overwritten. Pages that become free are left as
    /// they are.
    Touched,
    /// All are overwritten.
    Everything,
}

/// Sets what happens from now on.
pub(super) fn overwrite(conn: &Connection, what: Overwrite) -> rusqlite::Result<()> {
    let sql = match what {
        Overwrite::Touched => "PRAGMA secure_delete = FAST",
        Overwrite::Everything => "PRAGMA secure_delete = ON",
    };
    conn.prepare_cached(sql)?.query_row([], |_| Ok(()))
}

/// Empties finished jobs of a workspace of their payload.
pub(super) fn erase(tx: &mut Tx<'_>, workspace: &WorkspaceId, ids: &[JobId]) -> TxResult<u64> {
    let Some(workspace) = workspace_row(tx.conn, workspace)? else {
        return Ok(0);
    };
    let mut erased = 0;
    for id in ids {
        if let Some((key, Whereabouts::Finished)) = locate(tx.conn, workspace, id)? {
            erased += erase_one(tx, key)?;
        }
    }
    Ok(erased)
}

/// The jobs whose time has come.
pub(super) const DUE: &str =
    "SELECT id FROM erasure INDEXED BY erasure_due WHERE due <= ?1 ORDER BY due, id LIMIT ?2";

/// True when there are any.
pub(super) fn is_due(conn: &Connection, now: Micros) -> TxResult<bool> {
    Ok(conn.prepare_cached(DUE)?.exists((now, 1))?)
}

/// Empties jobs whose time has come.
pub(super) fn erase_due(tx: &mut Tx<'_>, now: Micros, limit: u32) -> TxResult<u64> {
    let keys = tx
        .conn
        .prepare_cached(DUE)?
        .query_map((now, limit), |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    let mut erased = 0;
    for key in keys {
        erased += erase_one(tx, key)?;
    }
    Ok(erased)
}

fn erase_one(tx: &mut Tx<'_>, key: i64) -> rusqlite::Result<u64> {
    overwrite(tx.conn, Overwrite::Everything)?;
    let sql = "UPDATE run SET deleted = 1, args = NULL, result = NULL, log = NULL WHERE id = ?1 AND deleted = 0";
    let erased = tx.conn.prepare_cached(sql)?.execute([key]);
    overwrite(tx.conn, Overwrite::Touched)?;
    let erased = erased?;
    // Its payload may have been in that row.
    tx.erased |= erased > 0;
    tx.conn
        .prepare_cached("UPDATE erasure SET due = NULL WHERE id = ?1 AND due IS NOT NULL")?
        .execute([key])?;
    tx.erase_payload(key)?;
    Ok(erased as u64)
}

/// Notes what is to become of a job's payload. `end` is that of a job which is over.
pub(super) fn note(
    conn: &Connection,
    key: i64,
    erasure: &Erasure,
    end: Option<&RunEnd>,
) -> rusqlite::Result<()> {
    if *erasure == Erasure::default() {
        return Ok(());
    }
    let (after, due) = (erasure.after.map(micros), end.and_then(|end| erasure.due(end)));
    let sql = "INSERT INTO erasure (id, when_read, after, due) VALUES (?1, ?2, ?3, ?4)";
    conn.prepare_cached(sql)?.execute((key, erasure.when_read, after, due)).map(drop)
}

/// Sets the time of a job that was over at `end`, if it has one.
pub(super) fn set_due(conn: &Connection, key: i64, end: Micros) -> rusqlite::Result<()> {
    let sql = "UPDATE erasure SET due = CASE WHEN ?2 > 9223372036854775807 - after THEN 9223372036854775807 ELSE ?2 + after END \
        WHERE id = ?1 AND after IS NOT NULL";
    conn.prepare_cached(sql)?.execute((key, end)).map(drop)
}

impl Tx<'_> {
    /// Deletes a job's arguments, result and log so that nothing of them is left in the file.
    pub(super) fn erase_payload(&mut self, key: i64) -> rusqlite::Result<()> {
        overwrite(self.conn, Overwrite::Everything)?;
        let delete = |sql: &str| self.conn.prepare_cached(sql)?.execute([key]);
        let args = delete("DELETE FROM queue_args WHERE id = ?1");
        let body = delete("DELETE FROM run_body WHERE id = ?1");
        let attempts = attempts::empty(self.conn, key);
        overwrite(self.conn, Overwrite::Touched)?;
        self.erased |= args? + body? + attempts? > 0;
        Ok(())
    }
}
