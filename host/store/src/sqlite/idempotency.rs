//! Keys by which a request that is sent twice is done once.

use super::enqueue;
use super::fault::TxResult;
use super::fault::corrupt;
use super::tx::Tx;
use crate::{Enqueued, IdempotencyKey, Micros, NewJob};
use rusqlite::OptionalExtension;

pub(super) fn enqueue_once(
    tx: &mut Tx<'_>,
    key: &IdempotencyKey,
    job: &NewJob,
) -> TxResult<Enqueued> {
    let workspace = tx.workspace(&job.workspace)?;
    let sql =
        "SELECT body, job FROM idempotency WHERE workspace = ?1 AND digest = ?2 AND expires > ?3";
    let found = tx
        .conn
        .prepare_cached(sql)?
        .query_row((workspace, key.digest, job.created), |row| Ok((row.get(0)?, row.get(1)?)));
    let found: Option<([u8; 32], String)> = found.optional()?;
    if let Some((body, first)) = found {
        return match body == key.body {
            true => Ok(Enqueued::Existing(
                first.parse().map_err(|error| corrupt("idempotency.job", error))?,
            )),
            false => Ok(Enqueued::Mismatch),
        };
    }
    enqueue::enqueue(tx, std::slice::from_ref(job))?;
    let sql = "INSERT INTO idempotency (workspace, digest, body, job, expires) VALUES (?1, ?2, ?3, ?4, ?5) \
        ON CONFLICT (workspace, digest) DO UPDATE SET body = excluded.body, job = excluded.job, expires = excluded.expires";
    tx.conn.prepare_cached(sql)?.execute((
        workspace,
        key.digest,
        key.body,
        job.id.to_string(),
        key.expires,
    ))?;
    Ok(Enqueued::New)
}

pub(super) fn purge(tx: &mut Tx<'_>, now: Micros, limit: u32) -> TxResult<u64> {
    let sql = "DELETE FROM idempotency WHERE (workspace, digest) IN \
        (SELECT workspace, digest FROM idempotency WHERE expires <= ?1 ORDER BY expires, digest, workspace LIMIT ?2)";
    Ok(tx.conn.prepare_cached(sql)?.execute((now, limit))? as u64)
}
