//! That what was erased, or was never to be kept, is in no file.

use crate::fixtures::*;
use crate::sqlite::{Options, SqliteStore};
use crate::*;
use bytes::Bytes;
use std::path::Path;
use std::time::Duration;

/// Options under which the log is copied only when this is asked for.
fn options(scrub: Duration) -> Options {
    Options { checkpoint_pages: 1_000_000, scrub, ..Options::default() }
}

fn secret(
    n: u16,
    size: usize,
    workspace: &wasmill_core::WorkspaceId,
    version: wasmill_core::VersionHash,
) -> RunRecord {
    let text = format!("\"{}\"", "SECRET".repeat(size / 6));
    let job = NewJob { args: Bytes::from(text.clone()), ..job(id(n), workspace, version) };
    RunRecord {
        job,
        end: RunEnd { log: Bytes::from(text.clone()), ..end(RunStatus::Success, &text) },
    }
}

/// Which of the store's files have the secret.
fn found(dir: &Path) -> Vec<&'static str> {
    let has = |name: &&str| {
        let bytes = std::fs::read(dir.join(name)).unwrap_or_default();
        bytes.windows(6).any(|window| window == b"SECRET")
    };
    ["wasmill.db", "wasmill.db-wal"].into_iter().filter(has).collect()
}

/// Small payloads share a page with others; large ones have pages of their own, which become free.
#[tokio::test]
async fn erased_payloads_are_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path(), options(Duration::from_secs(600))).unwrap();
    let (one, x, _) = furnish(&store).await;
    for (n, size) in [(1, 60), (2, 900), (3, 20_000), (4, 200_000)] {
        let RunRecord { job, end } = secret(n, size, &one, x);
        store.record_durably(RunRecord { job: job.clone(), end: end.clone() }).await.unwrap();
        store.enqueue(vec![NewJob { id: id(n + 10), ..job }]).await.unwrap();
        store.claim(1, i64::MAX, 1, &[]).await.unwrap();
        // Half of them are erased later, half as they end.
        let end = RunEnd { deleted: n % 2 == 0, ..end };
        let done = Completion { claim: Claim { id: id(n + 10), attempt: 1 }, end };
        assert_eq!(store.complete(vec![done]).await.unwrap(), [true]);
    }
    // Into the database file, so that there is something to overwrite.
    store.close().await.unwrap();
    assert_eq!(found(dir.path()), ["wasmill.db"]);
    let store = SqliteStore::open(dir.path(), options(Duration::from_secs(600))).unwrap();
    let all: Vec<_> = (1..=4).chain(11..=14).map(id).collect();
    assert_eq!(store.erase(&one, &all).await.unwrap(), 6);
    store.close().await.unwrap();
    assert_eq!(found(dir.path()), [""; 0]);
}

/// So are those of attempts before the last one.
#[tokio::test]
async fn erased_attempts_are_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path(), options(Duration::from_secs(600))).unwrap();
    let (one, x, _) = furnish(&store).await;
    for (n, size) in [(1, 60), (2, 900), (3, 20_000), (4, 200_000)] {
        store.enqueue(vec![job(id(n), &one, x)]).await.unwrap();
        store.claim(1, i64::MAX, 1, &[]).await.unwrap();
        let failed = Retry {
            claim: Claim { id: id(n), attempt: 1 },
            end: secret(n, size, &one, x).end,
            run_at: i64::MAX - 1,
        };
        assert_eq!(store.retry(vec![failed]).await.unwrap(), [true]);
    }
    store.close().await.unwrap();
    assert_eq!(found(dir.path()), ["wasmill.db"]);
    let store = SqliteStore::open(dir.path(), options(Duration::from_secs(600))).unwrap();
    for (n, deleted) in [(1, true), (2, true), (3, false), (4, true)] {
        store.claim(1, i64::MAX, 1, &[]).await.unwrap();
        let end = RunEnd { deleted, ..end(RunStatus::Success, "1") };
        assert_eq!(
            store
                .complete(vec![Completion { claim: Claim { id: id(n), attempt: 2 }, end }])
                .await
                .unwrap(),
            [true]
        );
    }
    assert_eq!(store.erase(&one, &[id(3)]).await.unwrap(), 1);
    store.close().await.unwrap();
    assert_eq!(found(dir.path()), [""; 0]);
}

/// The log's file is emptied too, although the store goes on.
#[tokio::test]
async fn the_log_forgets_within_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path(), options(Duration::from_millis(50))).unwrap();
    let (one, x, _) = furnish(&store).await;
    // In the run's own row, and beside it.
    for (n, size) in [(1, 60), (2, 6_000)] {
        store.record_durably(secret(n, size, &one, x)).await.unwrap();
        assert_eq!(found(dir.path()), ["wasmill.db-wal"]);
        assert_eq!(store.erase(&one, &[id(n)]).await.unwrap(), 1);
        let end = std::time::Instant::now() + Duration::from_secs(5);
        while !found(dir.path()).is_empty() {
            assert!(std::time::Instant::now() < end, "still in {:?}", found(dir.path()));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn what_is_not_kept_is_never_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path(), options(Duration::from_secs(600))).unwrap();
    let (one, x, _) = furnish(&store).await;
    let unkept = |n: u16| {
        let RunRecord { job, end } = secret(n, 6_000, &one, x);
        RunRecord { job, end: RunEnd { deleted: true, ..end } }
    };
    assert!(store.record(unkept(1)));
    store.record_durably(unkept(2)).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(found(dir.path()), [""; 0]);
    assert_eq!(store.dropped_payloads(), 0);
    let conn = rusqlite::Connection::open(dir.path().join("wasmill.db")).unwrap();
    let count = |table: &str| {
        conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    assert_eq!((count("run"), count("run_body"), count("queue_args")), (2, 0, 0));
}
