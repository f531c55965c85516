//! What every back end promises of how events are delivered: in order, until they are settled, with
//! a log.

use super::outbox::{attempt, next, states, two, variable, webhook};
use super::*;
use wasmill_core::outbox::Change;

/// One at a time, in their order, each until it is settled.
pub(super) async fn order(store: &dyn Store) {
    let (one, two) = two(store).await;
    for (at, path) in [(10, "f/a/a"), (11, "f/a/b"), (12, "f/a/c")] {
        store.put_variable(&one, &variable(path, at), &PutMode::Create).await.unwrap();
    }
    store.put_variable(&two, &variable("f/a/a", 9), &PutMode::Create).await.unwrap();
    let due = store.next_deliveries(10).await.unwrap();
    let (first, elsewhere) = (due[1].event, due[0].event);
    let expected = Delivery {
        event: first,
        workspace: one.clone(),
        change: Change::VariableCreated { path: "f/a/a".into() },
        at: 10,
        attempts: 0,
        due: 10,
        webhook: webhook("https://receiver.example/", 1),
    };
    assert_eq!((due.len(), &due[0].workspace, &due[1]), (2, &two, &expected));
    assert_eq!(store.next_deliveries(1).await.unwrap(), due[..1]);
    assert!(store.next_deliveries(0).await.unwrap().is_empty());

    assert!(store.note_attempt(first, &attempt(20, None), Next::Retry(50)).await.unwrap());
    assert_eq!(next(store).await, [(elsewhere, 9), (first, 50)]);
    assert_eq!(store.next_deliveries(10).await.unwrap()[1].attempts, 1);
    // What happens meanwhile waits behind it, and changes nothing.
    store.put_variable(&one, &variable("f/a/d", 21), &PutMode::Create).await.unwrap();
    assert_eq!(next(store).await[1], (first, 50));
    assert!(store.note_attempt(first, &attempt(51, Some(200)), Next::Delivered).await.unwrap());
    assert_eq!(next(store).await, [(elsewhere, 9), (first + 1, 51)]);
    let given_up = Next::GiveUp { before: Micros::MIN };
    store.note_attempt(first + 1, &attempt(60, Some(410)), given_up).await.unwrap();
    assert_eq!(next(store).await[1], (first + 2, 60));
    // What the receiver takes late counts, although it was given up.
    assert!(store.note_attempt(first + 1, &attempt(61, Some(200)), Next::Delivered).await.unwrap());
    // A late failure does not.
    assert!(store.note_attempt(first, &attempt(62, None), Next::Retry(999)).await.unwrap());
    assert!(store.note_attempt(first, &attempt(62, None), given_up).await.unwrap());
    assert_eq!(next(store).await[1], (first + 2, 61));
    store.note_attempt(first + 2, &attempt(63, Some(204)), Next::Delivered).await.unwrap();
    store.note_attempt(elsewhere, &attempt(64, Some(204)), Next::Delivered).await.unwrap();
    let last = next(store).await;
    assert_eq!((last.len(), last[0].1), (1, 63));
    store.note_attempt(last[0].0, &attempt(70, Some(204)), Next::Delivered).await.unwrap();
    assert!(next(store).await.is_empty());
    assert!(!store.note_attempt(999, &attempt(70, None), Next::Delivered).await.unwrap());
    let delivered = [51, 61, 63, 70].map(DeliveryState::Delivered);
    assert_eq!(states(store, &one).await, delivered);
    // The next one is due when it happens.
    store.put_variable(&one, &variable("f/a/e", 80), &PutMode::Create).await.unwrap();
    assert_eq!(next(store).await[0].1, 80);
}

/// A dead receiver does not keep for ever what happened long ago, and a new address takes what
/// waits at once.
pub(super) async fn giving_up_and_moving(store: &dyn Store) {
    let (one, two) = two(store).await;
    for at in 10..15 {
        store.put_variable(&one, &variable("f/a/a", at), &PutMode::Upsert).await.unwrap();
        store.put_variable(&two, &variable("f/a/a", at), &PutMode::Upsert).await.unwrap();
    }
    let first = next(store).await[0].0;
    store.note_attempt(first, &attempt(100, None), Next::GiveUp { before: 13 }).await.unwrap();
    let gone = DeliveryState::GivenUp(100);
    let waits = DeliveryState::Waiting;
    assert_eq!(states(store, &one).await, [gone, gone, gone, waits(Some(100)), waits(None)]);
    assert_eq!(states(store, &two).await[..2], [waits(Some(10)), waits(None)]);
    let fourth = next(store).await[1].0;
    store.note_attempt(fourth, &attempt(101, None), Next::Retry(5_000)).await.unwrap();
    store.set_webhook(&one, &webhook("https://new.example/", 200)).await.unwrap();
    let moved = store.next_deliveries(10).await.unwrap().pop().unwrap();
    assert_eq!(
        (moved.event, moved.due, moved.webhook.url.as_str()),
        (fourth, 200, "https://new.example/")
    );
    store.clear_webhook(&one, 300).await.unwrap();
    assert_eq!(next(store).await.len(), 1);
    let cleared = DeliveryState::GivenUp(300);
    assert_eq!(states(store, &one).await, [gone, gone, gone, cleared, cleared]);
}

pub(super) async fn tests_and_redeliveries(store: &dyn Store) {
    let (one, two) = two(store).await;
    let none = workspace("none");
    assert!(matches!(store.begin_test(&none, 5).await.unwrap_err(), StoreError::NotFound(_)));
    store.put_variable(&one, &variable("f/a/a", 10), &PutMode::Create).await.unwrap();
    store.put_variable(&one, &variable("f/a/b", 11), &PutMode::Create).await.unwrap();
    let first = next(store).await[0].0;
    store.note_attempt(first, &attempt(12, None), Next::Retry(5_000)).await.unwrap();
    let test = store.begin_test(&one, 20).await.unwrap();
    assert_eq!(
        (&test.change, &test.workspace, test.at, test.attempts),
        (&Change::Test, &one, 20, 0)
    );
    assert_eq!(test.webhook, webhook("https://receiver.example/", 1));
    assert_eq!(next(store).await, [(first, 5_000)]);
    // One that fails leaves everything as it was; one that is taken shows that it is worth trying.
    store
        .note_attempt(test.event, &attempt(21, None), Next::GiveUp { before: Micros::MAX })
        .await
        .unwrap();
    assert_eq!(next(store).await, [(first, 5_000)]);
    let test = store.begin_test(&one, 22).await.unwrap();
    store.note_attempt(test.event, &attempt(23, Some(200)), Next::Delivered).await.unwrap();
    assert_eq!(next(store).await, [(first, 23)]);
    let waits = DeliveryState::Waiting;
    let expected =
        [waits(Some(23)), waits(None), DeliveryState::GivenUp(20), DeliveryState::Delivered(23)];
    assert_eq!(states(store, &one).await, expected);

    // Again, in its place and counted anew; the log goes on.
    store.note_attempt(first, &attempt(30, Some(200)), Next::Delivered).await.unwrap();
    store.note_attempt(first + 1, &attempt(31, Some(500)), Next::Retry(6_000)).await.unwrap();
    assert!(
        matches!(store.redeliver(&two, first, 40).await.unwrap_err(), StoreError::NotFound(what) if what.contains("delivery"))
    );
    assert!(matches!(store.redeliver(&one, 999, 40).await.unwrap_err(), StoreError::NotFound(_)));
    assert!(matches!(
        store.redeliver(&none, first, 40).await.unwrap_err(),
        StoreError::NotFound(_)
    ));
    assert_eq!(next(store).await, [(first + 1, 6_000)]);
    store.redeliver(&one, first, 41).await.unwrap();
    let again = store.next_deliveries(9).await.unwrap();
    assert_eq!((again[0].event, again[0].due, again[0].attempts), (first, 41, 0));
    // The one that was overtaken ends without touching it.
    store.note_attempt(first + 1, &attempt(42, None), Next::Retry(7_000)).await.unwrap();
    assert_eq!(next(store).await, [(first, 41)]);
    store.note_attempt(first, &attempt(43, Some(200)), Next::Delivered).await.unwrap();
    let record = store.deliveries(&one, Some(first + 1), 9).await.unwrap().remove(0);
    assert_eq!((record.event, record.attempts, record.last.len()), (first, 1, 3));
    store.clear_webhook(&one, 50).await.unwrap();
    assert!(
        matches!(store.redeliver(&one, first, 51).await.unwrap_err(), StoreError::NotFound(what) if what.contains("webhook"))
    );
    assert!(matches!(store.begin_test(&one, 52).await.unwrap_err(), StoreError::NotFound(_)));
}

pub(super) async fn the_log(store: &dyn Store) {
    let (one, _) = two(store).await;
    for at in 10..15 {
        store.put_variable(&one, &variable("f/a/a", at), &PutMode::Upsert).await.unwrap();
    }
    let first = next(store).await[0].0;
    for at in 100..113 {
        store
            .note_attempt(first, &attempt(at, (at % 2 == 0).then_some(503)), Next::Retry(at + 1))
            .await
            .unwrap();
    }
    let page = store.deliveries(&one, None, 2).await.unwrap();
    let numbers = |page: &[DeliveryRecord]| {
        page.iter().map(|record| record.event - first).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&page), [4, 3]);
    assert_eq!(numbers(&store.deliveries(&one, Some(page[1].event), 2).await.unwrap()), [2, 1]);
    let last = store.deliveries(&one, Some(first + 1), 2).await.unwrap();
    let log: Vec<Attempt> =
        (103..113).map(|at| attempt(at, (at % 2 == 0).then_some(503))).collect();
    let expected = DeliveryRecord {
        event: first,
        change: Change::VariableCreated { path: "f/a/a".into() },
        at: 10,
        state: DeliveryState::Waiting(Some(113)),
        attempts: 13,
        last: log,
    };
    assert_eq!(last, [expected]);
    assert!(store.deliveries(&one, Some(first), 2).await.unwrap().is_empty());
    assert!(store.deliveries(&one, None, 0).await.unwrap().is_empty());

    for (event, at) in [(first, 200), (first + 1, 201), (first + 2, 202)] {
        store.note_attempt(event, &attempt(at, Some(200)), Next::Delivered).await.unwrap();
    }
    assert_eq!(store.purge_deliveries(200, 10).await.unwrap(), 0);
    assert_eq!(store.purge_deliveries(202, 1).await.unwrap(), 1);
    assert_eq!(store.purge_deliveries(Micros::MAX, 10).await.unwrap(), 2);
    assert_eq!(numbers(&store.deliveries(&one, None, 9).await.unwrap()), [4, 3]);
    assert!(!store.note_attempt(first, &attempt(300, None), Next::Delivered).await.unwrap());
    assert!(matches!(store.redeliver(&one, first, 1).await.unwrap_err(), StoreError::NotFound(_)));
}

/// What a receiver answers is kept as it is.
pub(super) async fn any_answer(store: &dyn Store) {
    let (one, _) = two(store).await;
    let event = store.begin_test(&one, 5).await.unwrap().event;
    let odd = "a\0b \u{10ffff}\r\n".to_owned();
    let noted = Attempt {
        error: Some(odd.clone()),
        answer: odd,
        duration: Duration::MAX,
        ..attempt(6, Some(u16::MAX))
    };
    store.note_attempt(event, &noted, Next::GiveUp { before: Micros::MIN }).await.unwrap();
    let last = store.deliveries(&one, None, 1).await.unwrap().remove(0).last.remove(0);
    assert_eq!((last.error, last.answer, last.status), (noted.error, noted.answer, noted.status));
}
