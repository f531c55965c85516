//! The schema: made once, however many want it, and not worked with when it is another program's.

use super::Database;
use crate::postgres::connect;
use crate::postgres::migrate::{STEPS, Step, apply};
use crate::{Accounts, Result};
use futures_util::future::join_all;

async fn steps(database: &Database, steps: &[Step]) -> Result<()> {
    apply(&connect::pool(&database.options()).unwrap(), steps).await
}

fn refusal(done: Result<()>) -> String {
    done.unwrap_err().to_string()
}

const ONE: Step = Step { sql: "CREATE TABLE a (x int)", compatible_from: 1 };
const EXPANDED: Step =
    Step { sql: "ALTER TABLE a ADD COLUMN y int NOT NULL DEFAULT 0", compatible_from: 1 };
const CONTRACTED: Step = Step { sql: "ALTER TABLE a DROP COLUMN x", compatible_from: 2 };

#[tokio::test]
async fn those_who_start_at_once_share_the_work() {
    let database = Database::empty();
    let stores = join_all((0..4).map(|_| database.open())).await;
    for (n, store) in stores.iter().enumerate() {
        let name = format!("w{n}");
        store.create_workspace(&name.parse().unwrap(), &name, 1).await.unwrap();
    }
    assert_eq!(stores[0].list_workspaces().await.unwrap().len(), 4);
    let applied =
        database.sql("SELECT count(*), max(version), max(compatible_from) FROM schema_migration");
    let last = STEPS.len();
    assert_eq!(applied, format!("{last}|{last}|{}", STEPS[last - 1].compatible_from));
}

#[tokio::test]
async fn programs_before_and_after_an_expansion_work_side_by_side() {
    let database = Database::empty();
    steps(&database, &[ONE]).await.unwrap();
    steps(&database, &[ONE]).await.unwrap();
    steps(&database, &[ONE, EXPANDED]).await.unwrap();
    assert_eq!(
        database.sql("SELECT version, compatible_from FROM schema_migration ORDER BY 1"),
        "1|1\n2|1"
    );
    steps(&database, &[ONE]).await.unwrap();
    database.sql("INSERT INTO a (x) VALUES (1)");
    steps(&database, &[ONE, EXPANDED, CONTRACTED]).await.unwrap();
    steps(&database, &[ONE, EXPANDED]).await.unwrap();
    let refused = refusal(steps(&database, &[ONE]).await);
    assert!(refused.contains("schema version 3") && refused.contains("newer wasmill"), "{refused}");
}

#[tokio::test]
async fn a_step_that_is_not_this_programs_is_refused() {
    let database = Database::empty();
    steps(&database, &[ONE]).await.unwrap();
    let other = Step { sql: "CREATE TABLE a (x bigint)", ..ONE };
    let refused = refusal(steps(&database, &[other]).await);
    assert!(refused.contains("schema version 1") && refused.contains("checksums"), "{refused}");
    database.sql("UPDATE schema_migration SET version = 2");
    let refused = refusal(steps(&database, &[ONE]).await);
    assert!(refused.contains("lacks the schema version 1"), "{refused}");
}

#[tokio::test]
async fn a_failing_step_leaves_the_database_as_it_was() {
    let database = Database::empty();
    steps(&database, &[ONE]).await.unwrap();
    let bad = Step { sql: "CREATE TABLE b (x int); CREATE TABLE a (x int)", compatible_from: 1 };
    let refused = refusal(steps(&database, &[ONE, bad]).await);
    assert!(refused.contains("to version 2") && refused.contains("already exists"), "{refused}");
    assert_eq!(
        database.sql("SELECT max(version), to_regclass('b') IS NULL FROM schema_migration"),
        "1|t"
    );
    // The lock is free again.
    steps(&database, &[ONE, EXPANDED]).await.unwrap();
}

#[tokio::test]
async fn the_database_of_something_else_is_refused() {
    for made in [
        "CREATE TABLE something (x int)",
        "CREATE VIEW v AS SELECT 1",
        "CREATE TABLE schema_migration (version text, dirty boolean)",
    ] {
        let database = Database::empty();
        database.sql(made);
        let refused = refusal(steps(&database, STEPS).await);
        assert!(refused.contains("a database of its own"), "{made}: {refused}");
    }
    // What an extension brings is nobody's data.
    let database = Database::empty();
    database.sql("CREATE EXTENSION pg_stat_statements");
    steps(&database, STEPS).await.unwrap();
}

#[tokio::test]
async fn another_encoding_is_refused() {
    let database = Database::in_latin1();
    let refused = refusal(steps(&database, STEPS).await);
    assert!(refused.contains("LATIN1") && refused.contains("UTF8"), "{refused}");
}
