//! What every back end promises of webhooks and of what is told to them.

use super::*;
use wasmill_core::outbox::Change;

fn webhook(url: &str, changed: Micros) -> Webhook {
    Webhook { url: url.into(), secret: vec![1, 0, 255], changed_by: "ann".into(), changed }
}

fn attempt(at: Micros, status: Option<u16>) -> Attempt {
    let error = status.is_none().then(|| "connection refused".to_owned());
    Attempt { at, duration: Duration::from_micros(1_500), status, error, answer: "an answer".into() }
}

fn variable(path: &str, changed: Micros) -> Variable {
    Variable { path: path.into(), value: vec![1], is_secret: false, description: String::new(), changed_by: "ann".into(), changed }
}

fn resource(path: &str, changed: Micros) -> Resource {
    let (value, resource_type) = (vec![1], "any".into());
    Resource { path: path.into(), value, resource_type, description: String::new(), changed_by: "ann".into(), changed }
}

/// Workspaces `one` and `two`, both with a webhook.
async fn two(store: &dyn Store) -> (WorkspaceId, WorkspaceId) {
    let (one, two) = (workspace("one"), workspace("two"));
    for id in [&one, &two] {
        store.create_workspace(id, "A", 1).await.unwrap();
        store.set_webhook(id, &webhook("https://receiver.example/", 1)).await.unwrap();
    }
    (one, two)
}

/// What was told of a workspace, the oldest first.
async fn told(store: &dyn Store, workspace: &WorkspaceId) -> Vec<(Change, Micros)> {
    let mut records = store.deliveries(workspace, None, 100).await.unwrap();
    records.reverse();
    records.into_iter().map(|record| (record.change, record.at)).collect()
}

/// The events that are due next, with their moments.
async fn next(store: &dyn Store) -> Vec<(EventId, Micros)> {
    store.next_deliveries(10).await.unwrap().into_iter().map(|delivery| (delivery.event, delivery.due)).collect()
}

async fn states(store: &dyn Store, workspace: &WorkspaceId) -> Vec<DeliveryState> {
    let mut records = store.deliveries(workspace, None, 100).await.unwrap();
    records.reverse();
    records.into_iter().map(|record| record.state).collect()
}

pub(super) async fn setting(store: &dyn Store) {
    let (one, none) = (workspace("one"), workspace("none"));
    let missing = store.set_webhook(&none, &webhook("https://a.example/", 1)).await.unwrap_err();
    assert!(matches!(missing, StoreError::NotFound(what) if what == "workspace none"));
    store.create_workspace(&one, "One", 1).await.unwrap();
    assert_eq!(store.webhook(&one).await.unwrap(), None);
    // Nobody is told, and nobody will be.
    store.deploy(&one, &version("f/a/x", "1")).await.unwrap();
    store.set_webhook(&one, &webhook("https://a.example/", 2)).await.unwrap();
    assert_eq!(store.webhook(&one).await.unwrap(), Some(webhook("https://a.example/", 2)));
    let other = Webhook { secret: vec![9], changed_by: "bob".into(), ..webhook("http://b.example/", 3) };
    store.set_webhook(&one, &other).await.unwrap();
    assert_eq!(store.webhook(&one).await.unwrap(), Some(other));
    assert!(told(store, &one).await.is_empty() && next(store).await.is_empty());

    store.put_variable(&one, &variable("f/a/v", 5), &PutMode::Create).await.unwrap();
    assert!(store.clear_webhook(&one, 6).await.unwrap());
    assert!(!store.clear_webhook(&one, 7).await.unwrap() && !store.clear_webhook(&none, 7).await.unwrap());
    assert_eq!(store.webhook(&one).await.unwrap(), None);
    assert_eq!(store.webhook(&none).await.unwrap(), None);
    assert_eq!(states(store, &one).await, [DeliveryState::GivenUp(6)]);
    store.put_variable(&one, &variable("f/a/w", 8), &PutMode::Create).await.unwrap();
    assert_eq!(told(store, &one).await.len(), 1);
    assert!(store.deliveries(&none, None, 9).await.unwrap().is_empty());
}

pub(super) async fn changes_of_scripts(store: &dyn Store) {
    let (one, two) = two(store).await;
    let (first, second) = (version("f/a/x", "1"), NewVersion { created: 20, ..version("f/a/x", "2") });
    let (path, a, b) = (first.path.clone(), first.hash, second.hash);
    for version in [&first, &first, &second, &second] {
        store.deploy(&one, version).await.unwrap();
    }
    // An older one again, archived twice, brought back, deleted twice, brought back.
    store.deploy(&one, &NewVersion { created: 30, ..first.clone() }).await.unwrap();
    assert!(store.archive(&one, &path, 40).await.unwrap());
    assert!(store.archive(&one, &path, 41).await.unwrap());
    store.deploy(&one, &NewVersion { created: 50, ..first.clone() }).await.unwrap();
    assert!(store.delete_version(&one, &a, 60).await.unwrap());
    assert!(!store.delete_version(&one, &a, 61).await.unwrap());
    // What is the newest already, now that the one after it is deleted.
    store.deploy(&one, &NewVersion { created: 65, ..second.clone() }).await.unwrap();
    store.deploy(&one, &NewVersion { created: 70, ..first.clone() }).await.unwrap();
    // Nothing is left to archive when every version is deleted.
    store.delete_version(&one, &a, 80).await.unwrap();
    store.delete_version(&one, &b, 81).await.unwrap();
    store.archive(&one, &path, 90).await.unwrap();
    assert!(!store.archive(&one, &super::path("f/a/none"), 91).await.unwrap());
    store.deploy(&one, &NewVersion { created: 95, ..second.clone() }).await.unwrap();
    // A refused deployment tells nothing.
    let elsewhere = NewVersion { path: super::path("f/a/y"), ..first.clone() };
    store.deploy(&one, &elsewhere).await.unwrap_err();
    let expected = [
        (Change::ScriptCreated { path: path.clone(), hash: a }, 1_000),
        (Change::ScriptUpdated { path: path.clone(), hash: b }, 20),
        (Change::ScriptUpdated { path: path.clone(), hash: a }, 30),
        (Change::ScriptArchived { path: path.clone(), hash: a }, 40),
        (Change::ScriptUpdated { path: path.clone(), hash: a }, 50),
        (Change::ScriptDeleted { path: path.clone(), hash: a }, 60),
        (Change::ScriptUpdated { path: path.clone(), hash: a }, 70),
        (Change::ScriptDeleted { path: path.clone(), hash: a }, 80),
        (Change::ScriptDeleted { path: path.clone(), hash: b }, 81),
        (Change::ScriptPathDeleted { path: path.clone() }, 81),
        (Change::ScriptUpdated { path, hash: b }, 95),
    ];
    assert_eq!(told(store, &one).await, expected);
    assert!(told(store, &two).await.is_empty());
}

pub(super) async fn changes_of_values(store: &dyn Store) {
    let (one, two) = two(store).await;
    let put = async |path: &str, at: Micros, mode: PutMode| {
        let variable = store.put_variable(&one, &variable(path, at), &mode).await.is_ok();
        assert_eq!(store.put_resource(&one, &resource(path, at), &mode).await.is_ok(), variable);
    };
    put("f/a/x", 10, PutMode::Create).await;
    put("f/a/x", 11, PutMode::Create).await;
    put("f/a/none", 12, PutMode::Update).await;
    put("f/a/x", 13, PutMode::Update).await;
    put("f/a/x", 14, PutMode::Upsert).await;
    put("f/a/y", 15, PutMode::Upsert).await;
    put("f/a/z", 16, PutMode::Rename("f/a/y".into())).await;
    put("f/a/z", 17, PutMode::Rename("f/a/z".into())).await;
    put("f/a/x", 18, PutMode::Rename("f/a/z".into())).await;
    put("f/a/x", 19, PutMode::Rename("f/a/none".into())).await;
    store.delete_variable(&one, "f/a/x", 20).await.unwrap();
    store.delete_variable(&one, "f/a/x", 21).await.unwrap_err();
    store.delete_resource(&one, "f/a/x", 20).await.unwrap();
    store.delete_resource(&one, "f/a/x", 21).await.unwrap_err();
    let told_of = told(store, &one).await;
    let of = |is: fn(&Change) -> bool| told_of.iter().filter(|(change, _)| is(change)).cloned().collect::<Vec<_>>();
    let (x, y, z) = || -> (String, String, String) { ("f/a/x".into(), "f/a/y".into(), "f/a/z".into()) }();
    let variables = [
        (Change::VariableCreated { path: x.clone() }, 10),
        (Change::VariableUpdated { old_path: x.clone(), new_path: x.clone() }, 13),
        (Change::VariableUpdated { old_path: x.clone(), new_path: x.clone() }, 14),
        (Change::VariableCreated { path: y.clone() }, 15),
        (Change::VariableUpdated { old_path: y.clone(), new_path: z.clone() }, 16),
        (Change::VariableUpdated { old_path: z.clone(), new_path: z.clone() }, 17),
        (Change::VariableDeleted { path: x.clone() }, 20),
    ];
    let is_variable = |change: &Change| {
        matches!(change, Change::VariableCreated { .. } | Change::VariableUpdated { .. } | Change::VariableDeleted { .. })
    };
    assert_eq!(of(is_variable), variables);
    let resources = [
        (Change::ResourceCreated { path: x.clone() }, 10),
        (Change::ResourceUpdated { old_path: x.clone(), new_path: x.clone() }, 13),
        (Change::ResourceUpdated { old_path: x.clone(), new_path: x.clone() }, 14),
        (Change::ResourceCreated { path: y.clone() }, 15),
        (Change::ResourceUpdated { old_path: y, new_path: z.clone() }, 16),
        (Change::ResourceUpdated { old_path: z.clone(), new_path: z }, 17),
        (Change::ResourceDeleted { path: x }, 20),
    ];
    let is_resource = |change: &Change| {
        matches!(change, Change::ResourceCreated { .. } | Change::ResourceUpdated { .. } | Change::ResourceDeleted { .. })
    };
    assert_eq!(of(is_resource), resources);
    assert_eq!(told_of.len(), 14);
    assert!(told(store, &two).await.is_empty());
}

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

/// A dead receiver does not keep for ever what happened long ago, and a new address takes what waits at once.
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
    assert_eq!((moved.event, moved.due, moved.webhook.url.as_str()), (fourth, 200, "https://new.example/"));
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
    assert_eq!((&test.change, &test.workspace, test.at, test.attempts), (&Change::Test, &one, 20, 0));
    assert_eq!(test.webhook, webhook("https://receiver.example/", 1));
    assert_eq!(next(store).await, [(first, 5_000)]);
    // One that fails leaves everything as it was; one that is taken shows that it is worth trying.
    store.note_attempt(test.event, &attempt(21, None), Next::GiveUp { before: Micros::MAX }).await.unwrap();
    assert_eq!(next(store).await, [(first, 5_000)]);
    let test = store.begin_test(&one, 22).await.unwrap();
    store.note_attempt(test.event, &attempt(23, Some(200)), Next::Delivered).await.unwrap();
    assert_eq!(next(store).await, [(first, 23)]);
    let waits = DeliveryState::Waiting;
    let expected = [waits(Some(23)), waits(None), DeliveryState::GivenUp(20), DeliveryState::Delivered(23)];
    assert_eq!(states(store, &one).await, expected);

    // Again, in its place and counted anew; the log goes on.
    store.note_attempt(first, &attempt(30, Some(200)), Next::Delivered).await.unwrap();
    store.note_attempt(first + 1, &attempt(31, Some(500)), Next::Retry(6_000)).await.unwrap();
    assert!(matches!(store.redeliver(&two, first, 40).await.unwrap_err(), StoreError::NotFound(what) if what.contains("delivery")));
    assert!(matches!(store.redeliver(&one, 999, 40).await.unwrap_err(), StoreError::NotFound(_)));
    assert!(matches!(store.redeliver(&none, first, 40).await.unwrap_err(), StoreError::NotFound(_)));
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
    assert!(matches!(store.redeliver(&one, first, 51).await.unwrap_err(), StoreError::NotFound(what) if what.contains("webhook")));
    assert!(matches!(store.begin_test(&one, 52).await.unwrap_err(), StoreError::NotFound(_)));
}

pub(super) async fn the_log(store: &dyn Store) {
    let (one, _) = two(store).await;
    for at in 10..15 {
        store.put_variable(&one, &variable("f/a/a", at), &PutMode::Upsert).await.unwrap();
    }
    let first = next(store).await[0].0;
    for at in 100..113 {
        store.note_attempt(first, &attempt(at, (at % 2 == 0).then_some(503)), Next::Retry(at + 1)).await.unwrap();
    }
    let page = store.deliveries(&one, None, 2).await.unwrap();
    let numbers = |page: &[DeliveryRecord]| page.iter().map(|record| record.event - first).collect::<Vec<_>>();
    assert_eq!(numbers(&page), [4, 3]);
    assert_eq!(numbers(&store.deliveries(&one, Some(page[1].event), 2).await.unwrap()), [2, 1]);
    let last = store.deliveries(&one, Some(first + 1), 2).await.unwrap();
    let log: Vec<Attempt> = (103..113).map(|at| attempt(at, (at % 2 == 0).then_some(503))).collect();
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

/// Whoever sleeps until something is due hears of what may be due sooner.
pub(super) async fn wakes(store: &dyn Store) {
    let (one, _) = two(store).await;
    let mut changes = store.outbox_changes();
    changes.mark_unchanged();
    store.put_variable(&one, &variable("f/a/a", 10), &PutMode::Create).await.unwrap();
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    let event = next(store).await[0].0;
    store.note_attempt(event, &attempt(11, Some(200)), Next::Delivered).await.unwrap();
    changes.mark_unchanged();
    store.create_workspace(&workspace("three"), "Three", 1).await.unwrap();
    store.put_variable(&workspace("three"), &variable("f/a/a", 10), &PutMode::Create).await.unwrap();
    assert!(!changes.has_changed().unwrap());
    store.redeliver(&one, event, 12).await.unwrap();
    assert!(changes.has_changed().unwrap());
}
