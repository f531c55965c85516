//! Several processes at work on one database at once.

use super::open;
use crate::fixtures::{value_path, version, workspace};
use crate::postgres::PostgresStore;
use crate::*;
use futures_util::future::join_all;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wasmill_core::outbox::Change;
use wasmill_core::{VersionHash, WorkspaceId};

fn webhook() -> Webhook {
    Webhook {
        url: "https://receiver.example/".into(),
        secret: vec![1],
        changed_by: "ann".into(),
        changed: 1,
    }
}

fn variable(path: &str, changed: Micros) -> Variable {
    let (description, changed_by) = (String::new(), "ann".into());
    Variable {
        path: value_path(path),
        value: vec![1],
        is_secret: false,
        description,
        changed_by,
        changed,
    }
}

/// Does something in a task of its own for each of the numbers, by the stores in turn, and collects
/// what came of it.
async fn at_once<T, W>(
    stores: &[Arc<PostgresStore>],
    count: usize,
    work: impl Fn(Arc<PostgresStore>, usize) -> W,
) -> Vec<T>
where
    T: Send + 'static,
    W: Future<Output = T> + Send + 'static,
{
    let tasks = (0..count).map(|n| tokio::spawn(work(Arc::clone(&stores[n % stores.len()]), n)));
    join_all(tasks).await.into_iter().map(|done| done.unwrap()).collect()
}

/// Two stores in one database that has a workspace with a webhook.
async fn two() -> (super::Database, Vec<Arc<PostgresStore>>, WorkspaceId) {
    let (database, first) = open().await;
    let second = database.open().await;
    let one = workspace("one");
    first.create_workspace(&one, "One", 1).await.unwrap();
    first.set_webhook(&one, &webhook()).await.unwrap();
    (database, vec![Arc::new(first), Arc::new(second)], one)
}

/// What was told of a workspace, the oldest first.
async fn told(store: &PostgresStore, of: &WorkspaceId) -> Vec<Change> {
    let mut records = store.deliveries(of, None, 10_000).await.unwrap();
    records.reverse();
    records.into_iter().map(|record| record.change).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_those_who_make_a_workspace_succeeds() {
    let (database, first) = open().await;
    let stores = [Arc::new(first), Arc::new(database.open().await)];
    let made = at_once(&stores, 8, |store, n| async move {
        store.create_workspace(&workspace("one"), &n.to_string(), 1).await
    })
    .await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1);
    assert!(
        made.iter().all(|made| matches!(made, Ok(()) | Err(StoreError::Conflict(_)))),
        "{made:?}"
    );
}

/// Deployments of one path come one after another: each has the one before it as its parent, and is
/// told in that order.
#[tokio::test(flavor = "multi_thread")]
async fn deployments_of_a_path_have_one_order() {
    let (_database, stores, one) = two().await;
    const COUNT: usize = 24;
    let deployed = at_once(&stores, COUNT, |store, n| {
        let one = one.clone();
        async move { store.deploy(&one, &version("f/a/x", &n.to_string())).await.unwrap() }
    })
    .await;
    assert!(deployed.iter().all(|deployed| deployed.created));
    let path = version("f/a/x", "0").path;
    let mut history = stores[0].history(&one, &path, 100).await.unwrap();
    history.reverse();
    let hashes: Vec<VersionHash> = history.iter().map(|version| version.version.hash).collect();
    assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), COUNT);
    for (n, version) in history.iter().enumerate() {
        assert_eq!(version.parent, n.checked_sub(1).map(|before| hashes[before]));
        let answer = deployed
            .iter()
            .find(|deployed| deployed.version.version.hash == version.version.hash)
            .unwrap();
        assert_eq!(answer.version.parent, version.parent, "what the deployment was answered");
    }
    let changes: Vec<Change> = hashes
        .iter()
        .enumerate()
        .map(|(n, hash)| match n {
            0 => Change::ScriptCreated { path: path.clone(), hash: *hash },
            _ => Change::ScriptUpdated { path: path.clone(), hash: *hash },
        })
        .collect();
    assert_eq!(told(&stores[1], &one).await, changes);
}

/// The same version deployed, deleted and archived from everywhere: nothing fails, and what was
/// told fits what is there.
#[tokio::test(flavor = "multi_thread")]
async fn changes_of_one_version_take_turns() {
    let (_database, stores, one) = two().await;
    let new = version("f/a/x", "1");
    at_once(&stores, 40, |store, n| {
        let (one, new) = (one.clone(), new.clone());
        async move {
            match n % 4 {
                0 | 1 => store.deploy(&one, &new).await.map(drop).unwrap(),
                2 => store.delete_version(&one, &new.hash, 5).await.map(drop).unwrap(),
                _ => store.archive(&one, &new.path, 5).await.map(drop).unwrap(),
            }
        }
    })
    .await;
    // Replayed on one's own, what was told leads to what is there: archived once until deployed
    // again, and so on.
    let (mut there, mut archived) = (false, false);
    let mut changes = told(&stores[0], &one).await.into_iter();
    assert!(matches!(changes.next(), Some(Change::ScriptCreated { .. })));
    there |= true;
    for change in changes {
        match change {
            Change::ScriptUpdated { .. } => {
                assert!(!there || archived, "nothing was updated");
                (there, archived) = (true, false);
            }
            Change::ScriptArchived { .. } => {
                assert!(there && !archived, "nothing was archived");
                archived = true;
            }
            Change::ScriptDeleted { .. } => {
                assert!(there, "nothing was deleted");
                there = false;
            }
            Change::ScriptPathDeleted { .. } => assert!(!there),
            other => panic!("{other:?}"),
        }
        // A deployment that brings only the path back, and an archiving without a version, are told
        // to nobody.
        archived &= there;
    }
    let found = stores[1].version(&one, &new.hash).await.unwrap().unwrap();
    assert_eq!(!found.deleted, there);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_those_who_put_a_value_makes_it() {
    let (_database, stores, one) = two().await;
    at_once(&stores, 16, |store, n| {
        let one = one.clone();
        async move {
            store.put_variable(&one, &variable("f/a/x", n as i64), &PutMode::Upsert).await.unwrap()
        }
    })
    .await;
    let changes = told(&stores[0], &one).await;
    assert_eq!(changes.len(), 16);
    assert_eq!(changes[0], Change::VariableCreated { path: "f/a/x".into() });
    assert!(changes[1..].iter().all(|change| matches!(change, Change::VariableUpdated { .. })));
    let created = at_once(&stores, 8, |store, _| {
        let one = one.clone();
        async move { store.put_variable(&one, &variable("f/a/y", 1), &PutMode::Create).await.is_ok() }
    });
    assert_eq!(created.await.into_iter().filter(|made| *made).count(), 1);
}

/// Two that rename into each other's places wait for each other; PostgreSQL breaks that up, and the
/// verb is done again.
#[tokio::test(flavor = "multi_thread")]
async fn verbs_that_wait_for_each_other_end() {
    let (_database, stores, one) = two().await;
    for round in 0..10 {
        for path in ["f/a/x", "f/a/y"] {
            stores[0].put_variable(&one, &variable(path, round), &PutMode::Upsert).await.unwrap();
        }
        let renamed = at_once(&stores, 2, |store, n| {
            let one = one.clone();
            let (from, to) = if n == 0 { ("f/a/x", "f/a/y") } else { ("f/a/y", "f/a/x") };
            async move {
                store.put_variable(&one, &variable(to, 7), &PutMode::Rename(value_path(from))).await
            }
        })
        .await;
        assert!(
            renamed.iter().all(|done| matches!(done, Err(StoreError::Conflict(_)))),
            "the other one is in the way: {renamed:?}"
        );
    }
}

/// Nobody who reads a workspace's events ever sees one appear before another that was there
/// already.
#[tokio::test(flavor = "multi_thread")]
async fn events_are_numbered_in_the_order_in_which_they_appear() {
    let (_database, stores, one) = two().await;
    let over = Arc::new(AtomicBool::new(false));
    let reader = {
        let (store, one, over) = (Arc::clone(&stores[0]), one.clone(), Arc::clone(&over));
        tokio::spawn(async move {
            let mut seen: Vec<EventId> = Vec::new();
            loop {
                let is_last = over.load(Ordering::Acquire);
                let mut now: Vec<EventId> = store
                    .deliveries(&one, None, 10_000)
                    .await
                    .unwrap()
                    .into_iter()
                    .map(|record| record.event)
                    .collect();
                now.reverse();
                assert_eq!(
                    now[..seen.len()],
                    seen,
                    "an event appeared before those that were there"
                );
                seen = now;
                if is_last {
                    return seen.len();
                }
            }
        })
    };
    at_once(&stores, 200, |store, n| {
        let one = one.clone();
        async move {
            store
                .put_variable(&one, &variable(&format!("f/a/{n}"), 1), &PutMode::Create)
                .await
                .unwrap()
        }
    })
    .await;
    over.store(true, Ordering::Release);
    assert_eq!(reader.await.unwrap(), 200);
}

/// Whatever happens to the webhook meanwhile, an event that waits is due at some time.
#[tokio::test(flavor = "multi_thread")]
async fn no_event_is_forgotten() {
    let (database, stores, one) = two().await;
    for _ in 0..3 {
        at_once(&stores, 60, |store, n| {
            let one = one.clone();
            async move {
                let attempt = Attempt {
                    at: 9,
                    duration: std::time::Duration::ZERO,
                    status: None,
                    error: None,
                    answer: String::new(),
                };
                match n % 6 {
                    0 => store.set_webhook(&one, &webhook()).await.unwrap(),
                    1 if n == 31 => store.clear_webhook(&one, 9).await.map(drop).unwrap(),
                    2 => {
                        let next = if n % 4 == 0 { Next::Delivered } else { Next::Retry(50) };
                        if let Some(due) = store.next_deliveries(1).await.unwrap().pop() {
                            store.note_attempt(due.event, &attempt, next).await.unwrap();
                        }
                    }
                    3 => drop(store.redeliver(&one, 1 + n as i64, 9).await),
                    _ => store
                        .put_variable(&one, &variable("f/a/x", 9), &PutMode::Upsert)
                        .await
                        .unwrap(),
                }
            }
        })
        .await;
        let waiting: i64 =
            database.sql("SELECT count(*) FROM event WHERE state = 0").parse().unwrap();
        let due = stores[0].next_deliveries(9).await.unwrap();
        assert_eq!(due.len(), usize::from(waiting > 0), "{waiting} wait");
    }
}
