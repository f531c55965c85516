//! Forgetting jobs that were over long ago.

use super::fault::TxResult;
use super::job_counts::JobCounts;
use super::names::workspace_row;
use super::tx::Tx;
use crate::common::keys::bounds;
use crate::{Micros, Span};
use rusqlite::{Connection, OptionalExtension};
use wasmill_core::{ScriptPath, WorkspaceId};

/// A workspace's oldest finished jobs. None was over before it was created, so those created later
/// are not looked at.
pub(super) const OF_WORKSPACE: &str = "SELECT id FROM run INDEXED BY run_workspace \
    WHERE workspace = ?1 AND id < ?2 AND created < ?3 AND started + duration < ?3 ORDER BY id LIMIT ?4";
/// A script's oldest finished jobs, found in the same way.
pub(super) const OF_SCRIPT: &str = "SELECT id FROM run INDEXED BY run_script \
    WHERE script = ?1 AND id < ?2 AND created < ?3 AND started + duration < ?3 ORDER BY id LIMIT ?4";

/// Everything that is kept of a finished job.
pub(super) const TRACES: [&str; 7] = [
    "DELETE FROM run WHERE id = ?1",
    "DELETE FROM run_body WHERE id = ?1",
    "DELETE FROM queue_args WHERE id = ?1",
    "DELETE FROM job_attempt WHERE job = ?1",
    "DELETE FROM cancel WHERE id = ?1",
    "DELETE FROM erasure WHERE id = ?1",
    "DELETE FROM alias WHERE key = ?1",
];

/// Which jobs are too old.
#[derive(Debug, Clone)]
pub(super) struct Old {
    pub(super) workspace: WorkspaceId,
    /// Only of this script.
    pub(super) path: Option<ScriptPath>,
    pub(super) completed_before: Micros,
}

impl Old {
    /// The keys of the oldest.
    pub(super) fn find(&self, conn: &Connection, limit: u32) -> TxResult<Vec<i64>> {
        let Some(workspace) = workspace_row(conn, &self.workspace)? else {
            return Ok(Vec::new());
        };
        let (sql, row) = match &self.path {
            None => (OF_WORKSPACE, workspace),
            Some(path) => {
                let sql = "SELECT id FROM script WHERE workspace = ?1 AND path = ?2";
                let script = conn
                    .prepare_cached(sql)?
                    .query_row((workspace, path.as_str()), |row| row.get(0))
                    .optional()?;
                let Some(script) = script else { return Ok(Vec::new()) };
                (OF_SCRIPT, script)
            }
        };
        let (_, high) = bounds(&Span { after: None, before: Some(self.completed_before) });
        let mut statement = conn.prepare_cached(sql)?;
        let keys =
            statement.query_map((row, high, self.completed_before, limit), |row| row.get(0))?;
        Ok(keys.collect::<rusqlite::Result<_>>()?)
    }
}

pub(super) fn purge(tx: &mut Tx<'_>, old: &Old, limit: u32) -> TxResult<u64> {
    let keys = old.find(tx.conn, limit)?;
    for sql in TRACES {
        let mut delete = tx.conn.prepare_cached(sql)?;
        for key in &keys {
            delete.execute([key])?;
        }
    }
    if let Some(workspace) = workspace_row(tx.conn, &old.workspace)? {
        tx.counts.extend(keys.iter().map(|_| (workspace, JobCounts::PURGED)));
    }
    Ok(keys.len() as u64)
}
