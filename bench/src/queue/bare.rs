//! The least that it could take: the engine alone, with one table for what waits and one for what is over, the same bytes
//! in the same batches, one transaction each, and nothing of what makes a queue a queue.

use anyhow::{Context as _, Result, ensure};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Bytes of a job beside its arguments: what sixteen small columns take.
const COLUMNS: usize = 80;

const TABLES: &str = "CREATE TABLE waiting (id BIGINT PRIMARY KEY, rest BLOB NOT NULL, args BLOB NOT NULL); \
    CREATE TABLE over (id BIGINT PRIMARY KEY, rest BLOB NOT NULL, args BLOB NOT NULL, result BLOB NOT NULL);";

/// An engine.
pub(super) enum Bare {
    Sqlite(Mutex<Connection>),
    Postgres(Box<tokio_postgres::Client>),
}

impl Bare {
    pub(super) fn sqlite(file: &Path) -> Result<Self> {
        let conn = Connection::open(file)?;
        conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;")?;
        conn.execute_batch(&TABLES.replace("BIGINT", "INTEGER"))?;
        Ok(Bare::Sqlite(Mutex::new(conn)))
    }

    pub(super) async fn postgres(url: &str) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute(&TABLES.replace("BLOB", "BYTEA")).await?;
        Ok(Bare::Postgres(Box::new(client)))
    }

    /// Inserts so many jobs and returns how long that took.
    pub(super) async fn enqueue(&self, jobs: usize, batch: usize, args: usize) -> Result<Duration> {
        let (rest, args) = (vec![1u8; COLUMNS], vec![b'x'; args]);
        let begun = Instant::now();
        match self {
            Bare::Sqlite(conn) => {
                let mut conn = conn.lock().ok().context("nobody panicked")?;
                let first: i64 = conn.query_row("SELECT coalesce(max(id), 0) FROM over", [], |row| row.get(0))?;
                for chunk in (first + 1..=first + jobs as i64).collect::<Vec<_>>().chunks(batch) {
                    let tx = conn.transaction()?;
                    let mut insert = tx.prepare_cached("INSERT INTO waiting VALUES (?1, ?2, ?3)")?;
                    for id in chunk {
                        insert.execute((id, &rest, &args))?;
                    }
                    drop(insert);
                    tx.commit()?;
                }
            }
            Bare::Postgres(client) => {
                let first: i64 = client.query_one("SELECT coalesce(max(id), 0) FROM over", &[]).await?.get(0);
                let insert = client.prepare("INSERT INTO waiting SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[])").await?;
                for chunk in (first + 1..=first + jobs as i64).collect::<Vec<_>>().chunks(batch) {
                    let (rests, all) = (vec![&rest; chunk.len()], vec![&args; chunk.len()]);
                    client.execute(&insert, &[&chunk, &rests, &all]).await?;
                }
            }
        }
        Ok(begun.elapsed())
    }

    /// Moves so many jobs to what is over and returns how long that took.
    pub(super) async fn drain(&self, jobs: usize, batch: usize, result: usize) -> Result<Duration> {
        let result = vec![b'y'; result];
        let begun = Instant::now();
        let mut moved = 0;
        match self {
            Bare::Sqlite(conn) => {
                let mut conn = conn.lock().ok().context("nobody panicked")?;
                while moved < jobs {
                    let tx = conn.transaction()?;
                    let sql = "INSERT INTO over SELECT id, rest, args, ?1 FROM waiting ORDER BY id LIMIT ?2";
                    moved += tx.prepare_cached(sql)?.execute((&result, batch as i64))?;
                    let sql = "DELETE FROM waiting WHERE id IN (SELECT id FROM waiting ORDER BY id LIMIT ?1)";
                    tx.prepare_cached(sql)?.execute([batch as i64])?;
                    tx.commit()?;
                }
            }
            Bare::Postgres(client) => {
                let sql = "WITH gone AS (DELETE FROM waiting WHERE id IN (SELECT id FROM waiting ORDER BY id LIMIT $2) RETURNING *) \
                    INSERT INTO over SELECT id, rest, args, $1 FROM gone";
                let move_on = client.prepare(sql).await?;
                while moved < jobs {
                    moved += client.execute(&move_on, &[&result, &(batch as i64)]).await? as usize;
                }
            }
        }
        ensure!(moved == jobs, "{moved} of {jobs} were moved");
        Ok(begun.elapsed())
    }
}
