//! What the verbs work with: a connection within a transaction, and the loop that does a verb again
//! after a collision.

use super::fault::{Fault, TxResult, corrupt, of_pool};
use super::options::Causes;
use super::shared::Shared;
use crate::{Result, StoreError};
use deadpool_postgres::{ClientWrapper, Object};
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};
use wasmill_core::WorkspaceId;

/// How often a verb is done at most when it collides with others.
pub(super) const TRIES: u32 = 5;

/// How long a verb waits before it is done again, times the number of collisions.
const PAUSE: Duration = Duration::from_millis(5);

/// How much longer than the server this side waits, so that the server is the one to say what took
/// so long.
const GRACE: Duration = Duration::from_secs(1);

/// Values of a statement, in the order of its `$1`, `$2` ...
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection within a transaction. When it is dropped before the end of that, the connection is
/// closed, for nobody knows what it is doing.
pub(super) struct Db {
    /// `None` only while it is being dropped.
    object: Option<Object>,
    /// Set when the transaction is over.
    over: AtomicBool,
    /// Set when a statement failed, after which the server commits nothing, and does not say so.
    failed: AtomicBool,
    /// Set when something may be due in the outbox once this is committed.
    told: AtomicBool,
}

impl Db {
    fn new(object: Object) -> Arc<Self> {
        Arc::new(Self {
            object: Some(object),
            over: AtomicBool::default(),
            failed: AtomicBool::default(),
            told: AtomicBool::default(),
        })
    }

    /// The rows of a query.
    pub(super) async fn rows(&self, sql: &str, values: Values<'_>) -> TxResult<Vec<Row>> {
        let client = self.client()?;
        let statement = client.prepare_cached(sql).await.map_err(|error| self.fail(error))?;
        client.query(&statement, values).await.map_err(|error| self.fail(error))
    }

    /// The rows of a query in a transaction of its own, which `begin` begins; all of it is sent at
    /// once.
    pub(super) async fn burst(
        &self,
        begin: &str,
        sql: &str,
        values: Values<'_>,
    ) -> TxResult<Vec<Row>> {
        let client = self.client()?;
        let statement = client.prepare_cached(sql).await.map_err(|error| self.fail(error))?;
        // After an error the server passes over what follows, and the end undoes everything.
        let (begun, rows, ended) = tokio::join!(
            client.batch_execute(begin),
            client.query(&statement, values),
            client.batch_execute("COMMIT")
        );
        begun.and(rows).and_then(|rows| ended.map(|()| rows)).map_err(|error| self.fail(error))
    }

    /// The first row of a query, if there is one.
    pub(super) async fn row(&self, sql: &str, values: Values<'_>) -> TxResult<Option<Row>> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// The row of a query that always has one.
    pub(super) async fn one(&self, sql: &str, values: Values<'_>) -> TxResult<Row> {
        self.row(sql, values).await?.ok_or_else(|| corrupt("a query", "it has no row"))
    }

    /// Runs a statement and returns how many rows it concerned.
    pub(super) async fn execute(&self, sql: &str, values: Values<'_>) -> TxResult<u64> {
        let client = self.client()?;
        let statement = client.prepare_cached(sql).await.map_err(|error| self.fail(error))?;
        client.execute(&statement, values).await.map_err(|error| self.fail(error))
    }

    /// The row of a workspace, or `NotFound`.
    pub(super) async fn workspace(&self, id: &WorkspaceId) -> TxResult<i64> {
        match self.row("SELECT id FROM workspace WHERE name = $1", &[&id.as_str()]).await? {
            Some(row) => get(&row, 0),
            None => Err(StoreError::NotFound(format!("workspace {id}")).into()),
        }
    }

    /// Something may be due in the outbox.
    pub(super) fn told(&self) {
        self.told.store(true, Ordering::Relaxed);
    }

    /// The connection, for what the other functions don't offer. Errors of it must not be passed
    /// over.
    pub(super) fn client(&self) -> TxResult<&ClientWrapper> {
        let object = self.object.as_deref();
        object.ok_or_else(|| {
            StoreError::Unavailable("the connection to PostgreSQL was given back".into()).into()
        })
    }

    fn fail(&self, error: tokio_postgres::Error) -> Fault {
        self.failed.store(true, Ordering::Relaxed);
        Fault::Sql(error)
    }

    /// Ends the transaction in the way that the work within it did.
    async fn end<T>(&self, done: TxResult<T>) -> TxResult<T> {
        let client = self.client()?;
        let done = match done {
            Ok(_) if self.failed.load(Ordering::Relaxed) => Err(StoreError::Unavailable(
                "a statement failed and was passed over, so nothing was committed".into(),
            )
            .into()),
            done => done,
        };
        match &done {
            Ok(_) => client.batch_execute("COMMIT").await?,
            // Should that fail too, the connection is closed, and the first error is the one to
            // tell.
            Err(_) => match client.batch_execute("ROLLBACK").await {
                Ok(()) => {}
                Err(_) => return done,
            },
        }
        self.over.store(true, Ordering::Relaxed);
        done
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        let is_over = *self.over.get_mut();
        if let Some(object) = self.object.take().filter(|_| !is_over) {
            drop(Object::take(object));
        }
    }
}

impl Shared {
    /// Does a verb of one statement, which is a transaction of its own.
    pub(super) async fn statement<T, F, W>(&self, work: F) -> Result<T>
    where
        F: Fn(Arc<Db>) -> W,
        W: Future<Output = TxResult<T>>,
    {
        self.verb(async |db: Arc<Db>| {
            let done = work(Arc::clone(&db)).await;
            db.over.store(true, Ordering::Relaxed);
            done
        })
        .await
    }

    /// Does a verb of several statements in one transaction.
    pub(super) async fn transaction<T, F, W>(&self, work: F) -> Result<T>
    where
        F: Fn(Arc<Db>) -> W,
        W: Future<Output = TxResult<T>>,
    {
        self.verb(async |db: Arc<Db>| {
            db.client()?.batch_execute("BEGIN").await?;
            let done = work(Arc::clone(&db)).await;
            db.end(done).await
        })
        .await
    }

    /// Does a verb within its time, and again when it collided with others.
    async fn verb<T, F, W>(&self, work: F) -> Result<T>
    where
        F: Fn(Arc<Db>) -> W,
        W: Future<Output = TxResult<T>>,
    {
        let limit = self.verb_timeout + GRACE;
        for tries in 1.. {
            let db = Db::new(self.pool.get().await.map_err(|error| of_pool(&error))?);
            let done = tokio::time::timeout(limit, work(Arc::clone(&db))).await;
            match done {
                Ok(Ok(done)) => {
                    if db.told.load(Ordering::Relaxed) {
                        self.outbox.send_modify(|changes| *changes = changes.wrapping_add(1));
                        // Another node may be the one that tells.
                        self.wire.send(crate::Signal::Outbox);
                    }
                    return Ok(done);
                }
                Ok(Err(fault)) if fault.is_collision() && tries < TRIES => {}
                Ok(Err(fault)) => return Err(fault.into_error()),
                Err(_) => break,
            }
            drop(db);
            tokio::time::sleep(PAUSE * tries).await;
        }
        Err(StoreError::Unavailable(format!("PostgreSQL did not answer within {limit:?}")))
    }
}

/// A column of a row.
pub(super) fn get<'r, T: FromSql<'r>>(row: &'r Row, column: usize) -> TxResult<T> {
    row.try_get(column).map_err(|error| corrupt(name(row, column), Causes(&error)))
}

/// A column of text that is kept as its bytes, if there is any.
pub(super) fn optional_text(row: &Row, column: usize) -> TxResult<Option<String>> {
    let bytes: Option<Vec<u8>> = get(row, column)?;
    bytes.map(String::from_utf8).transpose().map_err(|error| corrupt(name(row, column), error))
}

/// A column of text that is kept as its bytes.
pub(super) fn text(row: &Row, column: usize) -> TxResult<String> {
    String::from_utf8(get(row, column)?).map_err(|error| corrupt(name(row, column), error))
}

/// A column that has the text of something.
pub(super) fn parsed<T: FromStr<Err: Display>>(row: &Row, column: usize) -> TxResult<T> {
    get::<&str>(row, column)?.parse().map_err(|error| corrupt(name(row, column), error))
}

/// A column that has a SHA-256 digest, if it has any.
pub(super) fn optional_digest(row: &Row, column: usize) -> TxResult<Option<[u8; 32]>> {
    let bytes: Option<&[u8]> = get(row, column)?;
    bytes
        .map(TryFrom::try_from)
        .transpose()
        .map_err(|_| corrupt(name(row, column), "it does not have 32 bytes"))
}

/// A column that has a SHA-256 digest.
pub(super) fn digest(row: &Row, column: usize) -> TxResult<[u8; 32]> {
    optional_digest(row, column)?.ok_or_else(|| corrupt(name(row, column), "it is missing"))
}

fn name(row: &Row, column: usize) -> &str {
    row.columns().get(column).map_or("a column", tokio_postgres::Column::name)
}
