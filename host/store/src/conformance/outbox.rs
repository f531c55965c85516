//! What every back end promises of webhooks and of what is told to them.

use super::*;
use wasmill_core::outbox::Change;

pub(super) fn webhook(url: &str, changed: Micros) -> Webhook {
    Webhook { url: url.into(), secret: vec![1, 0, 255], changed_by: "ann".into(), changed }
}

pub(super) fn attempt(at: Micros, status: Option<u16>) -> Attempt {
    let error = status.is_none().then(|| "connection refused".to_owned());
    Attempt {
        at,
        duration: Duration::from_micros(1_500),
        status,
        error,
        answer: "an answer".into(),
    }
}

pub(super) fn variable(path: &str, changed: Micros) -> Variable {
    Variable {
        path: value_path(path),
        value: vec![1],
        is_secret: false,
        description: String::new(),
        changed_by: "ann".into(),
        changed,
    }
}

fn resource(path: &str, changed: Micros) -> Resource {
    let (value, resource_type) = (vec![1], "any".into());
    Resource {
        path: value_path(path),
        value,
        resource_type,
        description: String::new(),
        changed_by: "ann".into(),
        changed,
    }
}

/// Workspaces `one` and `two`, both with a webhook.
pub(super) async fn two(store: &dyn Store) -> (WorkspaceId, WorkspaceId) {
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
pub(super) async fn next(store: &dyn Store) -> Vec<(EventId, Micros)> {
    store
        .next_deliveries(10)
        .await
        .unwrap()
        .into_iter()
        .map(|delivery| (delivery.event, delivery.due))
        .collect()
}

pub(super) async fn states(store: &dyn Store, workspace: &WorkspaceId) -> Vec<DeliveryState> {
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
    let other =
        Webhook { secret: vec![9], changed_by: "bob".into(), ..webhook("http://b.example/", 3) };
    store.set_webhook(&one, &other).await.unwrap();
    assert_eq!(store.webhook(&one).await.unwrap(), Some(other));
    assert!(told(store, &one).await.is_empty() && next(store).await.is_empty());

    store.put_variable(&one, &variable("f/a/v", 5), &PutMode::Create).await.unwrap();
    assert!(store.clear_webhook(&one, 6).await.unwrap());
    assert!(
        !store.clear_webhook(&one, 7).await.unwrap()
            && !store.clear_webhook(&none, 7).await.unwrap()
    );
    assert_eq!(store.webhook(&one).await.unwrap(), None);
    assert_eq!(store.webhook(&none).await.unwrap(), None);
    assert_eq!(states(store, &one).await, [DeliveryState::GivenUp(6)]);
    store.put_variable(&one, &variable("f/a/w", 8), &PutMode::Create).await.unwrap();
    assert_eq!(told(store, &one).await.len(), 1);
    assert!(store.deliveries(&none, None, 9).await.unwrap().is_empty());
}

pub(super) async fn changes_of_scripts(store: &dyn Store) {
    let (one, two) = two(store).await;
    let (first, second) =
        (version("f/a/x", "1"), NewVersion { created: 20, ..version("f/a/x", "2") });
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
    put("f/a/z", 16, PutMode::Rename(value_path("f/a/y"))).await;
    put("f/a/z", 17, PutMode::Rename(value_path("f/a/z"))).await;
    put("f/a/x", 18, PutMode::Rename(value_path("f/a/z"))).await;
    put("f/a/x", 19, PutMode::Rename(value_path("f/a/none"))).await;
    store.delete_variable(&one, &value_path("f/a/x"), 20).await.unwrap();
    store.delete_variable(&one, &value_path("f/a/x"), 21).await.unwrap_err();
    store.delete_resource(&one, &value_path("f/a/x"), 20).await.unwrap();
    store.delete_resource(&one, &value_path("f/a/x"), 21).await.unwrap_err();
    let told_of = told(store, &one).await;
    let of = |is: fn(&Change) -> bool| {
        told_of.iter().filter(|(change, _)| is(change)).cloned().collect::<Vec<_>>()
    };
    let [x, y, z] = ["f/a/x", "f/a/y", "f/a/z"].map(str::to_owned);
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
        matches!(
            change,
            Change::VariableCreated { .. }
                | Change::VariableUpdated { .. }
                | Change::VariableDeleted { .. }
        )
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
        matches!(
            change,
            Change::ResourceCreated { .. }
                | Change::ResourceUpdated { .. }
                | Change::ResourceDeleted { .. }
        )
    };
    assert_eq!(of(is_resource), resources);
    assert_eq!(told_of.len(), 14);
    assert!(told(store, &two).await.is_empty());
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
    store
        .put_variable(&workspace("three"), &variable("f/a/a", 10), &PutMode::Create)
        .await
        .unwrap();
    assert!(!changes.has_changed().unwrap());
    store.redeliver(&one, event, 12).await.unwrap();
    assert!(changes.has_changed().unwrap());
}
