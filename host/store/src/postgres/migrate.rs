//! Brings the database to this program's schema: numbered SQL steps, forward only, each one
//! transaction.
//!
//! Several nodes may start at once: one of them applies the steps, the others wait for it. And
//! nodes are upgraded one by one, so the program of the release before goes on working on the
//! schema of the next. Hence the rule for steps: a release only *expands* the schema, by tables,
//! columns with defaults and indexes that a program which does not know them can pass over. What
//! becomes needless by that is *contracted*, dropped or made stricter, by a step of a later
//! release, when no program that needs it can be running any more. Each step says from which step
//! on a program must know the schema to work with it after that step ([`Step::compatible_from`]):
//! expanding steps repeat the number of the step before, contracting ones raise it. A program
//! refuses a database with a step that says a larger number than that of its own last step.

use super::fault::{of_pool, of_sql};
use super::options::Causes;
use crate::{Result, StoreError};
use deadpool_postgres::{Object, Pool};
use tokio_postgres::{Client, Row};
use wasmill_core::Digest;

/// A step; never changed once released.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) sql: &'static str,
    /// The last step that a program must know at least, to work with the database after this one.
    pub(super) compatible_from: i64,
}

/// The steps, in order.
pub(super) const STEPS: &[Step] = &[
    Step { sql: include_str!("migrations/0001_initial.sql"), compatible_from: 1 },
    Step { sql: include_str!("migrations/0002_jobs.sql"), compatible_from: 1 },
];

/// The lock that the node which migrates holds ("wasmill").
const LOCK: i64 = 0x77_6173_6d69_6c6c;

/// The oldest server that is supported.
const OLDEST: i32 = 150_000;

const TABLE: &str = "CREATE TABLE schema_migration (version bigint PRIMARY KEY, sha256 bytea NOT NULL, \
    compatible_from bigint NOT NULL, at timestamptz NOT NULL DEFAULT now())";

/// Applies the steps that the database lacks.
///
/// # Errors
/// `Unavailable` when the database is too new for this program, not wasmill's or on too old a
/// server, or when a step fails; the database is then as before that step.
pub(super) async fn migrate(pool: &Pool) -> Result<()> {
    apply(pool, STEPS).await
}

pub(super) async fn apply(pool: &Pool, steps: &[Step]) -> Result<()> {
    let object = pool.get().await.map_err(|error| of_pool(&error))?;
    // Not for the pool any more: closing it ends the lock, whatever happened, and its settings are
    // its own.
    let mut client = Object::take(object);
    run(&mut client, steps).await
}

async fn run(client: &mut Client, steps: &[Step]) -> Result<()> {
    check_server(client).await?;
    client.batch_execute("SET statement_timeout = 0").await.map_err(failed)?;
    client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await.map_err(failed)?;
    let applied = applied(client).await?;
    check(&applied, steps)?;
    for (index, step) in steps.iter().enumerate().skip(applied.len()) {
        let version = number(index);
        let failed = |error: tokio_postgres::Error| {
            StoreError::Unavailable(format!(
                "migrating the database to version {version}: {}",
                Causes(&error)
            ))
        };
        let transaction = client.transaction().await.map_err(failed)?;
        if index == 0 {
            transaction.batch_execute(TABLE).await.map_err(failed)?;
        }
        transaction.batch_execute(step.sql).await.map_err(failed)?;
        let sql =
            "INSERT INTO schema_migration (version, sha256, compatible_from) VALUES ($1, $2, $3)";
        let digest = Digest::of(step.sql.as_bytes()).0;
        transaction
            .execute(sql, &[&version, &digest.as_slice(), &step.compatible_from])
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        tracing::info!(version, "database schema migrated");
    }
    Ok(())
}

async fn check_server(client: &Client) -> Result<()> {
    let sql =
        "SELECT current_setting('server_version_num')::int, current_setting('server_encoding')";
    let row = client.query_one(sql, &[]).await.map_err(failed)?;
    let (version, encoding): (i32, String) = (column(&row, 0)?, column(&row, 1)?);
    if version < OLDEST {
        return Err(StoreError::Unavailable(format!(
            "the server is PostgreSQL {}; wasmill needs 15 or later",
            version / 10_000
        )));
    }
    if encoding != "UTF8" {
        return Err(StoreError::Unavailable(format!(
            "the database has the encoding {encoding}; make one with ENCODING 'UTF8' TEMPLATE template0"
        )));
    }
    Ok(())
}

/// What a database says of a step.
struct Applied {
    version: i64,
    sha256: Vec<u8>,
    compatible_from: i64,
}

/// The steps that were applied to the database.
async fn applied(client: &Client) -> Result<Vec<Applied>> {
    let foreign = || {
        StoreError::Unavailable(
            "the database holds something that wasmill did not make; give it a database of its own"
                .into(),
        )
    };
    // What belongs to an extension doesn't count.
    let sql = "SELECT to_regclass('public.schema_migration') IS NOT NULL, EXISTS (SELECT FROM pg_class c \
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') \
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'))";
    let row = client.query_one(sql, &[]).await.map_err(failed)?;
    match (column(&row, 0)?, column(&row, 1)?) {
        (false, false) => return Ok(Vec::new()),
        (false, true) => return Err(foreign()),
        (true, _) => {}
    }
    let sql = "SELECT version, sha256, compatible_from FROM schema_migration ORDER BY version";
    let rows = client.query(sql, &[]).await.map_err(|error| match error.code() {
        Some(code) if *code == tokio_postgres::error::SqlState::UNDEFINED_COLUMN => foreign(),
        _ => failed(error),
    })?;
    rows.iter()
        .map(|row| {
            Ok(Applied {
                version: column(row, 0)?,
                sha256: column(row, 1)?,
                compatible_from: column(row, 2)?,
            })
        })
        .collect()
}

/// Refuses a database whose steps are not this program's, or are too new for it.
fn check(applied: &[Applied], steps: &[Step]) -> Result<()> {
    let newest = number(steps.len().saturating_sub(1));
    for (index, found) in applied.iter().enumerate() {
        if found.version != number(index) {
            return Err(StoreError::Unavailable(format!(
                "the database lacks the schema version {}; restore a backup",
                number(index)
            )));
        }
        if found.compatible_from > newest {
            return Err(StoreError::Unavailable(format!(
                "the database has schema version {}, but this program knows versions up to {newest} and cannot work with it: it was written by a newer wasmill; start that one, or restore a backup made before the upgrade",
                found.version
            )));
        }
        if steps.get(index).is_some_and(|step| Digest::of(step.sql.as_bytes()).0 != *found.sha256) {
            return Err(StoreError::Unavailable(format!(
                "schema version {} of the database is not the one of this program (their checksums differ); start the wasmill that made it",
                found.version
            )));
        }
    }
    Ok(())
}

/// The number of a step by its place.
fn number(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX).saturating_add(1)
}

fn column<'r, T: tokio_postgres::types::FromSql<'r>>(row: &'r Row, column: usize) -> Result<T> {
    row.try_get(column).map_err(failed)
}

fn failed(error: tokio_postgres::Error) -> StoreError {
    match of_sql(&error) {
        StoreError::Full(text) => {
            StoreError::Full(format!("reading the database's schema version: {text}"))
        }
        other => StoreError::Unavailable(format!("reading the database's schema version: {other}")),
    }
}
