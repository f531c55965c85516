//! The queue at sizes that the conformance suite does not try, and what is left of it in the file.

use super::open;
use crate::fixtures::*;
use crate::*;
use wasmill_core::queue::Concurrency;
use wasmill_core::{JobId, VersionHash, WorkspaceId};

const NOW: Micros = 1_700_000_000_000_000;

fn many(
    range: std::ops::Range<u64>,
    workspace: &WorkspaceId,
    version: VersionHash,
    concurrency: Option<Concurrency>,
) -> Vec<NewJob> {
    let id = |n: u64| JobId::from_parts(1_700_000_000_000 + n / 1_000, (n % 1_000) as u16, n);
    range.map(|n| NewJob { concurrency, ..job(id(n), workspace, version) }).collect()
}

/// A claim parks so many jobs and no more. Those left over make it come back, until it finds what
/// is behind them.
#[tokio::test]
async fn parking_is_bounded_and_goes_on() {
    let (_dir, store) = open();
    let (one, x, _) = furnish(&store).await;
    store.enqueue(many(0..10_500, &one, x, Some(Concurrency { key: 1, limit: 1 }))).await.unwrap();
    let behind = NewJob { run_at: NOW + 1, ..job(id(20_000), &one, x) };
    store.enqueue(vec![behind]).await.unwrap();
    let claimed = store.claim(1, NOW + 1, 9, &[]).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(store.next_due(&[]).await.unwrap(), Some(NOW + 1));
    let next = store.claim(1, NOW + 1, 9, &[]).await.unwrap();
    assert_eq!(next.iter().map(|job| job.job.id).collect::<Vec<_>>(), [id(20_000)]);
    assert_eq!(store.next_due(&[]).await.unwrap(), None);
    // One by one, each in its turn.
    let mut last = claimed;
    for n in 1..20 {
        let claim = Claim { id: last[0].job.id, attempt: 1 };
        store
            .complete(vec![Completion { claim, end: end(RunStatus::Success, "1") }])
            .await
            .unwrap();
        last = store.claim(1, NOW + 1, 9, &[]).await.unwrap();
        assert_eq!(last.iter().map(|job| job.job.id.tail()).collect::<Vec<_>>(), [n]);
    }
}

/// A search for what is due next gives up after a while, with a time that is not too late.
#[tokio::test]
async fn what_is_due_next_is_never_told_too_late() {
    let (_dir, store) = open();
    let (one, x, _) = furnish(&store).await;
    let limit = Some(Concurrency { key: 1, limit: 1 });
    store.enqueue(many(0..1, &one, x, limit)).await.unwrap();
    store.claim(1, NOW, 1, &[]).await.unwrap();
    let later = |jobs: Vec<NewJob>| {
        jobs.into_iter()
            .enumerate()
            .map(|(n, job)| NewJob { run_at: NOW + n as Micros, ..job })
            .collect()
    };
    store.enqueue(later(many(1..900, &one, x, limit))).await.unwrap();
    assert_eq!(store.next_due(&[]).await.unwrap(), None);
    store.enqueue(vec![NewJob { run_at: NOW + 5_000, ..job(id(20_000), &one, x) }]).await.unwrap();
    assert_eq!(store.next_due(&[]).await.unwrap(), Some(NOW + 5_000));
    store.enqueue(later(many(900..2_500, &one, x, limit))).await.unwrap();
    let told = store.next_due(&[]).await.unwrap().unwrap();
    assert!((NOW..=NOW + 5_000).contains(&told), "{told}");
}

/// However many jobs another workspace has.
#[tokio::test]
async fn a_single_job_comes_with_the_next_claim() {
    let (_dir, store) = open();
    let (one, x, _) = furnish(&store).await;
    store.enqueue(many(0..20_000, &one, x, None)).await.unwrap();
    for _ in 0..10 {
        assert_eq!(store.claim(1, NOW, 64, &[]).await.unwrap().len(), 64);
    }
    let single = NewJob { priority: -9, run_at: NOW + 9, ..job(id(30_000), &workspace("two"), x) };
    store.enqueue(vec![single]).await.unwrap();
    let claimed = store.claim(1, NOW + 9, 2, &[]).await.unwrap();
    assert!(claimed.iter().any(|job| job.job.id == id(30_000)));
}

#[tokio::test]
async fn nothing_is_left_of_what_was_purged() {
    let (dir, store) = open();
    let (one, x, _) = furnish(&store).await;
    let foreign = "0e5b7a1c-5a4e-4f2b-9a35-3d1f0b6a7c88".parse().unwrap();
    let erasure = Erasure { when_read: true, after: None };
    store
        .enqueue(vec![NewJob { erasure, ..job(foreign, &one, x) }, job(id(1), &one, x)])
        .await
        .unwrap();
    store.claim(1, NOW, 9, &[]).await.unwrap();
    let failed = |id| Retry {
        claim: Claim { id, attempt: 1 },
        end: end(RunStatus::Failure, "1"),
        run_at: NOW,
    };
    assert_eq!(store.retry(vec![failed(foreign), failed(id(1))]).await.unwrap(), [true, true]);
    store.claim(1, NOW, 9, &[]).await.unwrap();
    store.cancel(&one, &[foreign], &cancellation("ann", None, NOW)).await.unwrap();
    let done =
        |id| Completion { claim: Claim { id, attempt: 2 }, end: end(RunStatus::Success, "1") };
    assert_eq!(store.complete(vec![done(foreign), done(id(1))]).await.unwrap(), [true, true]);
    store
        .record_durably(RunRecord { job: job(id(2), &one, x), end: end(RunStatus::Success, "1") })
        .await
        .unwrap();
    assert_eq!(store.purge_runs(&one, None, Micros::MAX, 9).await.unwrap(), 3);
    assert_eq!(store.counts(&one).await.unwrap(), Counts::default());
    store.close().await.unwrap();
    let conn = rusqlite::Connection::open(dir.path().join("wasmill.db")).unwrap();
    for table in
        ["queue", "queue_args", "run", "run_body", "job_attempt", "cancel", "erasure", "alias"]
    {
        let rows: i64 =
            conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
    assert_eq!(
        conn.query_row("SELECT sum(runs) FROM workspace", [], |row| row.get::<_, i64>(0)).unwrap(),
        0
    );
}
