//! Cancelling jobs that wait, and marking those that run.

use super::fault::TxResult;
use super::job_counts::JobCounts;
use super::lookup::{Whereabouts, locate};
use super::names::workspace_row;
use super::tx::Tx;
use super::{concurrency, record};
use crate::common::system_ends;
use crate::{CancelOutcome, Cancellation, Claim, WorkerId};
use rusqlite::{Connection, OptionalExtension};
use wasmill_core::{JobId, WorkspaceId};

pub(super) fn cancel(
    tx: &mut Tx<'_>,
    workspace: &WorkspaceId,
    ids: &[JobId],
    why: &Cancellation,
) -> TxResult<Vec<CancelOutcome>> {
    let Some(workspace) = workspace_row(tx.conn, workspace)? else {
        return Ok(vec![CancelOutcome::NotFound; ids.len()]);
    };
    let mut outcomes = Vec::with_capacity(ids.len());
    for id in ids {
        outcomes.push(match locate(tx.conn, workspace, id)? {
            None => CancelOutcome::NotFound,
            Some((_, Whereabouts::Finished)) => CancelOutcome::AlreadyCompleted,
            Some((key, Whereabouts::Waiting)) => {
                note(tx.conn, key, why)?;
                let sql = "SELECT concurrency_key FROM queue WHERE id = ?1 AND parked = 0";
                let key_of_limit: Option<Option<i64>> =
                    tx.conn.prepare_cached(sql)?.query_row([key], |row| row.get(0)).optional()?;
                let end = system_ends::canceled(why, None, why.at);
                record::finish(tx, key, workspace, JobCounts::WITHDRAWN, &end)?;
                concurrency::unblock(tx.conn, key_of_limit.flatten())?;
                CancelOutcome::Canceled
            }
            Some((key, Whereabouts::Running)) => {
                note(tx.conn, key, why)?;
                tx.conn
                    .prepare_cached("UPDATE queue SET marked = 1 WHERE id = ?1")?
                    .execute([key])?;
                CancelOutcome::Running
            }
        });
    }
    Ok(outcomes)
}

fn note(conn: &Connection, key: i64, why: &Cancellation) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO cancel (id, name, reason, at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    conn.prepare_cached(sql)?.execute((key, &why.by, &why.reason, why.at)).map(drop)
}

/// A worker's marked jobs.
pub(super) fn marked(conn: &Connection, worker: WorkerId) -> TxResult<Vec<Claim>> {
    let sql = "SELECT q.id, q.tail, a.uuid, q.attempt FROM queue q INDEXED BY queue_marked LEFT JOIN alias a ON a.key = q.id \
        WHERE q.marked = 1 AND q.worker = ?1 ORDER BY q.id";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([worker])?;
    let mut claims = Vec::new();
    while let Some(row) = rows.next()? {
        let id = super::rows::id(row.get(0)?, row.get(1)?, row.get_ref(2)?)?;
        claims.push(Claim { id, attempt: row.get(3)? });
    }
    Ok(claims)
}
