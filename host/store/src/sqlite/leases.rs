//! Workers that are alive, and the jobs of those that are not.

use super::attempts;
use super::fault::TxResult;
use super::held::{HELD, Held};
use super::tx::Tx;
use crate::common::system_ends;
use crate::{Micros, WorkerId};

pub(super) fn extend(tx: &mut Tx<'_>, worker: WorkerId, until: Micros) -> TxResult<bool> {
    let known = tx
        .conn
        .prepare_cached("UPDATE worker SET lease_until = ?2 WHERE id = ?1")?
        .execute((worker, until))?
        > 0;
    if !known {
        tx.conn
            .prepare_cached("INSERT INTO worker (id, lease_until) VALUES (?1, ?2)")?
            .execute((worker, until))?;
    }
    Ok(known)
}

/// Gives back or ends the running jobs that nobody is alive for. A worker without a lease never
/// showed that it was.
pub(super) fn rescue(tx: &mut Tx<'_>, now: Micros, everything: bool) -> TxResult<u64> {
    let sql = format!(
        "SELECT {HELD} FROM queue q INDEXED BY queue_running LEFT JOIN cancel x ON x.id = q.id \
         WHERE q.worker IS NOT NULL AND (?1 OR q.worker NOT IN (SELECT w.id FROM worker w WHERE w.lease_until >= ?2))"
    );
    let abandoned = tx
        .conn
        .prepare_cached(&sql)?
        .query_map((everything, now), Held::of)?
        .collect::<rusqlite::Result<Vec<Held>>>()?;
    let mut rescued = 0;
    for held in abandoned {
        let started = held.started.unwrap_or(now);
        let lost = held.attempt.saturating_sub(held.failures);
        if let Some(cancellation) = &held.canceled {
            held.finish(tx, &system_ends::canceled(cancellation, held.started, now))?;
        } else if lost >= held.max_attempts {
            tracing::warn!(lost, "a job ended with its process as often as it may and is given up");
            held.finish(tx, &system_ends::exhausted(lost, started, now))?;
        } else {
            attempts::note(
                tx.conn,
                held.key,
                held.attempt,
                &system_ends::lost(started, now),
                true,
            )?;
            tx.conn
                .prepare_cached("UPDATE queue SET worker = NULL, started = NULL WHERE id = ?1")?
                .execute([held.key])?;
            held.returned(tx)?;
            rescued += 1;
        }
    }
    tx.conn
        .prepare_cached("DELETE FROM worker WHERE ?1 OR lease_until < ?2")?
        .execute((everything, now))?;
    Ok(rescued)
}
