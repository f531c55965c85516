//! What every back end promises of retries, limits and shares.

use super::*;
use wasmill_core::queue::{Concurrency, RetryPolicy};

const NOW: Micros = 1_700_000_000_000_000;

fn failed(n: u16, attempt: u32, run_at: Micros) -> Retry {
    Retry {
        claim: Claim { id: id(n), attempt },
        end: end(RunStatus::Failure, r#"{"error":{}}"#),
        run_at,
    }
}

fn done(n: u16, attempt: u32) -> Completion {
    Completion { claim: Claim { id: id(n), attempt }, end: end(RunStatus::Success, "1") }
}

async fn claimed(store: &dyn Store, now: Micros, limit: u32) -> Vec<JobId> {
    store.claim(1, now, limit, &[]).await.unwrap().iter().map(|job| job.job.id).collect()
}

pub(super) async fn retrying(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    let retry: RetryPolicy =
        serde_json::from_str(r#"{"constant":{"attempts":2,"seconds":1}}"#).unwrap();
    let new = NewJob { retry: Some(retry), awaited: true, max_attempts: 2, ..job(id(1), &one, x) };
    store.enqueue(vec![new.clone(), job(id(2), &one, x)]).await.unwrap();
    assert_eq!(claimed(store, NOW, 1).await, [id(1)]);
    assert_eq!(
        store.retry(vec![failed(1, 2, NOW), failed(2, 1, NOW), failed(9, 1, NOW)]).await.unwrap(),
        [false; 3]
    );
    assert!(store.attempts(&one, id(1)).await.unwrap().is_empty());
    assert_eq!(
        store.retry(vec![failed(1, 1, NOW + 50), failed(1, 1, NOW)]).await.unwrap(),
        [true, false]
    );
    let waiting = store.job(&one, id(1)).await.unwrap().unwrap();
    assert!(matches!(waiting.state, JobState::Waiting));
    assert_eq!(
        (waiting.attempt, waiting.job.run_at, waiting.job.retry, waiting.job.awaited),
        (1, NOW + 50, Some(retry), true)
    );
    assert_eq!(store.complete(vec![done(1, 1)]).await.unwrap(), [false]);

    assert_eq!(claimed(store, NOW + 49, 9).await, [id(2)]);
    let again = store.claim(1, NOW + 50, 9, &[]).await.unwrap();
    assert_eq!((again.len(), again[0].attempt, again[0].failures), (1, 2, 1));
    // Lost with its worker: that is no failure of the script's.
    assert_eq!(store.rescue(NOW + 60, false).await.unwrap(), 2);
    let again = store.claim(1, NOW + 60, 1, &[]).await.unwrap();
    assert_eq!((again[0].job.id, again[0].attempt, again[0].failures), (id(2), 2, 0));
    let again = store.claim(1, NOW + 60, 1, &[]).await.unwrap();
    assert_eq!((again[0].job.id, again[0].attempt, again[0].failures), (id(1), 3, 1));
    let attempts = store.attempts(&one, id(1)).await.unwrap();
    let told: Vec<_> = attempts
        .iter()
        .map(|attempt| (attempt.attempt, attempt.lost, attempt.end.status))
        .collect();
    assert_eq!(told, [(1, false, RunStatus::Failure), (2, true, RunStatus::Failure)]);
    assert_eq!(shown(&attempts[0].end), shown(&failed(1, 1, 0).end));
    assert_eq!(
        (attempts[1].end.started, attempts[1].end.duration),
        (NOW + 50, Duration::from_micros(10))
    );
    assert!(attempts[1].end.result.get().contains("went away"));
    assert!(store.attempts(&workspace("two"), id(1)).await.unwrap().is_empty());

    // Two were lost now, which is as many as may be; the one that failed does not count.
    assert_eq!(store.rescue(NOW + 70, false).await.unwrap(), 0);
    let over = store.job(&one, id(1)).await.unwrap().unwrap();
    assert!(
        matches!(&over.state, JobState::Finished(end) if end.result.get().contains("2 times")),
        "{over:?}"
    );
    assert_eq!((over.attempt, over.job.retry, over.job.awaited), (3, Some(retry), true));
    assert_eq!(store.attempts(&one, id(1)).await.unwrap().len(), 2);
    assert_eq!(store.erase(&one, &[id(1)]).await.unwrap(), 1);
    let attempts = store.attempts(&one, id(1)).await.unwrap();
    assert!(attempts.iter().all(|attempt| attempt.end.deleted
        && attempt.end.result.get() == "null"
        && attempt.end.log.is_empty()));
}

pub(super) async fn retrying_what_is_cancelled_or_secret(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    store.enqueue(vec![job(id(1), &one, x), job(id(2), &one, x)]).await.unwrap();
    assert_eq!(claimed(store, NOW, 9).await.len(), 2);
    assert_eq!(
        store.cancel(&one, &[id(1)], &cancellation("ann", None, NOW)).await.unwrap(),
        [CancelOutcome::Running]
    );
    assert_eq!(store.retry(vec![failed(1, 1, NOW)]).await.unwrap(), [true]);
    let over = store.job(&one, id(1)).await.unwrap().unwrap();
    assert!(
        matches!(&over.state, JobState::Finished(end) if end.status == RunStatus::Failure),
        "{over:?}"
    );
    assert!(store.attempts(&one, id(1)).await.unwrap().is_empty());

    let secret =
        Retry { end: RunEnd { status: RunStatus::Failure, ..deleted_end() }, ..failed(2, 1, NOW) };
    assert_eq!(store.retry(vec![secret]).await.unwrap(), [true]);
    let attempts = store.attempts(&one, id(2)).await.unwrap();
    assert_eq!((attempts[0].end.result.get(), attempts[0].end.deleted), ("null", true));
    // The arguments are still needed.
    assert_eq!(store.claim(1, NOW, 1, &[]).await.unwrap()[0].job.args, job(id(2), &one, x).args);
}

pub(super) async fn limits(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    let limited = |n: u16, key: i64, limit: u32, priority: i16| NewJob {
        concurrency: Some(Concurrency { key, limit }),
        priority,
        ..job(id(n), &one, x)
    };
    let jobs = vec![
        limited(1, 7, 2, 0),
        limited(2, 7, 2, 0),
        limited(3, 7, 2, 0),
        limited(4, 7, 2, 5),
        limited(5, i64::MIN, 1, 0),
    ];
    store.enqueue(jobs).await.unwrap();
    store.enqueue(vec![limited(6, i64::MIN, 1, 0), job(id(7), &one, x)]).await.unwrap();
    assert_eq!(claimed(store, NOW, 9).await, [id(4), id(1), id(5), id(7)]);
    assert_eq!(claimed(store, NOW, 9).await, []);
    assert_eq!(store.next_due(&[]).await.unwrap(), None);
    assert_eq!(
        store.counts(&one).await.unwrap(),
        Counts { queued: 3, running: 4, ..Counts::default() }
    );
    let held = store.job(&one, id(2)).await.unwrap().unwrap();
    assert_eq!(shown(&held.job), shown(&limited(2, 7, 2, 0)));

    // Each way in which a place becomes free.
    assert_eq!(store.complete(vec![done(4, 1)]).await.unwrap(), [true]);
    assert_eq!(store.next_due(&[]).await.unwrap(), Some(NOW));
    assert_eq!(claimed(store, NOW, 9).await, [id(2)]);
    assert_eq!(store.retry(vec![failed(1, 1, NOW + 50)]).await.unwrap(), [true]);
    assert_eq!(claimed(store, NOW, 9).await, [id(3)]);
    assert_eq!(claimed(store, NOW + 50, 9).await, []);
    assert_eq!(store.release(1, &[Claim { id: id(2), attempt: 1 }]).await.unwrap(), 1);
    assert_eq!(claimed(store, NOW + 50, 1).await, [id(2)]);
    assert_eq!(store.complete(vec![done(2, 1)]).await.unwrap(), [true]);
    // The one that could start is cancelled: the next one can.
    store.enqueue(vec![limited(8, 7, 2, 1), limited(9, 7, 2, 0)]).await.unwrap();
    assert_eq!(
        store.cancel(&one, &[id(8)], &cancellation("ann", None, NOW)).await.unwrap(),
        [CancelOutcome::Canceled]
    );
    assert_eq!(claimed(store, NOW + 50, 1).await, [id(9)]);
    assert_eq!(claimed(store, NOW + 50, 9).await, []);
    store.extend_lease(1, NOW + 60).await.unwrap();
    assert_eq!(store.rescue(NOW + 61, false).await.unwrap(), 4);
    let mut all = claimed(store, NOW + 61, 9).await;
    all.sort();
    assert_eq!(all, [id(3), id(5), id(7), id(9)]);
}

pub(super) async fn limits_keep_the_order(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    let limited = |n: u16| NewJob {
        concurrency: Some(Concurrency { key: 7, limit: 3 }),
        ..job(id(n), &one, x)
    };
    store.enqueue((1..6).map(limited).collect()).await.unwrap();
    assert_eq!(claimed(store, NOW, 9).await, [id(1), id(2), id(3)]);
    // Nobody has met the last one yet. The first comes back before all others, and those that
    // waited longer are next.
    store.enqueue(vec![limited(6)]).await.unwrap();
    assert_eq!(store.release(1, &[Claim { id: id(1), attempt: 1 }]).await.unwrap(), 1);
    assert_eq!(store.complete(vec![done(2, 1), done(3, 1)]).await.unwrap(), [true, true]);
    assert_eq!(claimed(store, NOW, 9).await, [id(1), id(4), id(5)]);
    assert_eq!(store.complete(vec![done(4, 1)]).await.unwrap(), [true]);
    assert_eq!(claimed(store, NOW, 9).await, [id(6)]);
}

pub(super) async fn limits_of_their_own(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    let limited = |n: u16, limit: u32, tag: &str| NewJob {
        concurrency: Some(Concurrency { key: 7, limit }),
        tag: tag.into(),
        ..job(id(n), &one, x)
    };
    store
        .enqueue(vec![
            limited(1, 3, "wasm"),
            limited(2, 1, "wasm"),
            limited(3, 3, "big"),
            limited(4, 3, "wasm"),
        ])
        .await
        .unwrap();
    // The second may run only alone; those behind it need not wait for that.
    assert_eq!(claimed(store, NOW, 9).await, [id(1), id(3), id(4)]);
    assert_eq!(store.complete(vec![done(1, 1), done(3, 1)]).await.unwrap(), [true, true]);
    assert_eq!(claimed(store, NOW, 9).await, []);
    assert_eq!(store.complete(vec![done(4, 1)]).await.unwrap(), [true]);
    store.enqueue(vec![limited(5, 1, "big")]).await.unwrap();
    let big = ["big".to_owned()];
    assert_eq!(store.claim(1, NOW, 9, &big).await.unwrap().len(), 1);
    assert_eq!(claimed(store, NOW, 9).await, []);
    assert_eq!(store.complete(vec![done(5, 1)]).await.unwrap(), [true]);
    assert_eq!(store.claim(1, NOW, 9, &big).await.unwrap().len(), 0);
    assert_eq!(claimed(store, NOW, 9).await, [id(2)]);
}

pub(super) async fn shares(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    let two = workspace("two");
    let mut jobs: Vec<NewJob> = (0..40).map(|n| job(id(n), &one, x)).collect();
    // Priorities count within a workspace only.
    jobs.extend((40..44).map(|n| NewJob { priority: -5, ..job(id(n), &two, x) }));
    store.enqueue(jobs).await.unwrap();
    let of_two = async |limit: u32| {
        let claimed = store.claim(1, NOW, limit, &[]).await.unwrap();
        assert_eq!(claimed.len(), limit as usize);
        claimed.iter().filter(|job| job.job.workspace == two).count()
    };
    assert_eq!(of_two(4).await, 2);
    let settings = WorkspaceSettings { weight: 300, keep_runs: None };
    store.put_workspace_settings(&one, &settings).await.unwrap();
    assert_eq!(of_two(4).await, 1);
    assert_eq!(of_two(4).await, 1);
    // It has no more, and what it left goes to the other; what it did not use is not saved up.
    assert_eq!(of_two(8).await, 0);
    store.put_workspace_settings(&one, &WorkspaceSettings::default()).await.unwrap();
    store.enqueue((44..54).map(|n| job(id(n), &two, x)).collect()).await.unwrap();
    let there = of_two(8).await;
    assert!((4..=6).contains(&there), "{there}");
}

pub(super) async fn retention(store: &dyn Store) {
    let (one, x, y) = furnish(store).await;
    let two = workspace("two");
    let ended_at = |at: Micros| RunEnd {
        started: at,
        duration: Duration::ZERO,
        ..end(RunStatus::Success, "1")
    };
    for (n, of, version, at) in
        [(1, &one, x, 10), (2, &one, y, 20), (3, &one, x, 30), (4, &two, x, 10), (5, &one, x, 99)]
    {
        store
            .record_durably(RunRecord { job: job(id(n), of, version), end: ended_at(NOW + at) })
            .await
            .unwrap();
    }
    store.enqueue(vec![NewJob { parent: Some(id(1)), ..job(id(6), &one, x) }]).await.unwrap();
    let (x_path, none) = (path("f/a/x"), path("f/a/none"));
    assert_eq!(store.purge_runs(&one, None, NOW + 10, 9).await.unwrap(), 0);
    assert_eq!(store.purge_runs(&one, Some(&none), NOW + 90, 9).await.unwrap(), 0);
    assert_eq!(store.purge_runs(&workspace("none"), None, NOW + 90, 9).await.unwrap(), 0);
    assert_eq!(store.purge_runs(&one, None, NOW + 90, 1).await.unwrap(), 1);
    let left = async || {
        ids(&store
            .list_jobs(&one, &JobFilter { ascending: true, limit: 9, ..JobFilter::default() })
            .await
            .unwrap())
    };
    assert_eq!(left().await, [id(2), id(3), id(5), id(6)]);
    assert!(store.job(&one, id(1)).await.unwrap().is_none());
    assert_eq!(store.purge_runs(&one, Some(&x_path), NOW + 90, 9).await.unwrap(), 1);
    assert_eq!(left().await, [id(2), id(5), id(6)]);
    assert_eq!(
        store.counts(&one).await.unwrap(),
        Counts { queued: 1, completed: 2, ..Counts::default() }
    );
    assert!(store.job(&two, id(4)).await.unwrap().is_some());
    // An id that is forgotten may be used again.
    store.enqueue(vec![job(id(1), &one, x)]).await.unwrap();
    // A queued job keeps what it was given; once over and purged, nothing of it is left.
    store.claim(1, NOW, 1, &[]).await.unwrap();
    store.retry(vec![failed(1, 1, NOW)]).await.unwrap();
    store.claim(1, NOW, 1, &[]).await.unwrap();
    store.complete(vec![done(1, 2)]).await.unwrap();
    assert_eq!(store.attempts(&one, id(1)).await.unwrap().len(), 1);
    assert_eq!(store.purge_runs(&one, None, Micros::MAX, 9).await.unwrap(), 3);
    assert_eq!(left().await, [id(6)]);
    assert!(store.attempts(&one, id(1)).await.unwrap().is_empty());
    store.maintain(NOW, Some(Duration::from_secs(86_400))).await.unwrap();
}

pub(super) async fn waiting_for_ends(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    let two = workspace("two");
    store
        .enqueue(vec![job(id(1), &one, x), job(id(2), &one, x), job(id(3), &two, x)])
        .await
        .unwrap();
    let asked = [1, 2, 3].map(|n| (if n == 3 { two.clone() } else { one.clone() }, id(n)));
    assert_eq!(store.ended(&asked).await.unwrap(), []);
    store.cancel(&one, &[id(2)], &cancellation("ann", None, NOW)).await.unwrap();
    assert_eq!(store.ended(&asked).await.unwrap(), [id(2)]);
    assert_eq!(store.ended(&[]).await.unwrap(), []);
    // What a workspace does not have is over for it.
    assert_eq!(store.ended(&[(one.clone(), id(3)), (one, id(9))]).await.unwrap(), [id(3), id(9)]);
}
