//! Where the records of runs are kept, and under which keys.

use super::open;
use crate::fixtures::*;
use crate::sqlite::{Options, SqliteStore};
use crate::*;
use bytes::Bytes;
use rusqlite::Connection;
use wasmill_core::{JobId, VersionHash, WorkspaceId};

fn record(id: JobId, workspace: &WorkspaceId, version: VersionHash) -> RunRecord {
    RunRecord { job: job(id, workspace, version), end: end(RunStatus::Success, "1") }
}

/// A run whose arguments, result and log have so many bytes together.
fn of_size(n: u16, bytes: usize, workspace: &WorkspaceId, version: VersionHash) -> RunRecord {
    let RunRecord { mut job, mut end } = record(id(n), workspace, version);
    job.args = Bytes::from_static(b"{}");
    end.log = Bytes::from("x".repeat(bytes - job.args.len() - end.result.get().len()));
    RunRecord { job, end }
}

async fn read(store: &SqliteStore, workspace: &WorkspaceId, n: u16) -> (Bytes, RunEnd) {
    let job = store.job(workspace, id(n)).await.unwrap().unwrap();
    match job.state {
        JobState::Finished(end) => (job.job.args, end),
        state => panic!("{state:?}"),
    }
}

#[tokio::test]
async fn small_payloads_are_in_the_row_and_large_ones_beside_it() {
    let (dir, store) = open();
    let (one, x, _) = furnish(&store).await;
    let sizes = [3, 511, 512, 513, 100_000];
    for (n, bytes) in (1..).zip(sizes) {
        store.record_durably(of_size(n, bytes, &one, x)).await.unwrap();
        let queued = of_size(n + 20, bytes, &one, x);
        store.enqueue(vec![queued.job]).await.unwrap();
        store.claim(1, i64::MAX, 1, &[]).await.unwrap();
        let done = Completion { claim: Claim { id: id(n + 20), attempt: 1 }, end: queued.end };
        assert_eq!(store.complete(vec![done]).await.unwrap(), [true]);
    }
    for (n, bytes) in (1..).zip(sizes) {
        let written = of_size(n, bytes, &one, x);
        for n in [n, n + 20] {
            let (args, end) = read(&store, &one, n).await;
            assert_eq!(
                (args, shown(&end)),
                (written.job.args.clone(), shown(&written.end)),
                "{bytes}"
            );
        }
    }
    let conn = Connection::open(dir.path().join("wasmill.db")).unwrap();
    let count = |what: &str| {
        conn.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    // The arguments of queued ones are where they were.
    assert_eq!(
        (count("run WHERE result IS NOT NULL"), count("run_body"), count("queue_args")),
        (3 + 4, 2 + 1, 5)
    );
}

/// As versions before wrote them, and may go on to be read for ever.
#[tokio::test]
async fn payloads_beside_the_row_are_found_whatever_their_size() {
    let (dir, store) = open();
    let (one, x, _) = furnish(&store).await;
    store.record_durably(record(id(1), &one, x)).await.unwrap();
    let before = read(&store, &one, 1).await;
    store.close().await.unwrap();
    let conn = Connection::open(dir.path().join("wasmill.db")).unwrap();
    conn.execute_batch(
        "INSERT INTO run_body (id, args, result, log) SELECT id, args, result, log FROM run;
         UPDATE run SET args = NULL, result = NULL, log = NULL;",
    )
    .unwrap();
    drop(conn);
    let store = SqliteStore::open(dir.path(), Options::default()).unwrap();
    assert_eq!(shown(&read(&store, &one, 1).await), shown(&before));
    assert_eq!(store.erase(&one, &[id(1)]).await.unwrap(), 1);
    assert_eq!(read(&store, &one, 1).await.0, Bytes::new());
}

/// Nobody looks whether the key of a new id is taken; it shows when the record is written.
#[tokio::test]
async fn keys_that_are_taken() {
    let (_dir, store) = open();
    let (one, x, _) = furnish(&store).await;
    let twin = |n: u16| JobId::from_parts(id(n).millis(), n, 99);
    store.record_durably(record(id(5), &one, x)).await.unwrap();
    // The same id, by a run and by a job, whichever is first.
    let taken = store.record_durably(record(id(5), &one, x)).await.unwrap_err();
    assert!(matches!(taken, StoreError::Conflict(_)), "{taken}");
    store.enqueue(vec![job(id(7), &one, x)]).await.unwrap();
    let taken = store.record_durably(record(id(7), &one, x)).await.unwrap_err();
    assert!(matches!(taken, StoreError::Conflict(_)), "{taken}");
    // Earlier than what is queued, and later.
    store.record_durably(record(id(6), &one, x)).await.unwrap();
    store.record_durably(record(id(8), &one, x)).await.unwrap();
    // Another id of a key that a run has, and of one that a job has.
    for id in [twin(5), twin(7)] {
        store.record_durably(record(id, &one, x)).await.unwrap();
        assert_eq!(store.job(&one, id).await.unwrap().unwrap().job.id, id);
    }
    // Now that ids without a key of their own are there, each new one is looked for among them.
    let taken = store.record_durably(record(twin(5), &one, x)).await.unwrap_err();
    assert!(matches!(taken, StoreError::Conflict(_)), "{taken}");
    store.record_durably(record(id(9), &one, x)).await.unwrap();
    assert_eq!(store.counts(&one).await.unwrap().completed, 6);
}

/// A job that is queued between two records of one batch is seen by the second.
#[tokio::test]
async fn a_batch_of_records_and_jobs() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { linger: std::time::Duration::from_millis(200), ..Options::default() };
    let store = SqliteStore::open(dir.path(), options).unwrap();
    let (one, x, _) = furnish(&store).await;
    assert!(store.record(record(id(1), &one, x)));
    store.enqueue(vec![job(id(3), &one, x)]).await.unwrap();
    assert!(store.record(record(id(2), &one, x)));
    assert!(store.record(record(id(3), &one, x)));
    assert!(store.record(record(id(4), &one, x)));
    store.flush().await.unwrap();
    assert_eq!(store.dropped_records(), 1, "the id of the job");
    assert_eq!(
        (store.counts(&one).await.unwrap().completed, store.counts(&one).await.unwrap().queued),
        (3, 1)
    );
}
