//! What every back end promises to the nodes that share it.

use super::*;

pub(super) async fn leases(store: &dyn Store) {
    assert!(!store.extend_lease(1, 10).await.unwrap());
    assert!(store.extend_lease(1, 20).await.unwrap());
    assert!(!store.extend_lease(2, 5).await.unwrap());
    store.rescue(15, false).await.unwrap();
    assert!(store.extend_lease(1, 30).await.unwrap());
    // It was away for too long, and must not believe that it still has what it had.
    assert!(!store.extend_lease(2, 30).await.unwrap());
}

pub(super) async fn leading(store: &dyn Store) {
    assert!(store.lead("tidy", 1, 0, 10).await.unwrap());
    assert!(!store.lead("tidy", 2, 10, 20).await.unwrap());
    assert!(store.lead("other", 2, 10, 20).await.unwrap());
    assert!(store.lead("tidy", 1, 9, 15).await.unwrap());
    assert!(!store.lead("tidy", 2, 15, 20).await.unwrap());
    assert!(store.lead("tidy", 2, 16, 20).await.unwrap());
    assert!(!store.lead("tidy", 1, 17, 30).await.unwrap());
}

pub(super) async fn generations(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    let mut last = store.generation().await.unwrap();
    assert_eq!(store.generation().await.unwrap(), last);
    let token = |digest: u8| NewToken {
        digest: [digest; 32],
        prefix: "wm_1".into(),
        user: user_name("ann"),
        workspace: None,
        label: String::new(),
        scopes: None,
        created: 1,
        expires: None,
    };
    for step in 0..9 {
        match step {
            0 => store.put_user(&user("ann")).await.unwrap(),
            1 => store.put_member(&one, &user_name("ann"), Role::Admin).await.unwrap(),
            2 => store.put_token(&token(1)).await.unwrap(),
            3 => drop(
                store
                    .change_tokens(&user_name("ann"), "wm_1", &TokenChange::Scopes(Some(vec![])))
                    .await
                    .unwrap(),
            ),
            4 => drop(store.revoke_tokens(&user_name("ann"), "wm_1").await.unwrap()),
            5 => drop(store.remove_member(&one, &user_name("ann")).await.unwrap()),
            6 => drop(store.deploy(&one, &version("f/a/x", "newer")).await.unwrap()),
            7 => drop(store.archive(&one, &path("f/a/x"), 5).await.unwrap()),
            _ => drop(store.delete_version(&one, &x, 5).await.unwrap()),
        }
        let now = store.generation().await.unwrap();
        assert!(now > last, "step {step}");
        last = now;
    }
    // What happens all the time is not among it.
    store.touch_tokens(&[([1; 32], 5)]).await.unwrap();
    store.enqueue(vec![job(id(1), &one, version("f/a/x", "newer").hash)]).await.unwrap();
    assert_eq!(store.generation().await.unwrap(), last);
}

pub(super) async fn signals(store: &dyn Store) {
    let mut told = store.signals();
    let sent = [
        Signal::Queued,
        Signal::Ended(vec![id(1), id(2)]),
        Signal::Canceled,
        Signal::Changed,
        Signal::Outbox,
    ];
    for signal in &sent {
        store.signal(signal.clone());
    }
    for _ in &sent {
        let heard =
            tokio::time::timeout(Duration::from_secs(10), told.recv()).await.unwrap().unwrap();
        assert!(sent.contains(&heard), "{heard:?}");
    }
}

pub(super) async fn settings(store: &dyn Store) {
    let (one, ..) = furnish(store).await;
    let none = workspace("none");
    assert_eq!(store.workspace_settings(&one).await.unwrap(), WorkspaceSettings::default());
    let settings = WorkspaceSettings { weight: 7, keep_runs: Some(Duration::from_secs(60)) };
    store.put_workspace_settings(&one, &settings).await.unwrap();
    assert_eq!(store.workspace_settings(&one).await.unwrap(), settings);
    assert_eq!(
        store.workspace_settings(&workspace("two")).await.unwrap(),
        WorkspaceSettings::default()
    );
    assert!(matches!(store.workspace_settings(&none).await.unwrap_err(), StoreError::NotFound(_)));
    assert!(matches!(
        store.put_workspace_settings(&none, &settings).await.unwrap_err(),
        StoreError::NotFound(_)
    ));

    let (x, y) = (path("f/a/x"), path("f/a/y"));
    assert!(store.retentions(&one).await.unwrap().is_empty());
    assert!(store.set_retention(&one, &y, Some(Duration::from_secs(9))).await.unwrap());
    assert!(store.set_retention(&one, &x, Some(Duration::ZERO)).await.unwrap());
    assert!(!store.set_retention(&one, &path("f/a/none"), None).await.unwrap());
    assert_eq!(
        store.retentions(&one).await.unwrap(),
        [(x.clone(), Duration::ZERO), (y, Duration::from_secs(9))]
    );
    assert!(store.set_retention(&one, &x, None).await.unwrap());
    assert_eq!(store.retentions(&one).await.unwrap().len(), 1);
    assert!(store.retentions(&workspace("two")).await.unwrap().is_empty());
}

pub(super) async fn collecting(store: &dyn Store) {
    let (one, x, _) = furnish(store).await;
    let (used, unused) = (module_of("x"), Digest::of(b"nobody's"));
    assert!(!store.collect_module(&used, 10, 20).await.unwrap());
    store.reserve_module(&unused, 10, 20).await.unwrap();
    assert!(!store.collect_module(&unused, 20, 30).await.unwrap());
    assert!(store.collect_module(&unused, 21, 30).await.unwrap());
    assert!(!store.collect_module(&unused, 22, 40).await.unwrap());
    assert!(matches!(
        store.reserve_module(&unused, 30, 40).await.unwrap_err(),
        StoreError::Conflict(_)
    ));
    store.module_collected(&unused).await.unwrap();
    store.reserve_module(&unused, 30, 40).await.unwrap();
    store.reserve_module(&unused, 30, 35).await.unwrap();
    assert!(!store.collect_module(&unused, 40, 50).await.unwrap());
    // A collector that never came back.
    assert!(store.collect_module(&unused, 41, 50).await.unwrap());
    store.reserve_module(&unused, 51, 60).await.unwrap();
    // In use by two workspaces, then by one, then by none.
    store.delete_version(&one, &x, 5).await.unwrap();
    assert!(!store.collect_module(&used, 10, 20).await.unwrap());
    store.delete_version(&workspace("two"), &x, 5).await.unwrap();
    assert!(store.collect_module(&used, 10, 20).await.unwrap());
}
