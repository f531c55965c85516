//! What every back end promises of the records of what ran, and of finding jobs again.

use super::*;

const NOW: Micros = 1_700_000_000_000_000;

pub(super) async fn recording(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    let run = |n: u16| RunRecord {
        job: job(id(n), &one, x),
        end: end(RunStatus::Failure, r#"{"error":{}}"#),
    };
    assert!(store.record(run(1)));
    // Whoever got an answer finds its job at once.
    let found = store.job(&one, id(1)).await.unwrap().unwrap();
    assert_eq!(shown(&found.job), shown(&run(1).job));
    assert_eq!(shown(&found.state), shown(&JobState::Finished(run(1).end)));
    assert_eq!(found.attempt, 1);
    assert!(store.record(run(2)));
    let newest = JobFilter { limit: 1, ..JobFilter::default() };
    assert_eq!(ids(&store.list_jobs(&one, &newest).await.unwrap()), [id(2)]);

    store.record_durably(run(3)).await.unwrap();
    let again = store.record_durably(run(3)).await.unwrap_err();
    assert!(matches!(again, StoreError::Conflict(_)));
    let nowhere = RunRecord { job: job(id(4), &workspace("none"), x), ..run(4) };
    assert!(matches!(
        store.record_durably(nowhere.clone()).await.unwrap_err(),
        StoreError::NotFound(_)
    ));
    assert_eq!(store.dropped_records(), 0);
    // Nobody waits for these, so all that can be done is to count them.
    store.record(run(1));
    store.record(nowhere);
    store.flush().await.unwrap();
    assert_eq!(store.dropped_records(), 2);
    assert_eq!(store.queue_depth(&one).await.unwrap(), 0);
}

pub(super) async fn lists(store: &dyn Store) {
    let (one, x, y) = furnish(store).await;
    let run = |n: u16, version, status| RunRecord {
        job: job(id(n), &one, version),
        end: end(status, "1"),
    };
    store
        .enqueue(vec![job(id(1), &one, x), job(id(5), &one, y), job(id(7), &one, x)])
        .await
        .unwrap();
    store.claim(1, NOW, 1, &[]).await.unwrap();
    for record in [
        run(2, x, RunStatus::Success),
        run(3, y, RunStatus::Failure),
        run(4, x, RunStatus::Canceled),
        run(6, y, RunStatus::Success),
    ] {
        store.record(record);
    }
    let other = job(id(8), &workspace("two"), x);
    store.enqueue(vec![other]).await.unwrap();
    let all = JobFilter { limit: 100, ..JobFilter::default() };
    let list = async |filter: JobFilter| ids(&store.list_jobs(&one, &filter).await.unwrap());
    let numbered = |numbers: &[u16]| -> Vec<JobId> { numbers.iter().map(|n| id(*n)).collect() };
    assert_eq!(list(all.clone()).await, numbered(&[7, 6, 5, 4, 3, 2, 1]));
    assert_eq!(list(JobFilter { limit: 3, ..all.clone() }).await, numbered(&[7, 6, 5]));
    assert_eq!(list(JobFilter { limit: 0, ..all.clone() }).await, numbered(&[]));
    assert_eq!(
        list(JobFilter { limit: 2, before: Some(id(5)), ..all.clone() }).await,
        numbered(&[4, 3])
    );
    assert_eq!(list(JobFilter { queued: Some(true), ..all.clone() }).await, numbered(&[7, 5, 1]));
    assert_eq!(
        list(JobFilter { queued: Some(false), ..all.clone() }).await,
        numbered(&[6, 4, 3, 2])
    );
    assert_eq!(list(JobFilter { success: Some(true), ..all.clone() }).await, numbered(&[6, 2]));
    assert_eq!(list(JobFilter { success: Some(false), ..all.clone() }).await, numbered(&[4, 3]));
    let both = JobFilter { success: Some(true), queued: Some(true), ..all.clone() };
    assert_eq!(list(both).await, numbered(&[]));
    let of = |at: &str| JobFilter { path: Some(path(at)), ..all.clone() };
    assert_eq!(list(of("f/a/y")).await, numbered(&[6, 5, 3]));
    assert_eq!(list(JobFilter { success: Some(false), ..of("f/a/y") }).await, numbered(&[3]));
    assert_eq!(list(JobFilter { queued: Some(true), ..of("f/a/x") }).await, numbered(&[7, 1]));
    assert_eq!(list(of("f/a/none")).await, numbered(&[]));
    assert!(store.list_jobs(&workspace("none"), &all).await.unwrap().is_empty());

    let lines = store.list_jobs(&one, &all).await.unwrap();
    assert!(lines.iter().all(|line| line.job.args.is_empty()));
    assert!(
        matches!(&lines[1].state, JobState::Finished(end) if end.result.get() == "null" && end.log.is_empty())
    );
    assert!(matches!(lines[6].state, JobState::Running(_)));
}

/// Ids that a caller chose: not of this host's form, or with the key of somebody else's job.
pub(super) async fn foreign_ids(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    let v4: JobId = "0e5b7a1c-5a4e-4f2b-9a35-3d1f0b6a7c88".parse().unwrap();
    let nil: JobId = "00000000-0000-0000-0000-000000000000".parse().unwrap();
    let twin = JobId::from_key(id(1).key(), id(1).tail() ^ 1);
    store.enqueue(vec![job(id(1), &one, x), job(v4, &one, x), job(twin, &one, x)]).await.unwrap();
    store.record(RunRecord { job: job(nil, &one, x), end: end(RunStatus::Success, "0") });
    for known in [id(1), v4, twin, nil] {
        assert_eq!(store.job(&one, known).await.unwrap().unwrap().job.id, known);
        assert!(store.job(&workspace("two"), known).await.unwrap().is_none());
        let taken = store.enqueue(vec![job(known, &one, x)]).await.unwrap_err();
        assert!(matches!(taken, StoreError::Conflict(_)), "{known}");
    }
    let all = JobFilter { limit: 10, ..JobFilter::default() };
    let listed = ids(&store.list_jobs(&one, &all).await.unwrap());
    assert_eq!(listed.len(), 4);
    for (n, cursor) in listed.iter().enumerate() {
        let next = JobFilter { before: Some(*cursor), ..all.clone() };
        assert_eq!(ids(&store.list_jobs(&one, &next).await.unwrap()), listed[n + 1..]);
    }
    let unknown = "1e5b7a1c-5a4e-4f2b-9a35-3d1f0b6a7c88".parse().unwrap();
    let next = JobFilter { before: Some(unknown), ..all };
    assert!(store.list_jobs(&one, &next).await.unwrap().is_empty());

    let claimed = store.claim(1, NOW, 10, &[]).await.unwrap();
    assert_eq!(claimed.len(), 3);
    let claims: Vec<Claim> =
        claimed.iter().map(|job| Claim { id: job.job.id, attempt: 1 }).collect();
    assert_eq!(store.release(1, &claims[..1]).await.unwrap(), 1);
    let completions =
        claims.iter().map(|claim| Completion { claim: *claim, end: end(RunStatus::Success, "1") });
    assert_eq!(store.complete(completions.collect()).await.unwrap(), [false, true, true]);
    for claim in &claims[1..] {
        let found = store.job(&one, claim.id).await.unwrap().unwrap();
        assert!(matches!(found.state, JobState::Finished(_)), "{}", claim.id);
        assert_eq!(found.job.id, claim.id);
    }
}

pub(super) async fn depth_and_due(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    assert_eq!(store.next_due(&[]).await.unwrap(), None);
    assert_eq!(store.queue_depth(&one).await.unwrap(), 0);
    let at = |n: u16, run_at: Micros| NewJob { run_at, ..job(id(n), &one, x) };
    store.enqueue(vec![at(1, NOW + 9), at(2, NOW + 3), at(3, NOW + 6)]).await.unwrap();
    assert_eq!(store.next_due(&[]).await.unwrap(), Some(NOW + 3));
    assert_eq!(store.queue_depth(&one).await.unwrap(), 3);
    store.claim(1, NOW + 5, 10, &[]).await.unwrap();
    assert_eq!(store.next_due(&[]).await.unwrap(), Some(NOW + 6));
    assert_eq!(store.queue_depth(&one).await.unwrap(), 3);
    let done = Completion {
        claim: Claim { id: id(2), attempt: 1 },
        end: end(RunStatus::Canceled, "null"),
    };
    store.complete(vec![done]).await.unwrap();
    assert_eq!(store.queue_depth(&one).await.unwrap(), 2);
    assert_eq!(store.queue_depth(&workspace("two")).await.unwrap(), 0);
    assert_eq!(store.queue_depth(&workspace("none")).await.unwrap(), 0);
}

/// A caller's id may claim any time; where its job is in lists goes by when it was created.
pub(super) async fn ids_of_another_time(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    let (future, past) = (JobId::from_parts(9_000_000_000_000, 1, 1), JobId::from_parts(5, 1, 1));
    let made = |of: JobId, created: Micros| NewJob { created, ..job(of, &one, x) };
    store
        .enqueue(vec![made(future, NOW), made(id(50), NOW + 50_000), made(past, NOW + 90_000)])
        .await
        .unwrap();
    let all = JobFilter { limit: 10, ..JobFilter::default() };
    assert_eq!(ids(&store.list_jobs(&one, &all).await.unwrap()), [past, id(50), future]);
    for known in [past, future] {
        assert!(store.job(&one, known).await.unwrap().is_some());
        let again = store.enqueue(vec![made(known, NOW)]).await.unwrap_err();
        assert!(matches!(again, StoreError::Conflict(_)));
    }
    // Taken also when the second one says that it was made at another time than the first.
    let again = store.enqueue(vec![made(id(50), 0)]).await.unwrap_err();
    assert!(matches!(again, StoreError::Conflict(_)));
    let created = Span { after: None, before: Some(NOW + 50_000) };
    assert_eq!(ids(&store.list_jobs(&one, &JobFilter { created, ..all }).await.unwrap()), [future]);
    let claims = store.claim(1, NOW + 1_000_000, 10, &[]).await.unwrap();
    let done = claims.iter().map(|job| Completion {
        claim: Claim { id: job.job.id, attempt: 1 },
        end: end(RunStatus::Success, "1"),
    });
    assert_eq!(store.complete(done.collect()).await.unwrap(), [true, true, true]);
}

pub(super) async fn counting(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    assert_eq!(store.counts(&one).await.unwrap(), Counts::default());
    let at = |n: u16, run_at: Micros| NewJob { run_at, ..job(id(n), &one, x) };
    store.enqueue(vec![at(1, NOW), at(2, NOW), at(3, NOW + 5), at(4, NOW + 9)]).await.unwrap();
    store.claim(1, NOW, 10, &[]).await.unwrap();
    assert!(
        store.record(RunRecord { job: job(id(9), &one, x), end: end(RunStatus::Success, "1") })
    );
    let expected = Counts { queued: 2, running: 2, suspended: 0, completed: 1 };
    assert_eq!(store.counts(&one).await.unwrap(), expected);
    for (at, ahead) in [(NOW, 0), (NOW + 5, 0), (NOW + 6, 1), (NOW + 10, 2)] {
        assert_eq!(store.queue_position(&one, at).await.unwrap(), ahead);
    }
    assert_eq!(store.queue_position(&workspace("two"), NOW + 10).await.unwrap(), 0);
    let done =
        Completion { claim: Claim { id: id(1), attempt: 1 }, end: end(RunStatus::Success, "1") };
    store.complete(vec![done]).await.unwrap();
    store.release(1, &[Claim { id: id(2), attempt: 1 }]).await.unwrap();
    assert_eq!(
        store.counts(&one).await.unwrap(),
        Counts { queued: 3, running: 0, suspended: 0, completed: 2 }
    );
    assert_eq!(store.counts(&workspace("two")).await.unwrap(), Counts::default());
    assert_eq!(store.counts(&workspace("none")).await.unwrap(), Counts::default());
}

fn is_emptied(job: &Job) -> bool {
    let JobState::Finished(end) = &job.state else { return false };
    end.deleted && end.result.get() == "null" && end.log.is_empty() && job.job.args.is_empty()
}

pub(super) async fn deleting(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    store.enqueue(vec![job(id(1), &one, x), job(id(2), &one, x)]).await.unwrap();
    store.claim(1, NOW, 1, &[]).await.unwrap();
    let done =
        Completion { claim: Claim { id: id(1), attempt: 1 }, end: end(RunStatus::Failure, "1") };
    store.complete(vec![done]).await.unwrap();
    store.record(RunRecord { job: job(id(3), &one, x), end: end(RunStatus::Success, "1") });
    assert_eq!(store.erase(&workspace("two"), &[id(1)]).await.unwrap(), 0);
    assert_eq!(store.erase(&workspace("none"), &[id(1)]).await.unwrap(), 0);
    assert_eq!(store.erase(&one, &[id(1), id(2), id(3), id(9), id(1)]).await.unwrap(), 2);
    assert_eq!(store.erase(&one, &[id(1), id(3)]).await.unwrap(), 0);
    for n in [1, 3] {
        let found = store.job(&one, id(n)).await.unwrap().unwrap();
        assert!(is_emptied(&found), "{found:?}");
        assert_eq!(found.attempt, 1);
    }
    let waiting = store.job(&one, id(2)).await.unwrap().unwrap();
    assert!(!waiting.job.args.is_empty() && matches!(waiting.state, JobState::Waiting));
    let listed = store
        .list_jobs(&one, &JobFilter { limit: 9, with_args: true, ..JobFilter::default() })
        .await
        .unwrap();
    assert_eq!(listed.iter().map(is_emptied).collect::<Vec<_>>(), [true, false, true]);
}

pub(super) async fn without_payload(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    assert!(store.record(RunRecord { job: job(id(1), &one, x), end: deleted_end() }));
    store.record_durably(RunRecord { job: job(id(2), &one, x), end: deleted_end() }).await.unwrap();
    store.enqueue(vec![job(id(3), &one, x)]).await.unwrap();
    store.claim(1, NOW, 1, &[]).await.unwrap();
    store
        .complete(vec![Completion { claim: Claim { id: id(3), attempt: 1 }, end: deleted_end() }])
        .await
        .unwrap();
    for n in [1, 2, 3] {
        let found = store.job(&one, id(n)).await.unwrap().unwrap();
        assert!(is_emptied(&found), "{found:?}");
        let JobState::Finished(end) = &found.state else { panic!("it must be over") };
        assert_eq!((end.status, end.started), (RunStatus::Success, deleted_end().started));
    }
    assert_eq!(store.erase(&one, &[id(1), id(2), id(3)]).await.unwrap(), 0);
}

/// Payloads that have a time of their own, however their jobs end.
pub(super) async fn erasing_in_time(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    let erasure = |seconds: Option<u64>| Erasure {
        when_read: seconds.is_none(),
        after: seconds.map(Duration::from_secs),
    };
    let kept_for =
        |n: u16, seconds: u64| NewJob { erasure: erasure(Some(seconds)), ..job(id(n), &one, x) };
    assert_eq!(store.erase_due(Micros::MAX, 9).await.unwrap(), 0);
    let when_read = NewJob { erasure: erasure(None), ..job(id(4), &one, x) };
    store
        .enqueue(vec![kept_for(1, 10), kept_for(2, 10), kept_for(3, 10), when_read.clone()])
        .await
        .unwrap();
    store.claim(1, NOW, 1, &[]).await.unwrap();
    assert_eq!(store.erase_due(Micros::MAX, 9).await.unwrap(), 0, "none is over");
    let ended = end(RunStatus::Success, "1");
    let over = ended.completed();
    store
        .complete(vec![Completion { claim: Claim { id: id(1), attempt: 1 }, end: ended.clone() }])
        .await
        .unwrap();
    store.cancel(&one, &[id(2)], &cancellation("ann", None, NOW + 5_000_000)).await.unwrap();
    store.record_durably(RunRecord { job: kept_for(5, 1), end: ended.clone() }).await.unwrap();
    assert!(store.record(RunRecord { job: kept_for(6, u64::MAX), end: ended.clone() }));
    store.record_durably(RunRecord { job: kept_for(7, 1), end: deleted_end() }).await.unwrap();
    store.flush().await.unwrap();
    let found = store.job(&one, id(4)).await.unwrap().unwrap();
    assert_eq!(found.job.erasure, when_read.erasure);

    let empty = async || {
        let listed = store
            .list_jobs(
                &one,
                &JobFilter { limit: 99, with_args: true, ascending: true, ..JobFilter::default() },
            )
            .await
            .unwrap();
        listed.iter().filter(|job| is_emptied(job)).map(|job| job.job.id).collect::<Vec<_>>()
    };
    assert_eq!(store.erase_due(over + 999_999, 9).await.unwrap(), 0);
    assert_eq!(store.erase_due(over + 1_000_000, 9).await.unwrap(), 1);
    assert_eq!(empty().await, [id(5), id(7)]);
    // The longest overdue first, and no more than asked for.
    assert_eq!(store.erase_due(over + 99_000_000, 1).await.unwrap(), 1);
    assert_eq!(empty().await, [id(1), id(5), id(7)]);
    assert_eq!(store.erase_due(over + 99_000_000, 9).await.unwrap(), 1);
    assert_eq!(store.erase_due(over + 99_000_000, 9).await.unwrap(), 0);
    assert_eq!(empty().await, [id(1), id(2), id(5), id(7)]);
    // Erased by hand, it is not erased again.
    store.claim(1, NOW, 1, &[]).await.unwrap();
    store
        .complete(vec![Completion { claim: Claim { id: id(3), attempt: 1 }, end: ended }])
        .await
        .unwrap();
    assert_eq!(store.erase(&one, &[id(3)]).await.unwrap(), 1);
    assert_eq!(store.erase_due(Micros::MAX - 1, 9).await.unwrap(), 0);
}
