//! The back ends that are compared with memory, and the comparison.

use super::{Step, answer, busy, pool, steps};
use crate::conformance::*;
use crate::postgres::PostgresStore;
use crate::postgres::tests::Database;
use proptest::prelude::*;

/// A store that is compared with the one in memory.
trait Twin: Sized {
    fn store(&self) -> &dyn Store;

    /// After runs were recorded without being waited for.
    async fn recorded(&self) {}

    /// The same store opened anew.
    async fn reopened(self) -> Self;
}

struct InSqlite {
    store: SqliteStore,
    dir: TempDir,
}

impl InSqlite {
    fn open(dir: TempDir) -> Self {
        let options = Options { linger: Duration::from_millis(1), ..Options::default() };
        Self { store: SqliteStore::open(dir.path(), options).unwrap(), dir }
    }
}

impl Twin for InSqlite {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    async fn reopened(self) -> Self {
        drop(self.store);
        Self::open(self.dir)
    }
}

/// Two processes that share a database, and take turns.
struct InPostgres {
    current: PostgresStore,
    other: PostgresStore,
}

impl Twin for InPostgres {
    fn store(&self) -> &dyn Store {
        &self.current
    }

    /// At first they are known to the process that recorded them, and to its lists; to the verbs
    /// that give ids they are not.
    async fn recorded(&self) {
        self.current.flush().await.unwrap();
    }

    async fn reopened(self) -> Self {
        self.other.forget();
        Self { current: self.other, other: self.current }
    }
}

/// Does the same to both and compares the answers, and what there is in the end.
async fn compare<T: Twin>(mut twin: T, steps: &[Step]) {
    let memory = MemoryStore::new();
    let (_, x, y) = furnish(&memory).await;
    furnish(twin.store()).await;
    for (n, step) in steps.iter().enumerate() {
        if let Step::Reopen = step {
            twin = twin.reopened().await;
            memory.forget_shares();
        }
        let expected = answer(&memory, step, [x, y]).await;
        assert_eq!(answer(twin.store(), step, [x, y]).await, expected, "step {n}: {step:?}");
        if let Step::Record(..) = step {
            twin.recorded().await;
        }
    }
    let everything = JobFilter { limit: MAX_LIST, ..JobFilter::default() };
    for of in ["one", "two"].map(workspace) {
        let expected = shown(&memory.list_jobs(&of, &everything).await.unwrap());
        assert_eq!(shown(&twin.store().list_jobs(&of, &everything).await.unwrap()), expected);
        for id in pool() {
            let expected = shown(&memory.attempts(&of, id).await.unwrap());
            assert_eq!(shown(&twin.store().attempts(&of, id).await.unwrap()), expected);
        }
        let expected = memory.deliveries(&of, None, MAX_LIST).await.unwrap();
        assert_eq!(twin.store().deliveries(&of, None, MAX_LIST).await.unwrap(), expected);
    }
}

fn run(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_answers_as_memory_does(steps in steps()) {
        run(compare(InSqlite::open(tempfile::tempdir().unwrap()), &steps));
    }

    #[test]
    fn a_busy_sqlite_answers_as_memory_does(steps in busy::steps()) {
        run(compare(InSqlite::open(tempfile::tempdir().unwrap()), &steps));
    }
}

/// One database for all sequences, which is emptied before each.
#[test]
fn postgres_answers_as_memory_does() {
    let database = Database::migrated();
    proptest!(ProptestConfig { cases: 64, ..ProptestConfig::default() }, |(steps in steps())| {
        run(async {
            database.clear();
            compare(InPostgres { current: database.open().await, other: database.open().await }, &steps).await;
        });
    });
    proptest!(ProptestConfig { cases: 32, ..ProptestConfig::default() }, |(steps in busy::steps())| {
        run(async {
            database.clear();
            compare(InPostgres { current: database.open().await, other: database.open().await }, &steps).await;
        });
    });
}
