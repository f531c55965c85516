//! What only this back end has: several processes on one database, migrations, and a server that comes and goes.

use super::{Options, PostgresStore};
use std::sync::OnceLock;
use wasmill_test_servers::{Postgres, shared};

/// A database on the shared server, which goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Database(String);

impl Database {
    /// An empty one.
    pub(crate) fn empty() -> Self {
        Self(shared().create_database())
    }

    /// One with the schema.
    pub(crate) fn migrated() -> Self {
        static TEMPLATE: OnceLock<String> = OnceLock::new();
        let template = TEMPLATE.get_or_init(|| {
            let name = shared().create_database();
            let options = options(shared(), &name);
            // Not on the test's own runtime, which this call holds up.
            let migrate = async move { PostgresStore::open(&options).await.unwrap().close() };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            std::thread::spawn(move || runtime.block_on(migrate)).join().unwrap();
            name
        });
        Self(shared().copy_database(template))
    }

    /// Another store in the same database: another process, as far as the database can tell.
    pub(crate) async fn open(&self) -> PostgresStore {
        PostgresStore::open(&self.options()).await.unwrap()
    }

    pub(crate) fn options(&self) -> Options {
        options(shared(), &self.0)
    }

    /// Runs a statement beside the store.
    pub(crate) fn sql(&self, statement: &str) -> String {
        shared().sql(&self.0, statement)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        shared().drop_database(&self.0);
    }
}

/// A database with the schema, and a store in it.
pub(crate) async fn open() -> (Database, PostgresStore) {
    let database = Database::migrated();
    let store = database.open().await;
    (database, store)
}

fn options(server: &Postgres, database: &str) -> Options {
    Options { connections: 4, ..Options::from_url(&server.url(database)).unwrap() }
}
