//! What only this back end has: several processes on one database, migrations, and a server that
//! comes and goes.

mod errors;
mod migrations;
mod outages;
mod proxy;
mod queue;
mod recovery;
mod sharing;
mod tls;
mod upkeep;

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

    /// An empty one that can't hold every text.
    pub(crate) fn in_latin1() -> Self {
        let name = format!("latin1_{}", std::process::id());
        shared().sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'"));
        Self(name)
    }

    /// One with the schema.
    pub(crate) fn migrated() -> Self {
        static TEMPLATE: OnceLock<String> = OnceLock::new();
        let template = TEMPLATE.get_or_init(|| {
            let name = shared().create_database();
            let options = options(shared(), &name);
            // Not on the test's own runtime, which this call holds up.
            let migrate = async move { PostgresStore::open(&options).await.unwrap().close() };
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            std::thread::spawn(move || runtime.block_on(migrate)).join().unwrap();
            name
        });
        Self(shared().copy_database(template))
    }

    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// Another store in the same database: another process, as far as the database can tell.
    pub(crate) async fn open(&self) -> PostgresStore {
        PostgresStore::open(&self.options()).await.unwrap()
    }

    /// Empties every table and begins to count anew.
    pub(crate) fn clear(&self) {
        self.sql(
            "DO $$ BEGIN EXECUTE (SELECT format('TRUNCATE %s RESTART IDENTITY', string_agg(oid::regclass::text, ', ')) FROM pg_class \
             WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname NOT IN ('schema_migration', 'generation')); END $$",
        );
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
