//! What every back end promises of workspaces, users and tokens.

use super::*;

pub(super) async fn workspaces(store: &dyn Store) {
    assert!(store.list_workspaces().await.unwrap().is_empty());
    store.create_workspace(&workspace("b"), "Bee", 5).await.unwrap();
    store.create_workspace(&workspace("a"), "Ay", 6).await.unwrap();
    let again = store.create_workspace(&workspace("b"), "Other", 7).await.unwrap_err();
    assert!(matches!(again, StoreError::Conflict(_)), "{again}");
    let found = store.list_workspaces().await.unwrap();
    let expected = [
        Workspace { id: workspace("a"), name: "Ay".into(), created: 6 },
        Workspace { id: workspace("b"), name: "Bee".into(), created: 5 },
    ];
    assert_eq!(found, expected);
}

pub(super) async fn users_and_members(store: &dyn Store) {
    let one = workspace("one");
    store.create_workspace(&one, "One", 1).await.unwrap();
    let missing = store.put_member(&one, &user_name("ann"), Role::Admin).await.unwrap_err();
    assert!(matches!(missing, StoreError::NotFound(what) if what == "user ann"));
    store.put_user(&user("ann")).await.unwrap();
    let missing =
        store.put_member(&workspace("none"), &user_name("ann"), Role::Admin).await.unwrap_err();
    assert!(matches!(missing, StoreError::NotFound(what) if what == "workspace none"));
    store.put_member(&one, &user_name("ann"), Role::Admin).await.unwrap();
    store.put_member(&one, &user_name("ann"), Role::Operator).await.unwrap();
    let changed =
        User { email: "new@example.com".into(), super_admin: true, created: 99, ..user("ann") };
    store.put_user(&changed).await.unwrap();
    store.put_token(&token(1, "ann")).await.unwrap();
    let owner = store.find_token(&[1; 32]).await.unwrap().unwrap();
    assert_eq!(owner.user, User { created: 1, ..changed });
    assert_eq!(owner.roles, [(one, Role::Operator)]);
}

pub(super) async fn looking_around(store: &dyn Store) {
    let (one, two) = (workspace("one"), workspace("two"));
    for id in [&one, &two] {
        store.create_workspace(id, "W", 1).await.unwrap();
    }
    assert_eq!(store.user(&user_name("ann")).await.unwrap(), None);
    for name in ["bob", "ann"] {
        store.put_user(&user(name)).await.unwrap();
    }
    assert_eq!(store.user(&user_name("ann")).await.unwrap(), Some(user("ann")));
    assert_eq!(store.list_users().await.unwrap(), [user("ann"), user("bob")]);
    store.put_member(&one, &user_name("bob"), Role::Operator).await.unwrap();
    store.put_member(&one, &user_name("ann"), Role::Admin).await.unwrap();
    store.put_member(&two, &user_name("bob"), Role::Developer).await.unwrap();
    assert_eq!(
        store.list_members(&one).await.unwrap(),
        [(user("ann"), Role::Admin), (user("bob"), Role::Operator)]
    );
    assert!(store.list_members(&workspace("none")).await.unwrap().is_empty());
    assert!(store.remove_member(&one, &user_name("bob")).await.unwrap());
    assert!(!store.remove_member(&one, &user_name("bob")).await.unwrap());
    assert!(!store.remove_member(&workspace("none"), &user_name("bob")).await.unwrap());
    assert_eq!(store.list_members(&one).await.unwrap(), [(user("ann"), Role::Admin)]);
    store.put_token(&token(1, "bob")).await.unwrap();
    let roles = store.find_token(&[1; 32]).await.unwrap().unwrap().roles;
    assert_eq!(roles, [(two, Role::Developer)]);
}

pub(super) async fn changing_tokens(store: &dyn Store) {
    for name in ["ann", "bob"] {
        store.put_user(&user(name)).await.unwrap();
    }
    store.put_token(&token(1, "ann")).await.unwrap();
    store.put_token(&NewToken { prefix: "wm_1".into(), ..token(2, "ann") }).await.unwrap();
    store.put_token(&NewToken { prefix: "wm_1".into(), ..token(3, "bob") }).await.unwrap();
    let changed = store
        .change_tokens(&user_name("ann"), "wm_1", &TokenChange::Label("desk".into()))
        .await
        .unwrap();
    assert_eq!(changed, [[1; 32], [2; 32]]);
    let scopes = Some(vec!["jobs:run".to_owned()]);
    store
        .change_tokens(&user_name("ann"), "wm_1", &TokenChange::Scopes(scopes.clone()))
        .await
        .unwrap();
    let found = store.find_token(&[2; 32]).await.unwrap().unwrap().token;
    assert_eq!((found.label, found.scopes), ("desk".into(), scopes));
    store.change_tokens(&user_name("ann"), "wm_1", &TokenChange::Scopes(None)).await.unwrap();
    assert_eq!(store.find_token(&[2; 32]).await.unwrap().unwrap().token.scopes, None);
    assert_eq!(
        store.find_token(&[3; 32]).await.unwrap().unwrap().token.label,
        "laptop",
        "another user's"
    );
    assert!(
        store
            .change_tokens(&user_name("ann"), "wm_9", &TokenChange::Label("x".into()))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        store
            .change_tokens(&user_name("nobody"), "wm_1", &TokenChange::Label("x".into()))
            .await
            .unwrap()
            .is_empty()
    );
}

fn token(n: u8, of: &str) -> NewToken {
    NewToken {
        digest: [n; 32],
        prefix: format!("wm_{n}"),
        user: user_name(of),
        workspace: None,
        label: "laptop".into(),
        scopes: None,
        created: i64::from(n) * 10,
        expires: Some(1_000),
    }
}

pub(super) async fn tokens(store: &dyn Store) {
    let missing = store.put_token(&token(1, "ann")).await.unwrap_err();
    assert!(matches!(missing, StoreError::NotFound(_)));
    store.put_user(&user("ann")).await.unwrap();
    store.put_user(&user("bob")).await.unwrap();
    let elsewhere = NewToken { workspace: Some(workspace("none")), ..token(1, "ann") };
    assert!(matches!(store.put_token(&elsewhere).await.unwrap_err(), StoreError::NotFound(_)));
    store.put_token(&token(1, "ann")).await.unwrap();
    let again = store.put_token(&token(1, "bob")).await.unwrap_err();
    assert!(matches!(again, StoreError::Conflict(_)));
    store.put_token(&token(2, "ann")).await.unwrap();
    store.put_token(&token(3, "bob")).await.unwrap();
    let listed = store.list_tokens(&user_name("ann")).await.unwrap();
    let listed: Vec<NewToken> = listed.into_iter().map(|info| info.token).collect();
    assert_eq!(listed, [token(2, "ann"), token(1, "ann")]);
    assert!(store.list_tokens(&user_name("nobody")).await.unwrap().is_empty());
}

pub(super) async fn token_owners(store: &dyn Store) {
    for name in ["one", "two"] {
        store.create_workspace(&workspace(name), name, 1).await.unwrap();
    }
    store.put_user(&user("ann")).await.unwrap();
    store.put_user(&user("bob")).await.unwrap();
    store.put_member(&workspace("two"), &user_name("ann"), Role::Developer).await.unwrap();
    store.put_member(&workspace("one"), &user_name("ann"), Role::Admin).await.unwrap();
    store.put_member(&workspace("one"), &user_name("bob"), Role::Operator).await.unwrap();
    let scopes = Some(vec!["jobs:run:scripts:f/a/*".to_owned(), "with \"quotes\"".to_owned()]);
    let narrow =
        NewToken { workspace: Some(workspace("two")), scopes, expires: None, ..token(9, "ann") };
    store.put_token(&narrow).await.unwrap();
    let owner = store.find_token(&[9; 32]).await.unwrap().unwrap();
    assert_eq!(owner.token, narrow);
    assert_eq!(owner.user, user("ann"));
    let roles = [(workspace("one"), Role::Admin), (workspace("two"), Role::Developer)];
    assert_eq!(owner.roles, roles);
    assert!(store.find_token(&[8; 32]).await.unwrap().is_none());
    // An empty list of scopes is not the absence of one.
    store.put_token(&NewToken { scopes: Some(vec![]), ..token(4, "bob") }).await.unwrap();
    let owner = store.find_token(&[4; 32]).await.unwrap().unwrap();
    assert_eq!(owner.token.scopes, Some(vec![]));
}

pub(super) async fn revocation(store: &dyn Store) {
    store.put_user(&user("ann")).await.unwrap();
    store.put_user(&user("bob")).await.unwrap();
    for n in [1, 2, 3] {
        let of = if n == 3 { "bob" } else { "ann" };
        store.put_token(&NewToken { prefix: "same".into(), ..token(n, of) }).await.unwrap();
    }
    store.put_token(&NewToken { prefix: "same_longer".into(), ..token(4, "ann") }).await.unwrap();
    assert!(store.revoke_tokens(&user_name("nobody"), "same").await.unwrap().is_empty());
    assert!(store.revoke_tokens(&user_name("ann"), "sam").await.unwrap().is_empty());
    assert_eq!(store.revoke_tokens(&user_name("ann"), "same").await.unwrap(), [[1; 32], [2; 32]]);
    assert!(store.revoke_tokens(&user_name("ann"), "same").await.unwrap().is_empty());
    assert!(store.find_token(&[1; 32]).await.unwrap().is_none());
    assert!(store.find_token(&[3; 32]).await.unwrap().is_some());
    assert!(store.find_token(&[4; 32]).await.unwrap().is_some());
}

pub(super) async fn uses(store: &dyn Store) {
    store.put_user(&user("ann")).await.unwrap();
    store.put_token(&token(1, "ann")).await.unwrap();
    assert_eq!(store.list_tokens(&user_name("ann")).await.unwrap()[0].last_used, None);
    store.touch_tokens(&[([1; 32], 500), ([8; 32], 600)]).await.unwrap();
    // An older use that arrives late changes nothing.
    store.touch_tokens(&[([1; 32], 400)]).await.unwrap();
    assert_eq!(store.list_tokens(&user_name("ann")).await.unwrap()[0].last_used, Some(500));
    store.touch_tokens(&[]).await.unwrap();
}

pub(super) async fn scoped_tokens(store: &dyn Store) {
    store.create_workspace(&workspace("one"), "One", 1).await.unwrap();
    store.create_workspace(&workspace("two"), "Two", 1).await.unwrap();
    store.put_user(&user("ann")).await.unwrap();
    store.put_user(&user("bob")).await.unwrap();
    let scope = "jobs:run:scripts:f/a/x";
    let put = async |n: u8, of: &str, at: Option<&str>, scopes: Option<&[&str]>| {
        let scopes = scopes.map(|scopes| scopes.iter().map(ToString::to_string).collect());
        store
            .put_token(&NewToken { workspace: at.map(workspace), scopes, ..token(n, of) })
            .await
            .unwrap();
    };
    put(1, "ann", Some("one"), Some(&[scope])).await;
    put(2, "bob", Some("one"), Some(&["jobs:read", scope])).await;
    put(3, "ann", Some("two"), Some(&[scope])).await;
    put(4, "ann", None, Some(&[scope])).await;
    put(5, "ann", Some("one"), Some(&["jobs:run:scripts:f/a/xy"])).await;
    put(6, "ann", Some("one"), None).await;
    let found = store.tokens_for_scope(&workspace("one"), scope).await.unwrap();
    let digests: Vec<u8> = found.iter().map(|info| info.token.digest[0]).collect();
    assert_eq!(digests, [2, 1]);
    assert!(store.tokens_for_scope(&workspace("none"), scope).await.unwrap().is_empty());
}

/// What people write is kept as it is, and names that nobody has are nobody's.
pub(super) async fn any_text(store: &dyn Store) {
    let (one, odd) = (workspace("one"), "a\0b \u{10ffff} \u{feff}'\"\\\n");
    store.create_workspace(&one, odd, 1).await.unwrap();
    assert_eq!(store.list_workspaces().await.unwrap()[0].name, odd);
    store.put_user(&user("ann")).await.unwrap();
    store
        .put_token(&NewToken { label: odd.into(), workspace: Some(one.clone()), ..token(1, "ann") })
        .await
        .unwrap();
    assert_eq!(store.list_tokens(&user_name("ann")).await.unwrap()[0].token.label, odd);
    let changed = format!("{odd}\0");
    store
        .change_tokens(&user_name("ann"), "wm_1", &TokenChange::Label(changed.clone()))
        .await
        .unwrap();
    assert_eq!(store.list_tokens(&user_name("ann")).await.unwrap()[0].token.label, changed);

    // A name that nobody has.
    let nobody = user_name("nobody");
    assert_eq!(store.user(&nobody).await.unwrap(), None);
    assert!(store.list_tokens(&nobody).await.unwrap().is_empty());
    assert!(store.revoke_tokens(&nobody, "wm_1").await.unwrap().is_empty());
    assert!(!store.remove_member(&one, &nobody).await.unwrap());
    let missing = store.put_member(&one, &nobody, Role::Admin).await.unwrap_err();
    assert!(matches!(missing, StoreError::NotFound(what) if what == "user nobody"));
    let missing = store.put_token(&token(2, "nobody")).await.unwrap_err();
    assert!(matches!(missing, StoreError::NotFound(what) if what == "user nobody"));
    // Prefixes and scopes that no token can have.
    for nothing in ["ann\0", "\0", ""] {
        let (ann, label) = (user_name("ann"), TokenChange::Label("x".into()));
        assert!(store.tokens_for_scope(&one, nothing).await.unwrap().is_empty());
        assert!(store.revoke_tokens(&ann, nothing).await.unwrap().is_empty());
        assert!(store.change_tokens(&ann, nothing, &label).await.unwrap().is_empty());
    }
}

/// Names are listed in the order of their bytes, whatever the language of the machine.
pub(super) async fn order_of_names(store: &dyn Store) {
    let mut names = ["b", "B", "a-b", "ab", "a_b", "A", "a", "aB", "a1", "Z", "z", "ac"];
    for name in names {
        store.create_workspace(&workspace(name), name, 1).await.unwrap();
        store.put_user(&user(name)).await.unwrap();
    }
    for name in names {
        store.put_member(&workspace("a"), &user_name(name), Role::Admin).await.unwrap();
        store.put_member(&workspace(name), &user_name("a"), Role::Admin).await.unwrap();
    }
    store.put_token(&token(1, "a")).await.unwrap();
    names.sort_unstable();
    let workspaces: Vec<String> = store
        .list_workspaces()
        .await
        .unwrap()
        .into_iter()
        .map(|workspace| workspace.name)
        .collect();
    let users: Vec<String> =
        store.list_users().await.unwrap().into_iter().map(|user| user.name.to_string()).collect();
    let members: Vec<String> = store
        .list_members(&workspace("a"))
        .await
        .unwrap()
        .into_iter()
        .map(|(user, _)| user.name.to_string())
        .collect();
    let roles = store.find_token(&[1; 32]).await.unwrap().unwrap().roles;
    let roles: Vec<String> =
        roles.into_iter().map(|(workspace, _)| workspace.to_string()).collect();
    for found in [workspaces, users, members, roles] {
        assert_eq!(found, names);
    }
}
