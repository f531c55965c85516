//! Copies of a database that is in use.

use super::open;
use crate::fixtures::*;
use crate::sqlite::{DatabaseFile, FILE, Options, SqliteStore};
use crate::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use wasmill_core::Digest;

#[tokio::test]
async fn a_copy_is_whole_and_can_be_opened() {
    let (dir, store) = open();
    let (one, x, _) = furnish(&store).await;
    store.enqueue(vec![job(id(1), &one, x)]).await.unwrap();
    let source = DatabaseFile::open(dir.path()).unwrap();
    let copied = tempfile::tempdir().unwrap();
    source.copy_to(&copied.path().join(FILE)).unwrap();
    // What comes later is not in it.
    store.enqueue(vec![job(id(2), &one, x)]).await.unwrap();
    let copy = DatabaseFile::open(copied.path()).unwrap();
    copy.check().unwrap();
    assert_eq!(
        (copy.modules().unwrap(), copy.schema()),
        (source.modules().unwrap(), source.schema())
    );
    assert!(!copy.modules().unwrap().is_empty() && copy.bytes().unwrap() > 0);
    let module = *copy.modules().unwrap().first().unwrap();
    assert!(copy.needs(&module).unwrap() && !copy.needs(&Digest::of(b"none")).unwrap());
    assert_eq!(copy.has_sealed().unwrap(), source.has_sealed().unwrap());
    drop(copy);
    // Nothing but the file itself.
    assert_eq!(std::fs::read_dir(copied.path()).unwrap().count(), 1);
    let again = SqliteStore::open(copied.path(), Options::default()).unwrap();
    assert!(
        again.job(&one, id(1)).await.unwrap().is_some()
            && again.job(&one, id(2)).await.unwrap().is_none()
    );
    assert!(source.copy_to(&copied.path().join(FILE)).is_err(), "not over another file");
}

/// The writer goes on, and what was acknowledged before the copy began is in it.
#[tokio::test(flavor = "multi_thread")]
async fn copies_under_load_have_what_was_acknowledged() {
    let (dir, store) = open();
    let (one, x, _) = furnish(&store).await;
    let (store, stop, acknowledged) =
        (Arc::new(store), Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let writing = tokio::spawn({
        let (store, stop, acknowledged, one) =
            (store.clone(), stop.clone(), acknowledged.clone(), one.clone());
        async move {
            for n in 1..=u16::MAX {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                store.enqueue(vec![job(id(n), &one, x)]).await.unwrap();
                acknowledged.store(u32::from(n), Ordering::Relaxed);
            }
        }
    });
    for _ in 0..5 {
        let (source, copied) =
            (DatabaseFile::open(dir.path()).unwrap(), tempfile::tempdir().unwrap());
        while acknowledged.load(Ordering::Relaxed) < 20 {
            tokio::task::yield_now().await;
        }
        let before = acknowledged.swap(0, Ordering::Relaxed);
        let file = copied.path().join(FILE);
        tokio::task::spawn_blocking(move || source.copy_to(&file)).await.unwrap().unwrap();
        let copy = SqliteStore::open(copied.path(), Options::default()).unwrap();
        assert!(copy.queue_depth(&one).await.unwrap() >= u64::from(before));
        assert!(copy.job(&one, id(before as u16)).await.unwrap().is_some());
    }
    stop.store(true, Ordering::Relaxed);
    writing.await.unwrap();
    drop(store);
}

#[test]
fn what_is_no_database_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let said = DatabaseFile::open(dir.path()).unwrap_err().to_string();
    assert!(said.contains("there is no database") && said.contains(FILE), "{said}");
    std::fs::write(dir.path().join(FILE), "x".repeat(5_000)).unwrap();
    assert!(DatabaseFile::open(dir.path()).unwrap_err().to_string().contains(FILE));
    std::fs::write(dir.path().join(FILE), "").unwrap();
    assert!(DatabaseFile::open(dir.path()).unwrap_err().to_string().contains("empty"));
}
