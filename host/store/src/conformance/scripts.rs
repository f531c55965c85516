//! What every back end promises of scripts and their versions.

use super::*;

pub(super) async fn deploying(store: &dyn Store) {
    let one = workspace("one");
    let first = version("f/a/x", "1");
    let missing = store.deploy(&one, &first).await.unwrap_err();
    assert!(matches!(missing, StoreError::NotFound(what) if what == "workspace one"));
    store.create_workspace(&one, "One", 1).await.unwrap();
    let deployed = store.deploy(&one, &first).await.unwrap();
    let stored = Version { version: first.clone(), deleted: false, archived: false, parent: None };
    assert_eq!(deployed, Deployed { version: stored.clone(), created: true });
    assert_eq!(store.newest(&one, &first.path).await.unwrap(), Some(stored.clone()));
    assert_eq!(store.version(&one, &first.hash).await.unwrap(), Some(stored));

    let second = NewVersion { schema: None, created: 2_000, ..version("f/a/x", "2") };
    let deployed = store.deploy(&one, &second).await.unwrap();
    assert!(deployed.created);
    assert_eq!(deployed.version.parent, Some(first.hash));
    assert_eq!(store.newest(&one, &first.path).await.unwrap().unwrap().version, second);
    assert_eq!(store.version(&one, &first.hash).await.unwrap().unwrap().version, first);
    // One hash, one path: a manifest names its own.
    let elsewhere = NewVersion { path: path("f/a/y"), ..second };
    let refused = store.deploy(&one, &elsewhere).await.unwrap_err();
    assert!(matches!(refused, StoreError::Conflict(_)), "{refused}");
    assert!(store.newest(&one, &path("f/a/y")).await.unwrap().is_none());
}

pub(super) async fn redeploying(store: &dyn Store) {
    let one = workspace("one");
    store.create_workspace(&one, "One", 1).await.unwrap();
    let (first, second) = (version("f/a/x", "1"), version("f/a/x", "2"));
    store.deploy(&one, &first).await.unwrap();
    store.deploy(&one, &second).await.unwrap();
    let later = NewVersion { created: 9_000, created_by: "bob".into(), ..second.clone() };
    let same = store.deploy(&one, &later).await.unwrap();
    assert_eq!((same.created, &same.version.version), (false, &second));
    assert_eq!(same.version.parent, Some(first.hash));

    let back = store.deploy(&one, &NewVersion { created: 9_000, ..first.clone() }).await.unwrap();
    assert_eq!((back.created, &back.version.version), (false, &first));
    assert_eq!(back.version.parent, Some(second.hash));
    assert_eq!(store.newest(&one, &first.path).await.unwrap().unwrap().version, first);
    let history = store.history(&one, &first.path, 10).await.unwrap();
    let hashes: Vec<_> = history.iter().map(|version| version.version.hash).collect();
    assert_eq!(hashes, [first.hash, second.hash]);
    assert_eq!(history[1].parent, None);
    assert_eq!(store.history(&one, &first.path, 1).await.unwrap().len(), 1);
    assert!(store.history(&one, &path("f/a/none"), 10).await.unwrap().is_empty());
}

pub(super) async fn archiving(store: &dyn Store) {
    let one = workspace("one");
    store.create_workspace(&one, "One", 1).await.unwrap();
    let first = version("f/a/x", "1");
    assert!(!store.archive(&one, &first.path, 5).await.unwrap());
    store.deploy(&one, &first).await.unwrap();
    assert!(store.archive(&one, &first.path, 5).await.unwrap());
    assert!(store.newest(&one, &first.path).await.unwrap().is_none());
    assert!(store.version(&one, &first.hash).await.unwrap().unwrap().archived);
    assert!(store.list_scripts(&one, None, 10).await.unwrap().is_empty());
    assert_eq!(store.history(&one, &first.path, 10).await.unwrap().len(), 1);
    let back = store.deploy(&one, &first).await.unwrap();
    assert!(!back.created && !back.version.archived);
    assert!(store.newest(&one, &first.path).await.unwrap().is_some());
}

pub(super) async fn listing(store: &dyn Store) {
    let one = workspace("one");
    store.create_workspace(&one, "One", 1).await.unwrap();
    for at in ["f/a/c", "f/a/b", "f/A/z", "u/me/x", "f/a/b-"] {
        store.deploy(&one, &version(at, "old")).await.unwrap();
        store.deploy(&one, &version(at, "new")).await.unwrap();
    }
    let names = |versions: Vec<Version>| -> Vec<String> {
        versions.iter().map(|version| version.version.path.to_string()).collect()
    };
    let all = store.list_scripts(&one, None, 10).await.unwrap();
    let new = Runnable::Module { module: module_of("new"), kind: Kind::Typed };
    assert!(all.iter().all(|version| version.version.runnable == new));
    assert_eq!(names(all), ["f/A/z", "f/a/b", "f/a/b-", "f/a/c", "u/me/x"]);
    let page = store.list_scripts(&one, Some(&path("f/a/b")), 2).await.unwrap();
    assert_eq!(names(page), ["f/a/b-", "f/a/c"]);
    assert!(store.list_scripts(&one, None, 0).await.unwrap().is_empty());
}

/// Nothing crosses the border of a workspace.
pub(super) async fn borders(store: &dyn Store) {
    let (one, x, y) = furnish(store).await;
    let (two, none) = (workspace("two"), workspace("none"));
    assert!(store.version(&two, &x).await.unwrap().is_some());
    assert!(store.version(&two, &y).await.unwrap().is_none());
    assert!(store.newest(&two, &path("f/a/y")).await.unwrap().is_none());
    assert_eq!(store.list_scripts(&two, None, 10).await.unwrap().len(), 1);
    store.archive(&two, &path("f/a/x"), 5).await.unwrap();
    assert!(store.newest(&one, &path("f/a/x")).await.unwrap().is_some());
    assert!(!store.archive(&none, &path("f/a/x"), 5).await.unwrap());
    assert!(store.newest(&none, &path("f/a/x")).await.unwrap().is_none());
    assert!(store.version(&none, &x).await.unwrap().is_none());
    assert!(store.list_scripts(&none, None, 10).await.unwrap().is_empty());
    assert!(store.history(&none, &path("f/a/x"), 10).await.unwrap().is_empty());
}

pub(super) async fn deleting(store: &dyn Store) {
    let (one, two) = (workspace("one"), workspace("two"));
    store.create_workspace(&one, "One", 1).await.unwrap();
    store.create_workspace(&two, "Two", 1).await.unwrap();
    let (first, second) = (version("f/a/x", "1"), version("f/a/x", "2"));
    for new in [&first, &second] {
        store.deploy(&one, new).await.unwrap();
    }
    assert!(store.module_in_use(&module_of("2")).await.unwrap());
    assert!(!store.delete_version(&two, &second.hash, 5).await.unwrap());
    assert!(!store.delete_version(&workspace("none"), &second.hash, 5).await.unwrap());
    assert!(store.delete_version(&one, &second.hash, 5).await.unwrap());
    assert!(!store.delete_version(&one, &second.hash, 5).await.unwrap());
    assert!(!store.module_in_use(&module_of("2")).await.unwrap());
    assert!(store.module_in_use(&module_of("1")).await.unwrap());

    let gone = store.version(&one, &second.hash).await.unwrap().unwrap();
    assert!(
        gone.deleted
            && gone.version.manifest.is_empty()
            && gone.version.schema.is_none()
            && gone.version.summary.is_empty()
    );
    assert_eq!(store.newest(&one, &first.path).await.unwrap().unwrap().version, first);
    assert_eq!(store.list_scripts(&one, None, 10).await.unwrap()[0].version, first);
    let history: Vec<bool> = store
        .history(&one, &first.path, 10)
        .await
        .unwrap()
        .iter()
        .map(|version| version.deleted)
        .collect();
    assert_eq!(history, [true, false]);

    assert!(store.delete_version(&one, &first.hash, 5).await.unwrap());
    assert!(store.newest(&one, &first.path).await.unwrap().is_none());
    assert!(store.list_scripts(&one, None, 10).await.unwrap().is_empty());
    let later = NewVersion { created: 9_000, ..second.clone() };
    let back = store.deploy(&one, &later).await.unwrap();
    assert!(back.created && !back.version.deleted);
    assert_eq!(store.newest(&one, &first.path).await.unwrap().unwrap().version, later);
}

/// Paths are listed in the order of their bytes, whatever the language of the machine; any summary
/// and schema is kept.
pub(super) async fn order_of_paths(store: &dyn Store) {
    let one = workspace("one");
    store.create_workspace(&one, "One", 1).await.unwrap();
    let mut paths = [
        "f/a/b", "f/a/B", "f/a/a-b", "f/a/ab", "f/a/a_b", "f/A/a", "f/a-b/c", "f/a_b/c", "f/ab/c",
        "u/a/b",
    ];
    for (n, path) in paths.iter().enumerate() {
        let summary = format!("{n}\0\u{feff}");
        let new = NewVersion {
            summary,
            schema: Some(r#"{"description":"a\u0000b"}"#.into()),
            ..version(path, "x")
        };
        assert_eq!(store.deploy(&one, &new).await.unwrap().version.version, new);
        assert_eq!(store.newest(&one, &new.path).await.unwrap().unwrap().version, new);
    }
    paths.sort_unstable();
    let mut found: Vec<String> = Vec::new();
    loop {
        let after = found.last().map(|path| super::path(path));
        let page = store.list_scripts(&one, after.as_ref(), 3).await.unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page.into_iter().map(|version| version.version.path.to_string()));
    }
    assert_eq!(found, paths);
}
