//! The least that it could take: the engine alone writes the same rows into the same tables, with
//! the same indexes, in batches of the same size, one transaction each, and nothing is asked,
//! checked or told.
//!
//! A store makes the tables and one row of each sort, of which all others are copies under ids of
//! their own.

use super::load;
use anyhow::{Context as _, Result, ensure};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params_from_iter};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use wasmill_store::Store;
use wasmill_store::postgres::{self, PostgresStore};
use wasmill_store::sqlite::{self, SqliteStore};

/// An engine.
pub(super) enum Bare {
    Sqlite(Mutex<Connection>),
    Postgres(Box<tokio_postgres::Client>),
}

/// What a job has when it waits and when it is over, in SQLite. The last has large results only.
const WAITING: [&str; 2] = ["queue", "queue_args"];
const OVER: [&str; 2] = ["run", "run_body"];

/// Leaves one job that is over and one that waits.
async fn furnish(store: &dyn Store) -> Result<()> {
    let furnished = load::furnish(store).await?;
    load::pile_up(store, &furnished, 1).await?;
    load::work_off(store).await?;
    load::pile_up(store, &furnished, 1).await
}

/// The row that all others of a table are copies of. Its first column is the id. `None`: jobs have
/// none there.
fn pattern(conn: &Connection, table: &str) -> Result<Option<Vec<Value>>> {
    let mut statement = conn.prepare(&format!("SELECT * FROM {table} ORDER BY id DESC LIMIT 1"))?;
    let columns = statement.column_count();
    Ok(statement
        .query_row([], |row| (0..columns).map(|column| row.get(column)).collect())
        .optional()?)
}

/// The patterns of several tables.
fn patterns(
    conn: &Connection,
    tables: [&'static str; 2],
) -> Result<Vec<(&'static str, Vec<Value>)>> {
    tables
        .into_iter()
        .filter_map(|table| {
            pattern(conn, table).map(|found| found.map(|pattern| (table, pattern))).transpose()
        })
        .collect()
}

/// Inserts copies of a pattern.
fn copies(
    conn: &Connection,
    table: &str,
    pattern: &mut [Value],
    ids: impl Iterator<Item = i64>,
) -> Result<()> {
    let places = vec!["?"; pattern.len()].join(", ");
    let mut insert = conn.prepare_cached(&format!("INSERT INTO {table} VALUES ({places})"))?;
    for id in ids {
        *pattern.first_mut().context("a table has columns")? = Value::Integer(id);
        insert.execute(params_from_iter(pattern.iter()))?;
    }
    Ok(())
}

impl Bare {
    pub(super) async fn sqlite(folder: &Path) -> Result<Self> {
        let store = SqliteStore::open(folder, sqlite::Options::default())?;
        furnish(&store).await?;
        store.close().await?;
        drop(store);
        let conn = Connection::open(folder.join("wasmill.db"))?;
        conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;")?;
        Ok(Bare::Sqlite(Mutex::new(conn)))
    }

    pub(super) async fn postgres(url: &str) -> Result<Self> {
        let store = PostgresStore::open(&postgres::Options::from_url(url)?).await?;
        furnish(&store).await?;
        drop(store);
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        Ok(Bare::Postgres(Box::new(client)))
    }

    /// Inserts so many jobs and returns how long that took.
    pub(super) async fn enqueue(&self, jobs: usize, batch: usize) -> Result<Duration> {
        match self {
            Bare::Sqlite(conn) => {
                let mut conn = conn.lock().ok().context("nobody panicked")?;
                let mut patterns = patterns(&conn, WAITING)?;
                let first: i64 = conn.query_row(
                    "SELECT max((SELECT max(id) FROM queue), (SELECT max(id) FROM run))",
                    [],
                    |row| row.get(0),
                )?;
                let begun = Instant::now();
                for chunk in (first + 1..=first + jobs as i64).collect::<Vec<_>>().chunks(batch) {
                    let tx = conn.transaction()?;
                    for (table, pattern) in &mut patterns {
                        copies(&tx, table, pattern, chunk.iter().copied())?;
                    }
                    tx.commit()?;
                }
                Ok(begun.elapsed())
            }
            Bare::Postgres(client) => {
                let first: i64 = client.query_one("SELECT max(id) FROM job", &[]).await?.get(0);
                // It is never moved.
                let waits: i64 = client.query_one("SELECT min(id) FROM waiting", &[]).await?.get(0);
                let job: Vec<u8> =
                    client.query_one("SELECT args FROM job WHERE id = $1", &[&waits]).await?.get(0);
                let sql = format!(
                    "WITH new AS (SELECT * FROM unnest($1::bigint[], $2::bytea[]) u (id, args)), jobs AS ({}) {}",
                    copy(client, "job", "new", waits, "args").await?,
                    copy(client, "waiting", "new", waits, "args").await?,
                );
                let insert = client.prepare(&sql).await?;
                let begun = Instant::now();
                for chunk in (first + 1..=first + jobs as i64).collect::<Vec<_>>().chunks(batch) {
                    let args = vec![&job; chunk.len()];
                    let put = client.execute(&insert, &[&chunk, &args]).await?;
                    ensure!(put == chunk.len() as u64, "{put} of {} were put", chunk.len());
                }
                Ok(begun.elapsed())
            }
        }
    }

    /// Moves so many jobs to what is over and returns how long that took.
    pub(super) async fn drain(&self, jobs: usize, batch: usize) -> Result<Duration> {
        match self {
            Bare::Sqlite(conn) => {
                let mut conn = conn.lock().ok().context("nobody panicked")?;
                let mut patterns = patterns(&conn, OVER)?;
                // But for the pattern's, which is the first.
                let ids: Vec<i64> = conn
                    .prepare("SELECT id FROM queue ORDER BY id LIMIT -1 OFFSET 1")?
                    .query_map([], |row| row.get(0))?
                    .collect::<rusqlite::Result<_>>()?;
                ensure!(ids.len() == jobs, "{} of {jobs} wait", ids.len());
                let begun = Instant::now();
                for chunk in ids.chunks(batch) {
                    let tx = conn.transaction()?;
                    let mut delete = tx.prepare_cached("DELETE FROM queue WHERE id = ?1")?;
                    for id in chunk {
                        delete.execute([id])?;
                    }
                    drop(delete);
                    for (table, pattern) in &mut patterns {
                        copies(&tx, table, pattern, chunk.iter().copied())?;
                    }
                    tx.commit()?;
                }
                Ok(begun.elapsed())
            }
            Bare::Postgres(client) => {
                let over: i64 = client.query_one("SELECT min(id) FROM finished", &[]).await?.get(0);
                let result: Vec<u8> = client
                    .query_one("SELECT result FROM finished WHERE id = $1", &[&over])
                    .await?
                    .get(0);
                let sql = format!(
                    "WITH gone AS (DELETE FROM waiting WHERE (workspace, id) IN (SELECT workspace, id FROM waiting ORDER BY workspace, id \
                     OFFSET 1 LIMIT $2) RETURNING id), new AS (SELECT id, $1::bytea AS result FROM gone) {}",
                    copy(client, "finished", "new", over, "result").await?,
                );
                let move_on = client.prepare(&sql).await?;
                let begun = Instant::now();
                let mut moved = 0;
                while moved < jobs {
                    let now = client.execute(&move_on, &[&result, &(batch as i64)]).await? as usize;
                    ensure!(now > 0, "{moved} of {jobs} were moved");
                    moved += now;
                }
                Ok(begun.elapsed())
            }
        }
    }
}

/// A statement that copies a row of a table for each of those in `from`, which have the id and the
/// body.
async fn copy(
    client: &tokio_postgres::Client,
    table: &str,
    from: &str,
    id: i64,
    body: &str,
) -> Result<String> {
    let sql = "SELECT attname::text FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum";
    let columns: Vec<String> =
        client.query(sql, &[&table]).await?.iter().map(|row| row.get(0)).collect();
    let source = |column: &String| {
        if column == "id" || column == body {
            format!("{from}.{column}")
        } else {
            format!("t.{column}")
        }
    };
    let values: Vec<String> = columns.iter().map(source).collect();
    let (columns, values) = (columns.join(", "), values.join(", "));
    Ok(format!(
        "INSERT INTO {table} ({columns}) SELECT {values} FROM {from} CROSS JOIN (SELECT * FROM {table} WHERE id = {id}) t"
    ))
}
