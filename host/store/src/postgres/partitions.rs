//! The days that `job` and `finished` are partitioned by: made ahead, and dropped when all that is
//! in them is too old.
//!
//! A day is that of the time within a job's key, which is about when it was created. What fits no
//! partition, because its day is long ago or nobody made one in time, is in the rest; a new
//! partition takes over what the rest has of its day. A day that is dropped leaves to the rest what
//! is still needed of it: jobs that are not over, or not for long enough.

use super::columns::{day_of, keys_of};
use super::db::get;
use super::fault::TxResult;
use super::finish::note_counts;
use super::shared::Shared;
use crate::common::keys::first_key;
use crate::model::micros;
use crate::{Micros, Result, StoreError};
use std::collections::BTreeSet;
use std::time::Duration;

/// Days made ahead.
const AHEAD: i64 = 7;
/// More than so many jobs are not moved: a day that has so many which are still needed is not
/// dropped, and one of which so many lie in the rest is not made.
const MOVED: i64 = 20_000;
/// How long it may be waited for the locks, during which nobody else gets at the tables. When
/// somebody else has them for long, as a backup does, upkeep is done another time.
const LOCK_WAIT: &str = "SET LOCAL lock_timeout = '500ms'";
/// The server's word for that it took longer.
const LOCKED: &str = "55P03";
/// Its word for a table that is not there: another node was faster.
const DROPPED: &str = "42P01";
/// One node at a time.
const LOCK: i64 = 0x77_6173_7061_7274;
/// The tables.
const TABLES: [&str; 2] = ["job", "finished"];

impl Shared {
    /// See [`crate::Nodes::maintain`].
    pub(super) async fn keep_up(&self, now: Micros, keep: Option<Duration>) -> Result<()> {
        self.sum_up().await?;
        let today = i64::from(day_of(first_key(now)));
        let mut days = self.days().await?;
        for day in today..=today.saturating_add(AHEAD) {
            if days.insert(day) {
                postpone(self.make_day(day).await)?;
            }
        }
        let Some(keep) = keep else { return Ok(()) };
        let before = now.saturating_sub(micros(keep));
        let oldest = i64::from(day_of(first_key(before)));
        for day in days.into_iter().take_while(|day| *day < oldest) {
            postpone(self.drop_day(day, before).await)?;
        }
        Ok(())
    }

    /// The days that there are partitions for.
    pub(super) async fn days(&self) -> Result<BTreeSet<i64>> {
        let sql = "SELECT substr(c.relname, 5)::bigint FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
            WHERE i.inhparent = 'job'::regclass AND c.relname ~ '^job_[0-9]+$'";
        self.statement(move |db| async move {
            db.rows(sql, &[]).await?.iter().map(|row| get(row, 0)).collect()
        })
        .await
    }

    /// Makes a day, unless the rest has much of it: moving that would hold everybody up, and it can
    /// be where it is.
    async fn make_day(&self, day: i64) -> Result<()> {
        let (low, high) = keys_of(day);
        let count =
            "SELECT count(*) FROM (SELECT FROM job_rest WHERE id >= $1 AND id < $2 LIMIT $3) n";
        let many: i64 = self
            .statement(move |db| async move {
                get(&db.one(count, &[&low, &high, &(MOVED + 1)]).await?, 0)
            })
            .await?;
        if many > MOVED {
            tracing::info!(day, "many jobs of a day lie outside of any partition, and stay there");
            return Ok(());
        }
        self.transaction(move |db| async move {
            db.execute(LOCK_WAIT, &[]).await?;
            db.rows("SELECT count(pg_advisory_xact_lock($1))", &[&LOCK]).await?;
            // Whoever looked up the parts before this would not find what is moved.
            for table in TABLES {
                db.execute(&format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"), &[]).await?;
            }
            for table in TABLES {
                let name = format!("{table}_{day}");
                if get(&db.one("SELECT to_regclass($1) IS NOT NULL", &[&name]).await?, 0)? {
                    continue;
                }
                db.execute(&format!("CREATE TABLE {name} (LIKE {table} INCLUDING ALL)"), &[]).await?;
                let sql = format!(
                    "WITH moved AS (DELETE FROM {table}_rest WHERE id >= $1 AND id < $2 RETURNING *) INSERT INTO {name} SELECT * FROM moved"
                );
                db.execute(&sql, &[&low, &high]).await?;
                db.execute(&format!("ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({low}) TO ({high})"), &[]).await?;
                // Without statistics of a table the server expects the worst of it.
                db.execute(&format!("ANALYZE {name}"), &[]).await?;
            }
            Ok(())
        })
        .await
    }

    /// Drops a day, unless much of it is still needed.
    async fn drop_day(&self, day: i64, before: Micros) -> Result<()> {
        let (low, high) = keys_of(day);
        let (job, finished) = (format!("job_{day}"), format!("finished_{day}"));
        // Read before the locks, for there may be many; what changes meanwhile is read again under
        // them.
        let needed = format!(
            "SELECT id FROM {finished} WHERE started + duration >= $1 \
             UNION ALL SELECT id FROM waiting WHERE id >= $2 AND id < $3 UNION ALL SELECT id FROM running WHERE id >= $2 AND id < $3"
        );
        let count = format!("SELECT count(*) FROM (SELECT FROM ({needed}) n LIMIT $4) n");
        let count = &count;
        let many: i64 = self
            .statement(move |db| async move {
                get(&db.one(count, &[&before, &low, &high, &(MOVED + 1)]).await?, 0)
            })
            .await?;
        if many > MOVED {
            tracing::info!(day, "many jobs of a day are still needed, so it is not dropped yet");
            return Ok(());
        }
        let (finished, job, needed) = (&finished, &job, &needed);
        self.transaction(move |db| async move {
            db.execute(LOCK_WAIT, &[]).await?;
            db.rows("SELECT count(pg_advisory_xact_lock($1))", &[&LOCK]).await?;
            if !get(&db.one("SELECT to_regclass($1) IS NOT NULL", &[&job]).await?, 0)? {
                return Ok(());
            }
            for table in TABLES {
                db.execute(&format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"), &[]).await?;
            }
            let rows = db.rows(needed, &[&before, &low, &high]).await?;
            let kept = rows.iter().map(|row| get(row, 0)).collect::<TxResult<Vec<i64>>>()?;
            let left = db.rows(&format!("SELECT workspace, count(*) FROM {finished} WHERE id = ANY ($1) GROUP BY 1"), &[&kept]).await?;
            for table in TABLES {
                db.execute(&format!("ALTER TABLE {table} DETACH PARTITION {table}_{day}"), &[]).await?;
                db.execute(&format!("INSERT INTO {table} SELECT * FROM {table}_{day} WHERE id = ANY ($1)"), &[&kept]).await?;
                db.execute(&format!("DROP TABLE {table}_{day}"), &[]).await?;
            }
            for (table, column) in [("job_attempt", "job"), ("cancellation", "job"), ("alias", "key")] {
                let sql = format!("DELETE FROM {table} WHERE {column} >= $1 AND {column} < $2 AND {column} <> ALL ($3)");
                db.execute(&sql, &[&low, &high, &kept]).await?;
            }
            // Those that are over are counted anew.
            let day = i32::try_from(day).unwrap_or(i32::MAX);
            db.execute("UPDATE tally SET finished = 0 WHERE day = $1 AND finished <> 0", &[&day]).await?;
            let mut counts = Vec::with_capacity(left.len());
            for row in &left {
                counts.push((get(row, 0)?, day, 0, get(row, 1)?));
            }
            note_counts(&db, counts.into_iter()).await
        })
        .await
    }
}

/// Passes over that others have the tables now, or have just done the same.
fn postpone(done: Result<()>) -> Result<()> {
    match done {
        Err(StoreError::Unavailable(reason))
            if [LOCKED, DROPPED].iter().any(|code| reason.contains(code)) =>
        {
            tracing::info!(reason, "upkeep of the database is put off");
            Ok(())
        }
        done => done,
    }
}
