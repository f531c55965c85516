//! The writing thread: that it groups, what it does when there is too much of everything, and how
//! it dies.

use super::open;
use crate::fixtures::*;
use crate::sqlite::fault::{Fault, TxResult};
use crate::sqlite::store::Need;
use crate::sqlite::{Options, SqliteStore};
use crate::*;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

fn run(
    n: u16,
    workspace: &wasmill_core::WorkspaceId,
    version: wasmill_core::VersionHash,
) -> RunRecord {
    RunRecord { job: job(id(n), workspace, version), end: end(RunStatus::Success, "1") }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_are_shared() {
    let (_dir, store) = open();
    let (one, x, _) = furnish(&store).await;
    let store = Arc::new(store);
    let before = store.stats();
    let producers: Vec<_> = (0..64u16)
        .map(|producer| {
            let (store, one) = (Arc::clone(&store), one.clone());
            tokio::spawn(async move {
                for n in 0..20 {
                    store.enqueue(vec![job(id(producer * 20 + n), &one, x)]).await.unwrap();
                }
            })
        })
        .collect();
    for producer in producers {
        producer.await.unwrap();
    }
    let after = store.stats();
    let (commits, operations) =
        (after.commits - before.commits, after.operations - before.operations);
    assert_eq!(operations, 64 * 20);
    assert!(commits < operations / 2, "{commits} commits for {operations} operations");
    assert_eq!(after.synced_commits - before.synced_commits, commits);
    assert_eq!(store.queue_depth(&one).await.unwrap(), 64 * 20);
}

#[tokio::test]
async fn records_linger_and_are_synced_within_the_barrier() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { barrier: Duration::from_millis(50), ..Options::default() };
    let store = SqliteStore::open(dir.path(), options).unwrap();
    let (one, x, _) = furnish(&store).await;
    let before = store.stats();
    for n in 0..100 {
        assert!(store.record(run(n, &one, x)));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let after = store.stats();
    assert_eq!(after.operations - before.operations, 100);
    assert_eq!(after.synced_commits - before.synced_commits, 1, "one barrier, and none when idle");
    assert!(after.commits - before.commits <= 10, "{after:?}");
}

/// Holds the writing thread until the returned sender is used or dropped.
async fn stall(store: &Arc<SqliteStore>) -> std::sync::mpsc::Sender<()> {
    let (go, wait) = std::sync::mpsc::channel();
    let (began, has_begun) = tokio::sync::oneshot::channel();
    let stalled = Arc::clone(store);
    tokio::spawn(async move {
        let mut began = Some(began);
        let hold = move |_: &mut crate::sqlite::tx::Tx<'_>| {
            let _ = began.take().map(|began| began.send(()));
            let _ = wait.recv();
            Ok(())
        };
        stalled.write(Need::Committed, hold).await
    });
    has_begun.await.unwrap();
    go
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drops_are_counted_payload_first() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { channel: 8, ..Options::default() };
    let store = Arc::new(SqliteStore::open(dir.path(), options).unwrap());
    let (one, x, _) = furnish(store.as_ref()).await;
    let go = stall(&store).await;
    let kept: Vec<bool> = (0..10).map(|n| store.record(run(n, &one, x))).collect();
    assert_eq!(kept, [[true; 8].as_slice(), &[false; 2]].concat());
    assert_eq!((store.dropped_records(), store.dropped_payloads()), (2, 1));
    drop(go);
    store.flush().await.unwrap();
    let found = store.job(&one, id(0)).await.unwrap().unwrap();
    assert_eq!(found.job.args, job(id(0), &one, x).args);
    let thin = store.job(&one, id(7)).await.unwrap().unwrap();
    let JobState::Finished(end) = thin.state else { panic!("it must be over") };
    assert!(thin.job.args.is_empty() && end.result.get() == "null");
    assert!(String::from_utf8_lossy(&end.log).contains("not kept"));
    assert!(store.job(&one, id(8)).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_on_their_way_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { record_bytes: 1_000, ..Options::default() };
    let store = Arc::new(SqliteStore::open(dir.path(), options).unwrap());
    let (one, x, _) = furnish(store.as_ref()).await;
    let go = stall(&store).await;
    let large = |n: u16| {
        let mut record = run(n, &one, x);
        record.job.args = Bytes::from(vec![b' '; 600]);
        record
    };
    assert!(store.record(large(1)) && store.record(large(2)) && store.record(run(3, &one, x)));
    assert_eq!((store.dropped_records(), store.dropped_payloads()), (0, 1));
    drop(go);
    store.flush().await.unwrap();
    assert!(store.record(large(4)));
    assert_eq!(store.dropped_payloads(), 1);
}

#[tokio::test]
async fn a_full_file_refuses_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { max_bytes: Some(600 << 10), ..Options::default() };
    let store = SqliteStore::open(dir.path(), options).unwrap();
    let (one, x, _) = furnish(&store).await;
    let large = |n: u16| NewJob { args: Bytes::from(vec![b' '; 100 << 10]), ..job(id(n), &one, x) };
    let mut kept = 0;
    let refused = loop {
        match store.enqueue(vec![large(kept)]).await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Full(_)), "{refused}");
    assert!(kept > 0);
    assert_eq!(store.queue_depth(&one).await.unwrap(), u64::from(kept));
    assert!(store.job(&one, id(kept)).await.unwrap().is_none());
    // What fits still goes in.
    store.enqueue(vec![job(id(kept + 1), &one, x)]).await.unwrap();
    assert_eq!(store.claim(1, i64::MAX, 100, &[]).await.unwrap().len(), usize::from(kept) + 1);
}

#[tokio::test]
async fn reading_goes_on_when_there_is_no_room_for_records() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { max_bytes: Some(600 << 10), ..Options::default() };
    let store = SqliteStore::open(dir.path(), options).unwrap();
    let (one, x, _) = furnish(&store).await;
    store.enqueue(vec![job(id(1), &one, x)]).await.unwrap();
    let large = |n: u16| {
        let mut record = run(n, &one, x);
        record.job.args = Bytes::from(vec![b' '; 1 << 20]);
        record
    };
    // Each of these waits for the records before it, which are dropped.
    assert!(store.record(large(2)));
    assert_eq!(
        store.list_jobs(&one, &JobFilter { limit: 9, ..JobFilter::default() }).await.unwrap().len(),
        1
    );
    assert!(store.record(large(3)));
    assert_eq!(store.counts(&one).await.unwrap().queued, 1);
    assert!(store.record(large(4)));
    assert!(store.job(&one, id(4)).await.unwrap().is_none());
    assert_eq!(store.dropped_records(), 3);
    assert!(store.record(run(5, &one, x)));
    assert!(store.job(&one, id(5)).await.unwrap().is_some());
}

#[tokio::test]
async fn one_refusal_leaves_the_rest_of_its_batch_alone() {
    let (_dir, store) = open();
    let (one, x, _) = furnish(&store).await;
    store.enqueue(vec![job(id(1), &one, x)]).await.unwrap();
    let store = Arc::new(store);
    let before = store.stats().commits;
    let go = stall(&store).await;
    let jobs = [1u16, 2, 1, 3].map(|n| {
        let (store, one) = (Arc::clone(&store), one.clone());
        tokio::spawn(async move {
            store.enqueue(vec![job(id(n + 10), &one, x), job(id(n), &one, x)]).await
        })
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(store.record(run(20, &one, x)));
    drop(go);
    let mut kept = Vec::new();
    for job in jobs {
        kept.push(job.await.unwrap().is_ok());
    }
    assert_eq!(kept, [false, true, false, true]);
    assert_eq!(store.stats().commits - before, 2, "the stalled one, and all the others together");
    let counts = store.counts(&one).await.unwrap();
    assert_eq!(
        (counts.queued, counts.completed),
        (5, 1),
        "each once, however often the batch was run"
    );
    assert!(store.job(&one, id(11)).await.unwrap().is_none());
}

/// What was taken in a batch that came to nothing counts for nobody's share.
#[tokio::test]
async fn shares_count_what_was_committed() {
    let (_dir, store) = open();
    let (one, x, _) = furnish(&store).await;
    let two = workspace("two");
    store
        .enqueue(vec![job(id(1), &one, x), job(id(2), &one, x), job(id(3), &two, x)])
        .await
        .unwrap();
    let store = Arc::new(store);
    let go = stall(&store).await;
    let taken = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.claim(1, i64::MAX, 1, &[]).await }
    });
    let full = |_: &mut crate::sqlite::tx::Tx<'_>| -> TxResult<()> {
        let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
        Err(Fault::Sql(rusqlite::Error::SqliteFailure(error, None)))
    };
    let failed = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.write(Need::Synced, full).await }
    });
    // Both are on their way once the channel has them.
    while store.inbox.as_ref().is_some_and(|inbox| inbox.capacity() > inbox.max_capacity() - 2) {
        tokio::task::yield_now().await;
    }
    drop(go);
    assert!(matches!(taken.await.unwrap().unwrap_err(), StoreError::Full(_)));
    assert!(matches!(failed.await.unwrap().unwrap_err(), StoreError::Full(_)));
    let mut order = Vec::new();
    for _ in 0..3 {
        order.push(store.claim(1, i64::MAX, 1, &[]).await.unwrap()[0].job.id);
    }
    assert_eq!(order, [id(1), id(3), id(2)]);
}

#[tokio::test]
async fn after_an_io_error_the_store_is_dead() {
    let (dir, store) = open();
    let (one, x, _) = furnish(&store).await;
    let store = Arc::new(store);
    let watcher = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.failed().await }
    });
    let go = stall(&store).await;
    let broken = |_: &mut crate::sqlite::tx::Tx<'_>| -> TxResult<()> {
        let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
        Err(Fault::Sql(rusqlite::Error::SqliteFailure(error, None)))
    };
    // A good operation before it in the same batch is not acknowledged either.
    let good = tokio::spawn({
        let (store, one) = (Arc::clone(&store), one.clone());
        async move { store.enqueue(vec![job(id(1), &one, x)]).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let bad = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.write(Need::Synced, broken).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(go);
    assert!(matches!(good.await.unwrap().unwrap_err(), StoreError::Unavailable(_)));
    assert!(matches!(bad.await.unwrap().unwrap_err(), StoreError::Unavailable(_)));
    assert!(watcher.await.unwrap().contains("failed"));
    assert!(matches!(store.job(&one, id(1)).await.unwrap_err(), StoreError::Unavailable(_)));
    assert!(matches!(store.extend_lease(1, 1).await.unwrap_err(), StoreError::Unavailable(_)));
    assert!(!store.record(run(2, &one, x)));
    drop(store);
    let again = SqliteStore::open(dir.path(), Options::default()).unwrap();
    assert!(again.job(&one, id(1)).await.unwrap().is_none());
}

#[tokio::test]
async fn another_program_that_writes_makes_callers_wait() {
    let (dir, store) = open();
    let (one, x, _) = furnish(&store).await;
    let other = rusqlite::Connection::open(dir.path().join("wasmill.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let store = Arc::new(store);
    let waiting = tokio::spawn({
        let (store, one) = (Arc::clone(&store), one.clone());
        async move { store.enqueue(vec![job(id(1), &one, x)]).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    other.execute_batch("ROLLBACK").unwrap();
    waiting.await.unwrap().unwrap();
}

/// The log is copied into the database again and again, and stays small.
#[tokio::test]
async fn the_log_stays_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { checkpoint_pages: 50, ..Options::default() };
    let store = SqliteStore::open(dir.path(), options).unwrap();
    let (one, x, _) = furnish(&store).await;
    for n in 0..200 {
        let args = Bytes::from(vec![b' '; 16 << 10]);
        store.enqueue(vec![NewJob { args, ..job(id(n), &one, x) }]).await.unwrap();
    }
    let log = std::fs::metadata(dir.path().join("wasmill.db-wal")).unwrap().len();
    assert!(log < 100 * 4_200, "the log has {log} bytes");
}
