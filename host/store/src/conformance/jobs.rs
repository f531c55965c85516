//! What every back end promises of the queue.

use super::*;

const NOW: Micros = 1_700_000_000_000_000;

pub(super) async fn life_of_a_job(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    let new = job(id(1), &one, x);
    store.enqueue(vec![new.clone()]).await.unwrap();
    let waiting = store.job(&one, id(1)).await.unwrap().unwrap();
    assert_eq!(shown(&waiting.job), shown(&new));
    assert!(matches!(waiting.state, JobState::Waiting));
    assert_eq!((waiting.attempt, waiting.kind, waiting.path), (0, Kind::Typed, path("f/a/x")));
    assert!(store.job(&workspace("two"), id(1)).await.unwrap().is_none());
    assert!(store.job(&workspace("none"), id(1)).await.unwrap().is_none());
    // The right key with other random bits finds nothing.
    let guess = JobId::from_key(id(1).key(), id(1).tail() ^ 1);
    assert!(store.job(&one, guess).await.unwrap().is_none());

    let claimed = store.claim(1, NOW + 5, 10, &[]).await.unwrap();
    assert_eq!(shown(&claimed[0].job), shown(&new));
    assert_eq!((claimed[0].attempt, &claimed[0].path), (1, &path("f/a/x")));
    let running = store.job(&one, id(1)).await.unwrap().unwrap();
    assert!(matches!(running.state, JobState::Running(at) if at == NOW + 5));

    let ended = end(RunStatus::Success, r#"{"hello": "Ann"}"#);
    let completion = Completion { claim: Claim { id: id(1), attempt: 1 }, end: ended.clone() };
    assert_eq!(store.complete(vec![completion]).await.unwrap(), [true]);
    let finished = store.job(&one, id(1)).await.unwrap().unwrap();
    assert_eq!(shown(&finished.job), shown(&new));
    assert_eq!(shown(&finished.state), shown(&JobState::Finished(ended)));
    assert_eq!(finished.attempt, 1);
}

pub(super) async fn enqueue_is_all_or_none(store: &dyn Store) {
    let (one, x, y) = furnish(store).await;
    store.enqueue(vec![]).await.unwrap();
    store.enqueue(vec![job(id(1), &one, x)]).await.unwrap();
    let again = vec![job(id(2), &one, x), job(id(1), &one, x)];
    assert!(matches!(store.enqueue(again).await.unwrap_err(), StoreError::Conflict(_)));
    let twice = vec![job(id(3), &one, x), job(id(3), &one, x)];
    assert!(matches!(store.enqueue(twice).await.unwrap_err(), StoreError::Conflict(_)));
    let foreign = vec![job(id(4), &one, x), job(id(5), &workspace("two"), y)];
    assert!(matches!(store.enqueue(foreign).await.unwrap_err(), StoreError::NotFound(_)));
    let nowhere = vec![job(id(6), &workspace("none"), x)];
    assert!(matches!(store.enqueue(nowhere).await.unwrap_err(), StoreError::NotFound(_)));
    // A name first seen in an enqueue that failed must work in the next one.
    let mut stranger = job(id(2), &one, x);
    stranger.created_by = "stranger".into();
    let failing = vec![stranger.clone(), job(id(1), &one, x)];
    assert!(matches!(store.enqueue(failing).await.unwrap_err(), StoreError::Conflict(_)));
    assert_eq!(store.queue_depth(&one).await.unwrap(), 1);
    store.enqueue(vec![stranger]).await.unwrap();
    assert_eq!(store.queue_depth(&one).await.unwrap(), 2);
    let found = store.job(&one, id(2)).await.unwrap().unwrap();
    assert_eq!(found.job.created_by, "stranger");
    // A finished job's id is taken too.
    store
        .record_durably(RunRecord { job: job(id(7), &one, x), end: end(RunStatus::Success, "1") })
        .await
        .unwrap();
    let taken = store.enqueue(vec![job(id(7), &one, x)]).await.unwrap_err();
    assert!(matches!(taken, StoreError::Conflict(_)));
}

pub(super) async fn order_of_claims(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    let at = |n: u16, run_at: Micros| NewJob { run_at, ..job(id(n), &one, x) };
    store
        .enqueue(vec![at(3, NOW), at(1, NOW), at(4, NOW - 1), at(2, NOW + 10), at(5, NOW)])
        .await
        .unwrap();
    let claimed =
        |jobs: Vec<ClaimedJob>| -> Vec<JobId> { jobs.iter().map(|job| job.job.id).collect() };
    assert!(store.claim(1, NOW - 2, 10, &[]).await.unwrap().is_empty());
    assert!(store.claim(1, NOW, 0, &[]).await.unwrap().is_empty());
    assert_eq!(claimed(store.claim(1, NOW, 2, &[]).await.unwrap()), [id(4), id(1)]);
    assert_eq!(claimed(store.claim(2, NOW, 10, &[]).await.unwrap()), [id(3), id(5)]);
    assert!(store.claim(3, NOW, 10, &[]).await.unwrap().is_empty());
    assert_eq!(claimed(store.claim(3, NOW + 10, 10, &[]).await.unwrap()), [id(2)]);
}

pub(super) async fn fencing(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    let done = |n: u16, attempt: u32, result: &str| Completion {
        claim: Claim { id: id(n), attempt },
        end: end(RunStatus::Success, result),
    };
    store.enqueue(vec![job(id(1), &one, x), job(id(2), &one, x)]).await.unwrap();
    // Not claimed yet.
    assert_eq!(
        store.complete(vec![done(1, 0, "0"), done(1, 1, "0")]).await.unwrap(),
        [false, false]
    );
    store.claim(1, NOW, 10, &[]).await.unwrap();
    store.rescue(NOW, true).await.unwrap();
    // Back in the queue, then with somebody else.
    assert_eq!(store.complete(vec![done(1, 1, "0")]).await.unwrap(), [false]);
    store.claim(2, NOW, 10, &[]).await.unwrap();
    let results = store.complete(vec![
        done(1, 1, "0"),
        done(2, 2, "2"),
        done(1, 2, "1"),
        done(2, 2, "3"),
        done(9, 1, "0"),
    ]);
    assert_eq!(results.await.unwrap(), [false, true, true, false, false]);
    let Some(Job { state: JobState::Finished(end), attempt: 2, .. }) =
        store.job(&one, id(2)).await.unwrap()
    else {
        panic!("job 2 must be finished on its second attempt");
    };
    assert_eq!(end.result.get(), "2");
    assert!(store.complete(vec![]).await.unwrap().is_empty());
}

pub(super) async fn rescue_and_exhaustion(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    store
        .enqueue(vec![job(id(1), &one, x), job(id(2), &one, x), job(id(3), &one, x)])
        .await
        .unwrap();
    for worker in [1, 2, 3] {
        store.claim(worker, NOW, 1, &[]).await.unwrap();
    }
    store.extend_lease(1, NOW + 10).await.unwrap();
    store.extend_lease(2, NOW + 20).await.unwrap();
    // Worker 3 never showed that it lives.
    assert_eq!(store.rescue(NOW + 10, false).await.unwrap(), 1);
    assert_eq!(store.rescue(NOW + 11, false).await.unwrap(), 1);
    store.extend_lease(2, NOW + 30).await.unwrap();
    assert_eq!(store.rescue(NOW + 30, false).await.unwrap(), 0);
    assert_eq!(store.rescue(NOW + 31, false).await.unwrap(), 1);
    assert_eq!(store.rescue(NOW + 31, true).await.unwrap(), 0);

    // The second attempt is the last one of these jobs.
    assert_eq!(store.claim(4, NOW + 40, 10, &[]).await.unwrap().len(), 3);
    assert_eq!(store.rescue(NOW + 90, false).await.unwrap(), 0);
    assert!(store.claim(4, NOW + 99, 10, &[]).await.unwrap().is_empty());
    assert_eq!(store.queue_depth(&one).await.unwrap(), 0);
    let given_up = store.job(&one, id(1)).await.unwrap().unwrap();
    let JobState::Finished(end) = given_up.state else { panic!("it must be over") };
    assert_eq!((end.status, end.started), (RunStatus::Failure, NOW + 40));
    assert_eq!(end.duration, Duration::from_micros(50));
    let result: serde_json::Value = serde_json::from_str(end.result.get()).unwrap();
    assert_eq!(result["error"]["name"], "Internal");
    assert!(result["error"]["message"].as_str().unwrap().contains("2 times"), "{result}");
    assert_eq!(given_up.job.args, job(id(1), &one, x).args);
}

pub(super) async fn releasing(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    let once = NewJob { max_attempts: 0, ..job(id(1), &one, x) };
    store.enqueue(vec![once, job(id(2), &one, x)]).await.unwrap();
    store.claim(1, NOW, 10, &[]).await.unwrap();
    let claim = |n: u16, attempt: u32| Claim { id: id(n), attempt };
    assert_eq!(store.release(2, &[claim(1, 1)]).await.unwrap(), 0);
    assert_eq!(store.release(1, &[claim(1, 2), claim(9, 1)]).await.unwrap(), 0);
    assert_eq!(store.release(1, &[claim(1, 1), claim(1, 1)]).await.unwrap(), 1);
    // The attempt was not counted, and so even this job may start once more.
    let back = store.claim(3, NOW, 10, &[]).await.unwrap();
    assert_eq!((back.len(), back[0].job.id, back[0].attempt), (1, id(1), 1));
    assert_eq!(back[0].job.max_attempts, 1);
}

pub(super) async fn tags_and_priorities(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    let tagged = |n: u16, tag: &str, priority: i16, run_at: Micros| NewJob {
        tag: tag.into(),
        priority,
        run_at,
        ..job(id(n), &one, x)
    };
    let jobs = vec![
        tagged(1, "wasm", 0, NOW),
        tagged(2, "big", 0, NOW - 1),
        tagged(3, "wasm", 9, NOW + 50),
        tagged(4, "big", 9, NOW),
        tagged(5, "wasm", i16::MIN, NOW - 9),
        tagged(6, "wasm", i16::MAX, NOW),
    ];
    store.enqueue(jobs).await.unwrap();
    let claimed = async |now: Micros, limit: u32, tags: &[&str]| -> Vec<JobId> {
        let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
        store.claim(1, now, limit, &tags).await.unwrap().iter().map(|job| job.job.id).collect()
    };
    assert_eq!(store.next_due(&[]).await.unwrap(), Some(NOW - 9));
    assert_eq!(store.next_due(&["big".into()]).await.unwrap(), Some(NOW - 1));
    assert_eq!(store.next_due(&["none".into()]).await.unwrap(), None);
    assert_eq!(claimed(NOW, 10, &["none"]).await, []);
    assert_eq!(claimed(NOW, 1, &["big", "none"]).await, [id(4)]);
    // A job that is due later holds up none of a lower priority.
    assert_eq!(claimed(NOW, 3, &[]).await, [id(6), id(2), id(1)]);
    assert_eq!(claimed(NOW + 50, 10, &["wasm", "big", "wasm"]).await, [id(3), id(5)]);
    let found = store.job(&one, id(5)).await.unwrap().unwrap();
    assert_eq!((found.job.tag.as_str(), found.job.priority), ("wasm", i16::MIN));
}

pub(super) async fn adopting(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    store.extend_lease(7, NOW + 50).await.unwrap();
    let claim = store.adopt(job(id(1), &one, x), 7, NOW).await.unwrap();
    assert_eq!(claim, Claim { id: id(1), attempt: 1 });
    let running = store.job(&one, id(1)).await.unwrap().unwrap();
    assert_eq!(shown(&running.job), shown(&job(id(1), &one, x)));
    assert!(matches!(running.state, JobState::Running(NOW)) && running.attempt == 1);
    assert_eq!(store.counts(&one).await.unwrap(), Counts { running: 1, ..Counts::default() });
    // Nobody else gets it, and its id is taken.
    assert!(store.claim(8, NOW, 10, &[]).await.unwrap().is_empty());
    assert!(matches!(
        store.adopt(job(id(1), &one, x), 7, NOW).await.unwrap_err(),
        StoreError::Conflict(_)
    ));
    assert!(matches!(
        store.adopt(job(id(2), &workspace("none"), x), 7, NOW).await.unwrap_err(),
        StoreError::NotFound(_)
    ));
    assert_eq!(
        store.cancel(&one, &[id(1)], &cancellation("ann", None, NOW)).await.unwrap(),
        [CancelOutcome::Running]
    );
    assert_eq!(store.canceled(7).await.unwrap(), [claim]);
    let done = |claim| vec![Completion { claim, end: end(RunStatus::Success, "1") }];
    assert_eq!(store.complete(done(Claim { attempt: 2, ..claim })).await.unwrap(), [false]);
    assert_eq!(store.complete(done(claim)).await.unwrap(), [true]);

    // Given back by a shutdown, it has not been started; one whose worker went away has.
    let back = store.adopt(job(id(3), &one, x), 7, NOW).await.unwrap();
    assert_eq!(store.release(7, &[back]).await.unwrap(), 1);
    assert_eq!(store.claim(8, NOW, 10, &[]).await.unwrap()[0].attempt, 1);
    store.adopt(job(id(4), &one, x), 9, NOW).await.unwrap();
    assert_eq!(store.rescue(NOW + 1, false).await.unwrap(), 2);
    let again = store.claim(7, NOW, 10, &[]).await.unwrap();
    assert_eq!(
        again.iter().map(|job| (job.job.id, job.attempt)).collect::<Vec<_>>(),
        [(id(3), 2), (id(4), 2)]
    );
    // What was begun goes on although its version is gone.
    store.delete_version(&one, &x, 5).await.unwrap();
    store.adopt(job(id(5), &one, x), 7, NOW).await.unwrap();
}

/// What is queued for a version that is deleted stays, nothing is added, and what ran already is
/// still recorded.
pub(super) async fn deleted_versions(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    store.enqueue(vec![job(id(1), &one, x)]).await.unwrap();
    assert!(store.delete_version(&one, &x, 5).await.unwrap());
    let refused = store.enqueue(vec![job(id(2), &one, x)]).await.unwrap_err();
    assert!(matches!(refused, StoreError::NotFound(_)));
    assert_eq!(store.job(&one, id(1)).await.unwrap().unwrap().path, path("f/a/x"));
    store
        .record_durably(RunRecord { job: job(id(3), &one, x), end: end(RunStatus::Success, "1") })
        .await
        .unwrap();
    store.deploy(&one, &version("f/a/x", "x")).await.unwrap();
    store.enqueue(vec![job(id(2), &one, x)]).await.unwrap();
}
