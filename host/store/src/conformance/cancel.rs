//! What every back end promises of cancelling.

use super::*;

const NOW: Micros = 1_700_000_000_000_000;

fn by(name: &str, reason: Option<&str>, at: Micros) -> Option<Cancellation> {
    Some(Cancellation { by: name.into(), reason: reason.map(str::to_owned), at })
}

fn ended(job: &Job) -> &RunEnd {
    match &job.state {
        JobState::Finished(end) => end,
        _ => panic!("it must be over"),
    }
}

pub(super) async fn cancelling(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    store
        .enqueue(vec![job(id(1), &one, x), job(id(2), &one, x), job(id(3), &one, x)])
        .await
        .unwrap();
    store.claim(7, NOW, 1, &[]).await.unwrap();
    store.record(RunRecord { job: job(id(4), &one, x), end: end(RunStatus::Success, "1") });
    let all = [id(1), id(2), id(4), id(9), id(2)];
    let outcomes =
        store.cancel(&one, &all, &cancellation("ann", Some("too slow"), NOW + 5)).await.unwrap();
    use CancelOutcome::{AlreadyCompleted, Canceled, NotFound, Running};
    assert_eq!(outcomes, [Running, Canceled, AlreadyCompleted, NotFound, AlreadyCompleted]);
    for other in ["two", "none"] {
        assert_eq!(
            store
                .cancel(&workspace(other), &[id(3)], &cancellation("ann", None, NOW))
                .await
                .unwrap(),
            [NotFound]
        );
    }
    assert!(store.cancel(&one, &[], &cancellation("ann", None, NOW)).await.unwrap().is_empty());

    let waited = store.job(&one, id(2)).await.unwrap().unwrap();
    assert_eq!(
        (waited.attempt, ended(&waited).status, ended(&waited).started),
        (0, RunStatus::Canceled, NOW + 5)
    );
    assert_eq!(waited.canceled, by("ann", Some("too slow"), NOW + 5));
    assert_eq!(waited.job.args, job(id(2), &one, x).args);
    let result: serde_json::Value = serde_json::from_str(ended(&waited).result.get()).unwrap();
    let message = "Job canceled: too slow by ann";
    let error = serde_json::json!({"name": "Canceled", "message": message, "reason": "too slow", "canceler": "ann"});
    assert_eq!(result, serde_json::json!({ "error": error }));
    store.cancel(&one, &[id(3)], &cancellation("bob", None, NOW + 6)).await.unwrap();
    let silent = store.job(&one, id(3)).await.unwrap().unwrap();
    assert!(ended(&silent).result.get().contains("Job canceled: no reason given by bob"));

    assert_eq!(store.canceled(7).await.unwrap(), [Claim { id: id(1), attempt: 1 }]);
    assert!(store.canceled(8).await.unwrap().is_empty());
    // Who said it first stays; what the worker reports counts.
    assert_eq!(
        store.cancel(&one, &[id(1)], &cancellation("bob", None, NOW + 9)).await.unwrap(),
        [Running]
    );
    let done =
        Completion { claim: Claim { id: id(1), attempt: 1 }, end: end(RunStatus::Success, "42") };
    assert_eq!(store.complete(vec![done]).await.unwrap(), [true]);
    let faster = store.job(&one, id(1)).await.unwrap().unwrap();
    assert_eq!((ended(&faster).status, ended(&faster).result.get()), (RunStatus::Success, "42"));
    assert_eq!(faster.canceled, by("ann", Some("too slow"), NOW + 5));
    assert!(store.canceled(7).await.unwrap().is_empty());
    let untouched = store.job(&one, id(4)).await.unwrap().unwrap();
    assert_eq!(
        (untouched.canceled.is_none(), ended(&untouched).status),
        (true, RunStatus::Success)
    );
    let canceled =
        JobFilter { statuses: vec![RunStatus::Canceled], limit: 9, ..JobFilter::default() };
    assert_eq!(ids(&store.list_jobs(&one, &canceled).await.unwrap()), [id(3), id(2)]);
}

pub(super) async fn canceled_ones_never_start_again(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    store.enqueue((1..=3).map(|n| job(id(n), &one, x)).collect()).await.unwrap();
    store.claim(7, NOW, 10, &[]).await.unwrap();
    store.cancel(&one, &[id(1), id(2)], &cancellation("ann", None, NOW + 5)).await.unwrap();
    let claims = [id(1), id(3)].map(|id| Claim { id, attempt: 1 });
    assert_eq!(store.release(7, &claims).await.unwrap(), 1);
    assert_eq!(store.rescue(NOW + 30, false).await.unwrap(), 0);
    for (n, took) in [(1, 5), (2, 30)] {
        let found = store.job(&one, id(n)).await.unwrap().unwrap();
        assert_eq!(
            (found.attempt, ended(&found).status, ended(&found).started),
            (1, RunStatus::Canceled, NOW)
        );
        assert_eq!(ended(&found).duration, Duration::from_micros(took));
    }
    let left = store.claim(8, NOW + 30, 10, &[]).await.unwrap();
    assert_eq!(left.iter().map(|job| job.job.id).collect::<Vec<_>>(), [id(3)]);
    assert_eq!(
        store.counts(&one).await.unwrap(),
        Counts { queued: 0, running: 1, suspended: 0, completed: 2 }
    );
}
