//! What is on the disk: after a reopen, after a crash, and when it isn't ours.

use super::open;
use crate::fixtures::*;
use crate::sqlite::{Options, SqliteStore};
use crate::*;
use std::path::Path;

fn reopen(dir: &Path) -> SqliteStore {
    SqliteStore::open(dir, Options::default()).unwrap()
}

#[tokio::test]
async fn everything_is_found_again() {
    let (dir, store) = open();
    let (one, x, _) = furnish(&store).await;
    store.enqueue(vec![job(id(1), &one, x)]).await.unwrap();
    for n in 2..300 {
        assert!(
            store.record(RunRecord { job: job(id(n), &one, x), end: end(RunStatus::Success, "1") })
        );
    }
    // Dropping it writes out what was recorded, and gives the directory free.
    drop(store);
    let store = reopen(dir.path());
    assert_eq!(store.queue_depth(&one).await.unwrap(), 1);
    let all = JobFilter { limit: 1_000, ..JobFilter::default() };
    assert_eq!(store.list_jobs(&one, &all).await.unwrap().len(), 299);
    assert!(store.newest(&one, &path("f/a/x")).await.unwrap().is_some());
}

#[tokio::test]
async fn closing_leaves_one_file_and_answers_nothing_more() {
    let (dir, store) = open();
    let (one, x, _) = furnish(&store).await;
    assert!(
        store.record(RunRecord { job: job(id(1), &one, x), end: end(RunStatus::Success, "1") })
    );
    store.close().await.unwrap();
    assert!(!dir.path().join("wasmill.db-wal").exists());
    let refused = store.enqueue(vec![job(id(2), &one, x)]).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Unavailable(text) if text.contains("closed")),
        "{refused}"
    );
    assert!(matches!(store.job(&one, id(1)).await.unwrap_err(), StoreError::Unavailable(_)));
    assert!(matches!(store.queue_depth(&one).await.unwrap_err(), StoreError::Unavailable(_)));
    assert!(matches!(store.close().await.unwrap_err(), StoreError::Unavailable(_)));
    assert!(
        !store.record(RunRecord { job: job(id(3), &one, x), end: end(RunStatus::Success, "1") })
    );
    // The directory is free although the closed store is still there.
    let again = reopen(dir.path());
    assert!(again.job(&one, id(1)).await.unwrap().is_some());
}

/// A killed process may have left a log that can be read, but is not on the disk. What is answered
/// from it must be.
#[tokio::test]
async fn what_is_recovered_is_synced_before_anything_else() {
    let (dir, store) = open();
    furnish(&store).await;
    let crashed = tempfile::tempdir().unwrap();
    for name in ["wasmill.db", "wasmill.db-wal"] {
        std::fs::copy(dir.path().join(name), crashed.path().join(name)).unwrap();
    }
    let recovered = reopen(crashed.path());
    // Changes nothing, and is answered behind what comes first.
    recovered.flush().await.unwrap();
    assert_eq!(recovered.stats().synced_commits, 1);
    recovered.flush().await.unwrap();
    assert_eq!(recovered.stats().synced_commits, 1, "once");
}

/// Copies the file and its log as a crash would leave them, each right after an acknowledgement.
#[tokio::test]
async fn acknowledged_jobs_survive_a_crash() {
    let (dir, store) = open();
    let (one, x, _) = furnish(&store).await;
    for n in 1..=20 {
        store.enqueue(vec![job(id(n), &one, x)]).await.unwrap();
        let crashed = tempfile::tempdir().unwrap();
        for name in ["wasmill.db", "wasmill.db-wal"] {
            std::fs::copy(dir.path().join(name), crashed.path().join(name)).unwrap();
        }
        let recovered = reopen(crashed.path());
        assert_eq!(recovered.queue_depth(&one).await.unwrap(), u64::from(n));
        assert!(recovered.job(&one, id(n)).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let (dir, store) = open();
    let refused = SqliteStore::open(dir.path(), Options::default()).unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)));
    let text = refused.to_string();
    assert!(text.contains("in use by another wasmill process"), "{text}");
    assert!(text.contains(&std::process::id().to_string()), "{text}");
    drop(store);
    reopen(dir.path());
}

#[tokio::test]
async fn a_newer_file_is_refused_and_left_alone() {
    let (dir, store) = open();
    store.close().await.unwrap();
    let file = dir.path().join("wasmill.db");
    let present: i64 = rusqlite::Connection::open(&file)
        .unwrap()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    rusqlite::Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let text = SqliteStore::open(dir.path(), Options::default()).unwrap_err().to_string();
    assert!(text.contains("schema version 99") && text.contains("newer wasmill"), "{text}");
    rusqlite::Connection::open(&file)
        .unwrap()
        .pragma_update(None, "user_version", present)
        .unwrap();
    reopen(dir.path());
}

#[tokio::test]
async fn other_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("wasmill.db"), "x".repeat(5_000)).unwrap();
    let refused = SqliteStore::open(dir.path(), Options::default()).unwrap_err();
    assert!(refused.to_string().contains("wasmill.db"), "{refused}");
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, store) = open();
    furnish(&store).await;
    for name in ["wasmill.db", "wasmill.db-wal"] {
        let mode = std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
}
