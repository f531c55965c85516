//! Brings the database file to this program's schema: numbered SQL steps, forward only, each one
//! transaction.
//!
//! The number of the last step is the file's `user_version`, written in the same transaction as the
//! step. A file with a larger number belongs to a newer program and is refused, and so is one that
//! holds something else altogether.

use crate::{Result, StoreError};
use rusqlite::{Connection, TransactionBehavior};

/// The steps, in order; never changed once released.
const STEPS: &[&str] = &[
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_erasures.sql"),
    include_str!("migrations/0003_outbox.sql"),
    include_str!("migrations/0004_shares.sql"),
    include_str!("migrations/0005_inline_payloads.sql"),
];

/// Marks the file as wasmill's ("wmil").
const APPLICATION_ID: i32 = 0x776d_696c;

/// Applies the steps that the file lacks.
///
/// # Errors
/// `Unavailable` when the file is newer than this program or not wasmill's, or a step fails; the
/// file is then as before.
pub(super) fn migrate(conn: &mut Connection) -> Result<()> {
    apply(conn, STEPS)
}

/// The schema version of a file that this program can read.
///
/// # Errors
/// `Unavailable` when the file is newer than this program or not wasmill's.
pub(super) fn known_version(conn: &Connection) -> Result<u32> {
    let present = present(conn, STEPS)?;
    if present == 0 {
        return Err(StoreError::Unavailable("the database file is empty".into()));
    }
    pragma(conn, "user_version")
}

/// How many of the steps the file has.
fn present(conn: &Connection, steps: &[&str]) -> Result<usize> {
    let present = pragma::<u32>(conn, "user_version")? as usize;
    if present > steps.len() {
        return Err(StoreError::Unavailable(format!(
            "the database has schema version {present}, but this program knows versions up to {}: it was written by a newer wasmill; start that one, or restore a backup made before the upgrade",
            steps.len()
        )));
    }
    let application: i32 = pragma(conn, "application_id")?;
    let is_empty = conn
        .query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get::<_, bool>(0))
        .map_err(failed)?;
    if application != APPLICATION_ID && !(is_empty && present == 0) {
        return Err(StoreError::Unavailable(
            "the database file was not made by wasmill; choose another data directory".into(),
        ));
    }
    Ok(present)
}

fn apply(conn: &mut Connection, steps: &[&str]) -> Result<()> {
    let present = present(conn, steps)?;
    for (index, step) in steps.iter().enumerate().skip(present) {
        let version = i32::try_from(index + 1).unwrap_or(i32::MAX);
        let failed = |error: rusqlite::Error| {
            StoreError::Unavailable(format!("migrating the database to version {version}: {error}"))
        };
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        tx.execute_batch(step).map_err(failed)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
        tx.pragma_update(None, "user_version", version).map_err(failed)?;
        tx.commit().map_err(failed)?;
        tracing::info!(version, "database schema migrated");
    }
    Ok(())
}

fn pragma<T: rusqlite::types::FromSql>(conn: &Connection, name: &str) -> Result<T> {
    conn.pragma_query_value(None, name, |row| row.get(0)).map_err(failed)
}

fn failed(error: rusqlite::Error) -> StoreError {
    StoreError::Unavailable(format!("reading the database's schema version: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Accounts, Counts, Micros, Queue, Runs, WorkspaceSettings};

    #[test]
    fn steps_are_applied_once_and_only_forward() {
        let mut conn = Connection::open_in_memory().unwrap();
        let one = ["CREATE TABLE a (x)"];
        let two = ["CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y"];
        apply(&mut conn, &one).unwrap();
        apply(&mut conn, &one).unwrap();
        apply(&mut conn, &two).unwrap();
        conn.execute("INSERT INTO a (x, y) VALUES (1, 2)", []).unwrap();
        let refused = apply(&mut conn, &one).unwrap_err().to_string();
        assert!(refused.contains("schema version 2"), "{refused}");
        assert!(refused.contains("newer wasmill"), "{refused}");
    }

    #[test]
    fn a_failing_step_leaves_the_file_as_it_was() {
        let mut conn = Connection::open_in_memory().unwrap();
        apply(&mut conn, &["CREATE TABLE a (x)"]).unwrap();
        let bad = ["CREATE TABLE a (x)", "CREATE TABLE b (x); CREATE TABLE a (x)"];
        apply(&mut conn, &bad).unwrap_err();
        assert_eq!(pragma::<i64>(&conn, "user_version").unwrap(), 1);
        assert!(conn.prepare("SELECT * FROM b").is_err());
    }

    #[test]
    fn a_foreign_file_is_refused() {
        let mut conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE something (x)").unwrap();
        assert!(migrate(&mut conn).unwrap_err().to_string().contains("not made by wasmill"));
    }

    #[test]
    fn the_real_steps_apply_to_an_empty_file() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn).unwrap();
        migrate(&mut conn).unwrap();
    }

    #[test]
    fn each_real_step_applies_to_a_file_that_is_in_use() {
        for released in 1..STEPS.len() {
            let mut conn = Connection::open_in_memory().unwrap();
            apply(&mut conn, &STEPS[..released]).unwrap();
            conn.execute(
                "INSERT INTO workspace (name, title, created) VALUES ('main', 'Main', 1)",
                [],
            )
            .unwrap();
            migrate(&mut conn).unwrap();
            let kept: String =
                conn.query_row("SELECT name FROM workspace", [], |row| row.get(0)).unwrap();
            assert_eq!(
                (kept.as_str(), pragma::<u32>(&conn, "user_version").unwrap() as usize),
                ("main", STEPS.len())
            );
        }
    }
    /// What was queued and recorded before retries, limits and shares is as if it had none.
    #[tokio::test]
    async fn a_queue_of_the_version_before_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut conn = Connection::open(dir.path().join("wasmill.db")).unwrap();
        apply(&mut conn, &STEPS[..3]).unwrap();
        let id = |n: u16| crate::fixtures::id(n);
        let row =
            |n: u16| format!("{}, {}, 1, 1, 1, 1, 0, 5, 5, 1, 1, 0", id(n).key(), id(n).tail());
        let (hash, limits) = ([7; 32], r#"{"timeout_s":null,"memory_mib":null}"#);
        conn.execute_batch(
            "INSERT INTO workspace (name, title, created, runs) VALUES ('main', 'Main', 1, 1);
             INSERT INTO script (workspace, path) VALUES (1, 'f/a/x');
             INSERT INTO caller (name, token) VALUES ('ann', x'');
             INSERT INTO word (text) VALUES ('wasm');",
        )
        .unwrap();
        let sql = "INSERT INTO version (workspace, hash, script, deployed, manifest, module, module_bytes, kind, limits, summary, \
            created_by, created) VALUES (1, ?1, 1, 1, '', ?1, 1, 'typed', ?2, '', 'ann', 1)";
        conn.execute(sql, (hash, limits)).unwrap();
        let columns = "id, tail, workspace, script, version, caller, trigger, created, run_at, max_attempts, tag, priority";
        conn.execute_batch(&format!(
            "INSERT INTO queue ({columns}) VALUES ({});
             INSERT INTO queue ({columns}, attempt, worker, started) VALUES ({}, 1, 9, 6);
             INSERT INTO run ({columns}, attempt, started, status, duration, memory, deleted) VALUES ({}, 1, 6, 0, 1, 1, 1);",
            row(1),
            row(2),
            row(3)
        ))
        .unwrap();
        drop(conn);

        let store = crate::sqlite::SqliteStore::open(dir.path(), crate::sqlite::Options::default())
            .unwrap();
        let main = crate::fixtures::workspace("main");
        assert_eq!(store.workspace_settings(&main).await.unwrap(), WorkspaceSettings::default());
        let counts = Counts { queued: 1, running: 1, completed: 1, ..Counts::default() };
        assert_eq!(store.counts(&main).await.unwrap(), counts);
        let claimed = store.claim(1, 9, 9, &[]).await.unwrap();
        assert_eq!(
            claimed.iter().map(|job| (job.job.id, job.failures)).collect::<Vec<_>>(),
            [(id(1), 0)]
        );
        // It had no second start.
        assert_eq!(store.rescue(9, true).await.unwrap(), 0);
        assert_eq!(
            store.ended(&[1, 2, 3].map(|n| (main.clone(), id(n)))).await.unwrap(),
            [1, 2, 3].map(id)
        );
        let old = store.job(&main, id(3)).await.unwrap().unwrap().job;
        assert_eq!((old.retry, old.concurrency, old.awaited), (None, None, false));
        assert_eq!(store.purge_runs(&main, None, Micros::MAX, 9).await.unwrap(), 3);
    }
}
