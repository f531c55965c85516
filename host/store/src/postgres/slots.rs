//! Concurrency limits: which jobs of a key may start.
//!
//! A waiting job that may not start because as many of its key run as may is `held`: it leaves the
//! index of those that are looked through for the next ones, so that a long line of them costs
//! nothing. Jobs with the same key, workspace, tag, priority and limit are a class, in the order of
//! their times. Of a class with room for `n` jobs, the first `n` are never held: whoever frees a
//! place, or takes one of those `n` out of the line, lets go what is among them then. So holding
//! changes nothing about which jobs are taken.
//!
//! Whoever counts the running jobs of a key, to hold one or to let one go, has the key's lock, and
//! has it until its transaction ends. Rows are changed before that lock is asked for; so the count
//! that is taken under it has seen every place that was freed before, and nobody is held who would
//! not be noticed by the next one to free a place.

use super::db::{Db, get};
use super::fault::Outcome;
use super::heads::{Group, Heads};
use std::collections::{BTreeSet, HashMap};

/// Waits for the locks of keys. Always in their order, so that nobody waits in a circle.
pub(super) async fn lock(db: &Db, keys: &BTreeSet<i64>) -> Outcome<()> {
    let high: Vec<i32> = keys.iter().map(|key| (key >> 32) as i32).collect();
    let low: Vec<i32> = keys.iter().map(|key| *key as i32).collect();
    // Two numbers make another lock than one does: these are nobody else's.
    let sql = "SELECT count(pg_advisory_xact_lock(k.high, k.low)) \
        FROM (SELECT * FROM unnest($1::integer[], $2::integer[]) WITH ORDINALITY k (high, low, n) ORDER BY n OFFSET 0) k";
    db.rows(sql, &[&high, &low]).await.map(drop)
}

/// How many jobs of each key run; keys of which none does are left out.
pub(super) async fn running(db: &Db, keys: &BTreeSet<i64>) -> Outcome<HashMap<i64, i64>> {
    let keys: Vec<i64> = keys.iter().copied().collect();
    let sql = "SELECT k, r.n FROM unnest($1::bigint[]) k CROSS JOIN LATERAL \
        (SELECT count(*) AS n FROM running WHERE concurrency_key = k) r WHERE r.n > 0";
    let mut running = HashMap::new();
    for row in db.rows(sql, &[&keys]).await? {
        running.insert(get(&row, 0)?, get(&row, 1)?);
    }
    Ok(running)
}

/// The classes of a key's held jobs are found by leaping from one to the next. Of each, as many
/// jobs are looked at as there is room for; no more of them, held or not, can be among the first.
const LET_GO: &str = "WITH RECURSIVE k AS MATERIALIZED (SELECT k AS key, (SELECT count(*) FROM running r WHERE r.concurrency_key = k) AS n \
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

/// Places of these keys may have become free in this transaction: lets those go that could start
/// now.
pub(super) async fn freed(db: &Db, keys: &BTreeSet<i64>, heads: &Heads) -> Outcome<()> {
    if keys.is_empty() {
        return Ok(());
    }
    lock(db, keys).await?;
    let keys: Vec<i64> = keys.iter().copied().collect();
    for row in &db.rows(LET_GO, &[&keys]).await? {
        heads.note(
            Group { workspace: get(row, 0)?, tag: get(row, 1)?, rank: get(row, 2)? },
            get(row, 3)?,
        );
    }
    Ok(())
}
