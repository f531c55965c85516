//! What every back end promises of variables and resources.

use super::*;

fn variable(path: &str, value: &str) -> Variable {
    Variable {
        path: value_path(path),
        value: value.into(),
        is_secret: true,
        description: "for tests".into(),
        changed_by: "ann".into(),
        changed: 5,
    }
}

fn resource(path: &str, resource_type: &str) -> Resource {
    Resource {
        path: value_path(path),
        value: vec![0, 255, 1],
        resource_type: resource_type.into(),
        description: String::new(),
        changed_by: "bob".into(),
        changed: 6,
    }
}

async fn two(store: &dyn Store) -> (WorkspaceId, WorkspaceId) {
    for name in ["one", "two"] {
        store.create_workspace(&workspace(name), name, 1).await.unwrap();
    }
    (workspace("one"), workspace("two"))
}

pub(super) async fn variables(store: &dyn Store) {
    let (one, two) = two(store).await;
    let first = variable("f/a/x", "sealed");
    let missing =
        store.put_variable(&workspace("none"), &first, &PutMode::Upsert).await.unwrap_err();
    assert!(matches!(missing, StoreError::NotFound(what) if what == "workspace none"));
    let missing = store.put_variable(&one, &first, &PutMode::Update).await.unwrap_err();
    assert!(matches!(missing, StoreError::NotFound(what) if what == "variable f/a/x"));
    store.put_variable(&one, &first, &PutMode::Create).await.unwrap();
    let taken = store.put_variable(&one, &first, &PutMode::Create).await.unwrap_err();
    assert!(matches!(taken, StoreError::Conflict(_)));
    assert_eq!(store.variable(&one, &value_path("f/a/x")).await.unwrap(), Some(first.clone()));
    assert_eq!(store.variable(&two, &value_path("f/a/x")).await.unwrap(), None);
    let changed = Variable { is_secret: false, changed: 9, ..variable("f/a/x", "new") };
    store.put_variable(&one, &changed, &PutMode::Update).await.unwrap();
    assert_eq!(store.variable(&one, &value_path("f/a/x")).await.unwrap(), Some(changed.clone()));
    store.put_variable(&one, &first, &PutMode::Upsert).await.unwrap();
    store.put_variable(&two, &changed, &PutMode::Upsert).await.unwrap();
    assert_eq!(store.variable(&one, &value_path("f/a/x")).await.unwrap(), Some(first));

    for path in ["f/b/y", "f/a/xy", "u/ann/z"] {
        store.put_variable(&one, &variable(path, "v"), &PutMode::Create).await.unwrap();
    }
    let list = async |prefix: &str, after: Option<&str>, limit: u32| -> Vec<String> {
        let after = after.map(value_path);
        let found = store.list_variables(&one, prefix, after.as_ref(), limit).await.unwrap();
        found.into_iter().map(|variable| variable.path.into()).collect()
    };
    assert_eq!(list("", None, 10).await, ["f/a/x", "f/a/xy", "f/b/y", "u/ann/z"]);
    assert_eq!(list("f/a/x", None, 10).await, ["f/a/x", "f/a/xy"]);
    assert_eq!(list("f/", Some("f/a/x"), 1).await, ["f/a/xy"]);
    assert!(list("", None, 0).await.is_empty());
    assert!(store.list_variables(&workspace("none"), "", None, 9).await.unwrap().is_empty());

    store.delete_variable(&one, &value_path("f/a/x"), 5).await.unwrap();
    assert!(matches!(
        store.delete_variable(&one, &value_path("f/a/x"), 5).await.unwrap_err(),
        StoreError::NotFound(_)
    ));
    assert!(matches!(
        store.delete_variable(&workspace("none"), &value_path("f/a/x"), 5).await.unwrap_err(),
        StoreError::NotFound(_)
    ));
    assert_eq!(store.variable(&two, &value_path("f/a/x")).await.unwrap(), Some(changed));
}

pub(super) async fn resources(store: &dyn Store) {
    let (one, two) = two(store).await;
    // A resource and a variable may have the same path.
    store.put_variable(&one, &variable("f/a/x", "v"), &PutMode::Create).await.unwrap();
    for (path, resource_type) in [("f/a/x", "state"), ("f/a/y", "postgres"), ("f/b/z", "state")] {
        store.put_resource(&one, &resource(path, resource_type), &PutMode::Create).await.unwrap();
    }
    let taken =
        store.put_resource(&one, &resource("f/a/x", "state"), &PutMode::Create).await.unwrap_err();
    assert!(matches!(taken, StoreError::Conflict(_)));
    let missing =
        store.put_resource(&two, &resource("f/a/x", "state"), &PutMode::Update).await.unwrap_err();
    assert!(matches!(missing, StoreError::NotFound(what) if what == "resource f/a/x"));
    assert_eq!(
        store.resource(&one, &value_path("f/a/x")).await.unwrap(),
        Some(resource("f/a/x", "state"))
    );
    assert_eq!(store.resource(&two, &value_path("f/a/x")).await.unwrap(), None);
    let list = async |types: &[&str], prefix: &str, after: Option<&str>| -> Vec<String> {
        let types: Vec<String> = types.iter().map(ToString::to_string).collect();
        let after = after.map(value_path);
        let found = store.list_resources(&one, &types, prefix, after.as_ref(), 10).await.unwrap();
        assert!(found.iter().all(|resource| resource.value.is_empty()));
        found.into_iter().map(|resource| resource.path.into()).collect()
    };
    assert_eq!(list(&[], "", None).await, ["f/a/x", "f/a/y", "f/b/z"]);
    assert_eq!(list(&["state"], "", None).await, ["f/a/x", "f/b/z"]);
    assert_eq!(list(&["state"], "f/", Some("f/a/x")).await, ["f/b/z"]);
    assert_eq!(list(&["none", "postgres"], "", None).await, ["f/a/y"]);
    assert_eq!(list(&["none"], "", None).await, [""; 0]);
    assert_eq!(store.resource_types(&one).await.unwrap(), ["postgres", "state"]);
    assert_eq!(store.resource_types(&two).await.unwrap(), [""; 0]);
    assert_eq!(store.resource_types(&workspace("none")).await.unwrap(), [""; 0]);
    store.delete_resource(&one, &value_path("f/a/x"), 5).await.unwrap();
    assert!(matches!(
        store.delete_resource(&one, &value_path("f/a/x"), 5).await.unwrap_err(),
        StoreError::NotFound(_)
    ));
    assert!(store.variable(&one, &value_path("f/a/x")).await.unwrap().is_some());
}

pub(super) async fn renaming(store: &dyn Store) {
    let (one, _) = two(store).await;
    for path in ["f/a/x", "f/a/y"] {
        store.put_variable(&one, &variable(path, "old"), &PutMode::Create).await.unwrap();
    }
    let rename = async |from: &str, to: &str| {
        store.put_variable(&one, &variable(to, "new"), &PutMode::Rename(value_path(from))).await
    };
    assert!(
        matches!(rename("f/a/none", "f/a/z").await.unwrap_err(), StoreError::NotFound(what) if what.contains("none"))
    );
    assert!(matches!(rename("f/a/x", "f/a/y").await.unwrap_err(), StoreError::Conflict(_)));
    assert!(store.variable(&one, &value_path("f/a/x")).await.unwrap().is_some());
    rename("f/a/x", "f/a/z").await.unwrap();
    rename("f/a/y", "f/a/y").await.unwrap();
    let found = store.list_variables(&one, "", None, 9).await.unwrap();
    // Secret ones are listed without their values.
    assert_eq!(found, [variable("f/a/y", ""), variable("f/a/z", "")]);
    assert_eq!(
        store.variable(&one, &value_path("f/a/z")).await.unwrap(),
        Some(variable("f/a/z", "new"))
    );
    let open = Variable { is_secret: false, ..variable("f/a/open", "shown") };
    store.put_variable(&one, &open, &PutMode::Create).await.unwrap();
    assert_eq!(store.list_variables(&one, "f/a/o", None, 9).await.unwrap(), [open]);
}

/// Paths and types are listed in the order of their bytes, whatever the language of the machine;
/// what people write is kept as it is; and text that nothing can have leads to nothing.
pub(super) async fn any_text(store: &dyn Store) {
    let (one, _) = two(store).await;
    let odd = ["b", "B", "a-b", "ab", "a_b", "\u{e9}", "e", "f", "\u{10fffe}", "z"];
    let mut names = ["b", "B", "a-b", "ab", "a_b", "a.b", "e", "f", "a@b", "z"];
    for (name, odd) in names.into_iter().zip(odd) {
        let (at, description) = (format!("f/a/{name}"), format!("{odd}\0\u{feff}'\"\\"));
        let path = value_path(&at);
        let variable = Variable { description, ..variable(&at, "v") };
        store.put_variable(&one, &variable, &PutMode::Create).await.unwrap();
        assert_eq!(store.variable(&one, &path).await.unwrap(), Some(variable.clone()));
        let resource = Resource { description: variable.description, ..resource(&at, odd) };
        store.put_resource(&one, &resource, &PutMode::Upsert).await.unwrap();
        assert_eq!(store.resource(&one, &path).await.unwrap(), Some(resource));
    }
    names.sort_unstable();
    let names = names.map(|name| format!("f/a/{name}"));
    let mut types = odd;
    types.sort_unstable();
    let list = async |prefix: &str, after: Option<&str>| -> Vec<String> {
        let after = after.map(value_path);
        let after = after.as_ref();
        let resources = store.list_resources(&one, &[], prefix, after, 99).await.unwrap();
        let variables: Vec<String> = store
            .list_variables(&one, prefix, after, 99)
            .await
            .unwrap()
            .into_iter()
            .map(|variable| variable.path.into())
            .collect();
        let resources = resources.into_iter().map(|resource| String::from(resource.path));
        assert!(resources.eq(variables.clone()));
        variables
    };
    assert_eq!(list("", None).await, names);
    assert_eq!(store.resource_types(&one).await.unwrap(), types);
    for (n, name) in names.iter().enumerate() {
        assert_eq!(list("", Some(name)).await, names[n + 1..]);
        let begins = names.iter().filter(|other| other.starts_with(name));
        assert!(begins.eq(&list(name, None).await));
    }
    // After a path that nothing has.
    assert_eq!(list("", Some("f/a/a-")).await, names[1..]);
    for nothing in ["f/a/a\0", "\0", "\u{e9}"] {
        assert!(list(nothing, None).await.is_empty());
    }
    assert!(store.list_resources(&one, &["b\0".into()], "", None, 99).await.unwrap().is_empty());
    let none = value_path("f/a/none");
    assert_eq!(
        (store.variable(&one, &none).await.unwrap(), store.resource(&one, &none).await.unwrap()),
        (None, None)
    );
    let missing = store.delete_variable(&one, &none, 5).await.unwrap_err();
    assert!(matches!(missing, StoreError::NotFound(what) if what == "variable f/a/none"));
    let missing = store
        .put_resource(&one, &resource("f/a/new", "any"), &PutMode::Rename(none))
        .await
        .unwrap_err();
    assert!(matches!(missing, StoreError::NotFound(what) if what == "resource f/a/none"));
}
