//! Deleting payloads so that they are in no file any more.
//!
//! SQLite leaves the bytes of what is deleted where they are unless it is told otherwise. Overwriting what lies on pages
//! that are written anyway costs nothing and is always on. Large payloads have pages of their own, which become free; to
//! overwrite those costs as much as writing them did, so that is done only where somebody wants a payload gone. What the
//! log's file still has is the writer's to forget.

use super::fault::Fault;
use super::lookup::{Whereabouts, locate};
use super::tx::{Tx, workspace_row};
use rusqlite::Connection;
use wasmill_core::{JobId, WorkspaceId};

/// What happens to the bytes of what is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overwrite {
    /// Those on pages that are written anyway are overwritten. Pages that become free are left as they are.
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
pub(super) fn erase(tx: &mut Tx<'_>, workspace: &WorkspaceId, ids: &[JobId]) -> std::result::Result<u64, Fault> {
    let Some(workspace) = workspace_row(tx.conn, workspace)? else {
        return Ok(0);
    };
    let mut erased = 0;
    for id in ids {
        if let Some((key, Whereabouts::Finished)) = locate(tx.conn, workspace, id)? {
            let sql = "UPDATE run SET deleted = 1 WHERE id = ?1 AND deleted = 0";
            erased += tx.conn.prepare_cached(sql)?.execute([key])? as u64;
            tx.erase_payload(key)?;
        }
    }
    Ok(erased)
}

impl Tx<'_> {
    /// Deletes a job's arguments, result and log so that nothing of them is left in the file.
    pub(super) fn erase_payload(&mut self, key: i64) -> rusqlite::Result<()> {
        overwrite(self.conn, Overwrite::Everything)?;
        let delete = |sql: &str| self.conn.prepare_cached(sql)?.execute([key]);
        let args = delete("DELETE FROM queue_args WHERE id = ?1");
        let body = delete("DELETE FROM run_body WHERE id = ?1");
        overwrite(self.conn, Overwrite::Touched)?;
        self.erased |= args? + body? > 0;
        Ok(())
    }
}
