//! Concurrency limits: which jobs of a key may start.
//!
//! A waiting job that may not start because as many of its key run as may is `held`: it leaves the index of those that are
//! looked through for the next ones, so that a long line of them costs nothing. Jobs with the same key, workspace, tag, priority
//! and limit are a class, in the order of their times. Whenever a place may have become free, and whenever a claim has looked at
//! jobs of the key, the first job of each class that could start is let go, if it is held: when it is looked at in its turn, the next
//! one is. So of a class that could start, the first is never held, and holding changes nothing about which jobs are taken.
//!
//! Whoever counts the running jobs of a key, to hold one or to let one go, has the key's lock, and has it until its
//! transaction ends. Rows are changed before that lock is asked for; so the count that is taken under it has seen every place
//! that was freed before, and nobody is held who would not be noticed by the next one to free a place.

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

/// The classes of a key's held jobs are found by leaping from one to the next, each with its first job.
const LET_GO: &str = "WITH RECURSIVE k AS MATERIALIZED (SELECT k AS key, (SELECT count(*) FROM running r WHERE r.concurrency_key = k) AS n \
     FROM unnest($1::bigint[]) k), \
    class AS ((SELECT k.key, k.n, c.* FROM k CROSS JOIN LATERAL \
      (SELECT w.workspace, w.tag, w.rank, w.concurrency_limit, w.run_at, w.id FROM waiting w WHERE w.concurrency_key = k.key AND w.held \
       ORDER BY w.workspace, w.tag, w.rank, w.concurrency_limit, w.run_at, w.id LIMIT 1) c) \
     UNION ALL SELECT l.key, l.n, c.* FROM class l CROSS JOIN LATERAL \
      (SELECT w.workspace, w.tag, w.rank, w.concurrency_limit, w.run_at, w.id FROM waiting w WHERE w.concurrency_key = l.key AND w.held \
       AND (w.workspace, w.tag, w.rank, w.concurrency_limit) > (l.workspace, l.tag, l.rank, l.concurrency_limit) \
       ORDER BY w.workspace, w.tag, w.rank, w.concurrency_limit, w.run_at, w.id LIMIT 1) c), \
    first AS MATERIALIZED (SELECT workspace, id FROM class l WHERE l.concurrency_limit > l.n AND NOT EXISTS (SELECT FROM waiting u \
     WHERE u.concurrency_key = l.key AND NOT u.held AND u.workspace = l.workspace AND u.tag = l.tag AND u.rank = l.rank \
     AND u.concurrency_limit = l.concurrency_limit AND (u.run_at, u.id) < (l.run_at, l.id))) \
    UPDATE waiting w SET held = false FROM first f WHERE w.workspace = f.workspace AND w.id = f.id AND w.held \
    RETURNING w.workspace, w.tag, w.rank, w.run_at";

/// Lets those go that could start now: the first held job of each class of these keys. The caller has the keys'
/// locks. Returns how many those are.
pub(super) async fn let_go(db: &Db, keys: &BTreeSet<i64>, heads: &Heads) -> Outcome<usize> {
    let keys: Vec<i64> = keys.iter().copied().collect();
    let rows = db.rows(LET_GO, &[&keys]).await?;
    for row in &rows {
        heads.note(Group { workspace: get(row, 0)?, tag: get(row, 1)?, rank: get(row, 2)? }, get(row, 3)?);
    }
    Ok(rows.len())
}

/// Places of these keys may have become free in this transaction.
pub(super) async fn freed(db: &Db, keys: &BTreeSet<i64>, heads: &Heads) -> Outcome<()> {
    if keys.is_empty() {
        return Ok(());
    }
    lock(db, keys).await?;
    let_go(db, keys, heads).await.map(drop)
}
