//! What workers report of the jobs they hold: that they are over, are to be tried again, or were
//! cut off by a shutdown.

use super::attempts;
use super::fault::TxResult;
use super::held::held;
use super::tx::Tx;
use crate::common::system_ends;
use crate::{Claim, Completion, Retry, WorkerId};

pub(super) fn complete(tx: &mut Tx<'_>, completions: &[Completion]) -> TxResult<Vec<bool>> {
    let mut done = Vec::with_capacity(completions.len());
    for Completion { claim, end } in completions {
        let held = held(tx, claim)?;
        if let Some(held) = &held {
            held.finish(tx, end)?;
        }
        done.push(held.is_some());
    }
    Ok(done)
}

pub(super) fn retry(tx: &mut Tx<'_>, retries: &[Retry]) -> TxResult<Vec<bool>> {
    let mut done = Vec::with_capacity(retries.len());
    for Retry { claim, end, run_at } in retries {
        let held = held(tx, claim)?;
        match &held {
            Some(held) if held.canceled.is_some() => held.finish(tx, end)?,
            Some(held) => {
                attempts::note(tx.conn, held.key, held.attempt, end, false)?;
                let sql = "UPDATE queue SET worker = NULL, started = NULL, run_at = ?2, failures = failures + 1 WHERE id = ?1";
                tx.conn.prepare_cached(sql)?.execute((held.key, run_at))?;
                held.returned(tx)?;
            }
            None => {}
        }
        done.push(held.is_some());
    }
    Ok(done)
}

pub(super) fn release(tx: &mut Tx<'_>, worker: WorkerId, jobs: &[Claim]) -> TxResult<u64> {
    let mut released = 0;
    for claim in jobs {
        let Some(held) = held(tx, claim)?.filter(|held| held.worker == worker) else {
            continue;
        };
        if let Some(cancellation) = &held.canceled {
            let end = system_ends::canceled(cancellation, held.started, cancellation.at);
            held.finish(tx, &end)?;
            continue;
        }
        let sql =
            "UPDATE queue SET worker = NULL, started = NULL, attempt = attempt - 1 WHERE id = ?1";
        tx.conn.prepare_cached(sql)?.execute([held.key])?;
        held.returned(tx)?;
        released += 1;
    }
    Ok(released)
}
