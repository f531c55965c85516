//! What errors of the server become.

use super::open;
use crate::fixtures::workspace;
use crate::postgres::PostgresStore;
use crate::{Accounts, StoreError};
use std::time::{Duration, Instant};

/// Has the server raise an error within a verb.
async fn raised(store: &PostgresStore, code: &str) -> StoreError {
    let sql = &format!("DO $$ BEGIN RAISE EXCEPTION 'told so' USING ERRCODE = '{code}'; END $$");
    store.statement(move |db| async move { db.execute(sql, &[]).await }).await.unwrap_err()
}

#[tokio::test]
async fn errors_have_their_kind() {
    let (_database, store) = open().await;
    for code in ["53100"] {
        assert!(
            matches!(raised(&store, code).await, StoreError::Full(text) if text.contains("told so")),
            "{code}"
        );
    }
    for code in ["53300", "57014", "55P03", "25006", "57P01", "42P01"] {
        assert!(
            matches!(raised(&store, code).await, StoreError::Unavailable(text) if text.contains(code)),
            "{code}"
        );
    }
    for code in ["22021", "23502", "XX001"] {
        assert!(matches!(raised(&store, code).await, StoreError::Corrupt(_)), "{code}");
    }
    store.create_workspace(&workspace("one"), "One", 1).await.unwrap();
}

/// Makes the database refuse the first so many workspaces as if others were in the way.
const OBSTACLE: &str = "CREATE SEQUENCE tries; \
    CREATE FUNCTION obstruct() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
    IF nextval('tries') <= TG_ARGV[0]::int THEN RAISE EXCEPTION 'in the way' USING ERRCODE = TG_ARGV[1]; END IF; RETURN NEW; END $$;";

#[tokio::test]
async fn collisions_are_tried_again_for_a_while() {
    let (database, store) = open().await;
    database.sql(OBSTACLE);
    for (name, refused, code, succeeds) in [
        ("a", 4, "40001", true),
        ("b", 4, "40P01", true),
        ("c", 5, "40001", false),
        ("d", 1, "55P03", false),
    ] {
        database.sql(&format!(
            "ALTER SEQUENCE tries RESTART; DROP TRIGGER IF EXISTS t ON workspace; \
             CREATE TRIGGER t BEFORE INSERT ON workspace FOR EACH ROW EXECUTE FUNCTION obstruct({refused}, '{code}')"
        ));
        let made = store.create_workspace(&workspace(name), "A", 1).await;
        match succeeds {
            true => made.unwrap(),
            false => assert!(matches!(made.unwrap_err(), StoreError::Unavailable(_)), "{name}"),
        }
    }
    assert_eq!(store.list_workspaces().await.unwrap().len(), 2);
}

/// After a failed statement the server answers a commit by rolling back, without an error.
#[tokio::test]
async fn a_failure_that_is_passed_over_is_no_success() {
    let (_database, store) = open().await;
    let done = store.transaction(|db| async move {
        db.execute("INSERT INTO workspace (name, title, created) VALUES ('one', '', 1)", &[])
            .await?;
        let _ = db.execute("SELECT 1 / 0", &[]).await;
        Ok(())
    });
    assert!(matches!(done.await.unwrap_err(), StoreError::Unavailable(_)));
    assert!(store.list_workspaces().await.unwrap().is_empty());
}

#[tokio::test]
async fn nobody_waits_for_a_lock_or_a_connection_for_ever() {
    let (database, _) = open().await;
    let (verb_timeout, wait_timeout) = (Duration::from_millis(600), Duration::from_millis(100));
    let options = crate::postgres::Options {
        connections: 1,
        verb_timeout,
        wait_timeout,
        ..database.options()
    };
    let store = &PostgresStore::open(&options).await.unwrap();
    let other = database.open().await;
    let begun = Instant::now();
    let blocked = other.transaction(move |db| async move {
        db.execute("LOCK TABLE workspace", &[]).await?;
        // The first one has the only connection.
        let (held, kept_out) = tokio::join!(store.list_workspaces(), store.list_users());
        assert!(matches!(held.unwrap_err(), StoreError::Unavailable(text) if text.contains("timeout")));
        assert!(matches!(kept_out.unwrap_err(), StoreError::Unavailable(text) if text.contains("waiting")));
        Ok(())
    });
    blocked.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(store.list_workspaces().await.unwrap().is_empty());
}
