//! What only this back end promises: the file, the thread and its limits.

mod copies;
mod erasure;
mod files;
mod plans;
mod queue;
mod records;
mod writer;

use super::{Options, SqliteStore};
use tempfile::TempDir;

pub(crate) fn open() -> (TempDir, SqliteStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path(), Options::default()).unwrap();
    (dir, store)
}
