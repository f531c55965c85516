//! Concurrency limits: which jobs of a concurrency key may start.
//!
//! A waiting job that may not start because as many jobs of its key run as its limit allows is
//! blocked (the column `held` of `waiting`): it leaves the index of ready jobs, so that any number
//! of blocked jobs costs a claim nothing. Jobs with the same key, workspace, tag, priority and
//! limit are a class, in the order of their times. Of a class with room for `n` jobs, the first `n`
//! are never blocked: whoever ends a running job of the key, or takes one of those `n` away,
//! unblocks what is among the first `n` then. So blocking changes nothing about which jobs are
//! taken.
//!
//! Whoever counts the running jobs of a key, to block a job or to unblock one, has the key's lock,
//! and has it until its transaction ends. Rows are changed before that lock is asked for; so the
//! count that is taken under the lock has seen every job that ended before, and no job is blocked
//! that the next one to end would not unblock.

use super::db::{Db, get};
use super::fault::TxResult;
use super::ready::{Group, ReadyGroups};
use std::collections::{BTreeSet, HashMap};

/// Waits for the locks of keys. Always in their order, so that nobody waits in a circle.
pub(super) async fn lock(db: &Db, keys: &BTreeSet<i64>) -> TxResult<()> {
    let high: Vec<i32> = keys.iter().map(|key| (key >> 32) as i32).collect();
    let low: Vec<i32> = keys.iter().map(|key| *key as i32).collect();
    // Two numbers make another lock than one does: these are nobody else's.
    let sql = "SELECT count(pg_advisory_xact_lock(k.high, k.low)) \
        FROM (SELECT * FROM unnest($1::integer[], $2::integer[]) WITH ORDINALITY k (high, low, n) ORDER BY n OFFSET 0) k";
    db.rows(sql, &[&high, &low]).await.map(drop)
}

/// How many jobs of each key run; keys of which none does are left out.
pub(super) async fn running(db: &Db, keys: &BTreeSet<i64>) -> TxResult<HashMap<i64, i64>> {
    let keys: Vec<i64> = keys.iter().copied().collect();
    let sql = "SELECT k, r.n FROM unnest($1::bigint[]) k CROSS JOIN LATERAL \
        (SELECT count(*) AS n FROM running WHERE concurrency_key = k) r WHERE r.n > 0";
    let mut running = HashMap::new();
    for row in db.rows(sql, &[&keys]).await? {
        running.insert(get(&row, 0)?, get(&row, 1)?);
    }
    Ok(running)
}

/// Unblocks jobs. The classes of a key's blocked jobs are found by a skip scan. Of each class, as
/// many jobs are looked at as there is room for; no further one, blocked or not, can be among the
/// first.
const UNBLOCK: &str = "WITH RECURSIVE k AS MATERIALIZED (SELECT k AS key, (SELECT count(*) FROM running r WHERE r.concurrency_key = k) AS n \
     FROM unnest($1::bigint[]) k), \
    class AS ((SELECT k.key, k.n, c.* FROM k CROSS JOIN LATERAL \
      (SELECT w.workspace, w.tag, w.rank, w.concurrency_limit FROM waiting w WHERE w.concurrency_key = k.key AND w.held \
       ORDER BY w.workspace, w.tag, w.rank, w.concurrency_limit LIMIT 1) c) \
     UNION ALL SELECT l.key, l.n, c.* FROM class l CROSS JOIN LATERAL \
      (SELECT w.workspace, w.tag, w.rank, w.concurrency_limit FROM waiting w WHERE w.concurrency_key = l.key AND w.held \
       AND (w.workspace, w.tag, w.rank, w.concurrency_limit) > (l.workspace, l.tag, l.rank, l.concurrency_limit) \
       ORDER BY w.workspace, w.tag, w.rank, w.concurrency_limit LIMIT 1) c), \
    first AS MATERIALIZED (SELECT l.workspace, f.id FROM class l CROSS JOIN LATERAL (SELECT u.id, u.held FROM \
      ((SELECT w.id, w.run_at, w.held FROM waiting w WHERE w.concurrency_key = l.key AND w.held AND w.workspace = l.workspace \
        AND w.tag = l.tag AND w.rank = l.rank AND w.concurrency_limit = l.concurrency_limit \
        ORDER BY w.run_at, w.id LIMIT l.concurrency_limit - l.n) \
       UNION ALL \
       (SELECT w.id, w.run_at, w.held FROM waiting w WHERE w.concurrency_key = l.key AND NOT w.held AND w.workspace = l.workspace \
        AND w.tag = l.tag AND w.rank = l.rank AND w.concurrency_limit = l.concurrency_limit \
        ORDER BY w.run_at, w.id LIMIT l.concurrency_limit - l.n)) u \
      ORDER BY u.run_at, u.id LIMIT l.concurrency_limit - l.n) f WHERE l.concurrency_limit > l.n AND f.held) \
    UPDATE waiting w SET held = false FROM first f WHERE w.workspace = f.workspace AND w.id = f.id AND w.held \
    RETURNING w.workspace, w.tag, w.rank, w.run_at";

/// Unblocks the jobs that may start now, after running jobs of these keys may have ended in this
/// transaction.
pub(super) async fn unblock(
    db: &Db,
    keys: &BTreeSet<i64>,
    ready_groups: &ReadyGroups,
) -> TxResult<()> {
    if keys.is_empty() {
        return Ok(());
    }
    lock(db, keys).await?;
    let keys: Vec<i64> = keys.iter().copied().collect();
    for row in &db.rows(UNBLOCK, &[&keys]).await? {
        ready_groups.note(
            Group { workspace: get(row, 0)?, tag: get(row, 1)?, rank: get(row, 2)? },
            get(row, 3)?,
        );
    }
    Ok(())
}
