//! Servers that go and come back, and connections that are cut.

use super::proxy::{Proxy, Weather};
use super::{Database, open};
use crate::fixtures::{version, workspace};
use crate::postgres::{Options, PostgresStore};
use crate::{Accounts, Scripts, StoreError};
use std::time::{Duration, Instant};
use wasmill_test_servers::{Postgres, PostgresOptions, shared};

fn is_unavailable<T: std::fmt::Debug>(done: &crate::Result<T>) -> bool {
    matches!(done, Err(StoreError::Unavailable(_)))
}

/// A store that reaches its database through a relay.
async fn behind(database: &Database, proxy: &Proxy) -> PostgresStore {
    let url = shared()
        .url(database.name())
        .replace(&format!(":{}/", shared().port()), &format!(":{}/", proxy.port));
    let bound = Duration::from_millis(400);
    let options = Options {
        verb_timeout: bound,
        connect_timeout: bound,
        connections: 4,
        ..Options::from_url(&url).unwrap()
    };
    PostgresStore::open(&options).await.unwrap()
}

/// As often as a test looks whether the service is back.
async fn returns(store: &PostgresStore) {
    let end = Instant::now() + Duration::from_secs(20);
    while store.list_workspaces().await.is_err() {
        assert!(Instant::now() < end, "the store does not come back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_is_missed_at_once_and_found_again() {
    let server = Postgres::start(PostgresOptions { fsync: true, ..PostgresOptions::default() });
    let database = server.create_database();
    let options = Options::from_url(&server.url(&database)).unwrap();
    let store = PostgresStore::open(&options).await.unwrap();
    store.create_workspace(&workspace("one"), "One", 1).await.unwrap();
    for stop in [Postgres::stop_immediately, Postgres::kill] {
        stop(&server);
        for _ in 0..5 {
            let begun = Instant::now();
            assert!(is_unavailable(&store.list_workspaces().await));
            assert!(is_unavailable(&store.deploy(&workspace("one"), &version("f/a/x", "1")).await));
            assert!(begun.elapsed() < Duration::from_secs(3));
        }
        assert!(PostgresStore::open(&options).await.is_err());
        server.restart();
        // The first verb after that, not only a later one.
        assert_eq!(store.list_workspaces().await.unwrap().len(), 1);
    }
    // Connections that were idle while the server was replaced are noticed before they are used.
    server.restart();
    store.create_workspace(&workspace("two"), "Two", 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let database = Database::migrated();
    let proxy = Proxy::to(shared().port()).await;
    let store = behind(&database, &proxy).await;
    returns(&store).await;
    proxy.set(Weather::Still);
    // With a connection, and without one.
    for _ in 0..2 {
        let begun = Instant::now();
        assert!(is_unavailable(&store.list_workspaces().await));
        assert!(begun.elapsed() < Duration::from_secs(4));
    }
    proxy.set(Weather::Fair);
    returns(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_not_acknowledged() {
    let database = Database::migrated();
    let proxy = Proxy::to(shared().port()).await;
    let store = behind(&database, &proxy).await;
    // Once in fair weather, for a statement is prepared before its first use.
    store.create_workspace(&workspace("zero"), "Zero", 1).await.unwrap();
    proxy.set(Weather::Deaf);
    // This one arrives: what is not acknowledged may have happened.
    assert!(is_unavailable(&store.create_workspace(&workspace("one"), "One", 1).await));
    proxy.set(Weather::Cut);
    assert!(is_unavailable(&store.create_workspace(&workspace("two"), "Two", 1).await));
    proxy.set(Weather::Fair);
    returns(&store).await;
    let names: Vec<String> = store
        .list_workspaces()
        .await
        .unwrap()
        .into_iter()
        .map(|found| found.id.to_string())
        .collect();
    assert_eq!(names, ["one", "zero"]);
}

/// A connection that is cut in the midst of a transaction leaves nothing of it, on no side.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_cut_off_is_undone() {
    let database = Database::migrated();
    let proxy = Proxy::to(shared().port()).await;
    let store = behind(&database, &proxy).await;
    let proxy = &proxy;
    let done = store.transaction(|db| async move {
        db.execute("INSERT INTO workspace (name, title, created) VALUES ('one', '', 1)", &[])
            .await?;
        proxy.set(Weather::Cut);
        db.execute("INSERT INTO workspace (name, title, created) VALUES ('two', '', 1)", &[]).await
    });
    assert!(is_unavailable(&done.await));
    proxy.set(Weather::Fair);
    returns(&store).await;
    assert!(store.list_workspaces().await.unwrap().is_empty());
}

/// A caller that goes away in the midst of a transaction leaves no connection behind that holds
/// locks.
#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_verb_is_undone() {
    let (database, store) = open().await;
    let abandoned = store.transaction(|db| async move {
        db.execute("INSERT INTO workspace (name, title, created) VALUES ('one', '', 1)", &[])
            .await?;
        std::future::pending::<()>().await;
        Ok(())
    });
    assert!(tokio::time::timeout(Duration::from_millis(200), abandoned).await.is_err());
    // It would wait for the row of the abandoned one.
    store.create_workspace(&workspace("one"), "One", 1).await.unwrap();
    assert_eq!(database.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"), "0");
}
