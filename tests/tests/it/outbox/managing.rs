//! Trying a webhook, its log, its secret, and who may see and do that.

use super::{ARGS, at, change, log, must_set, names, secret, signature};
use serde_json::{Value, json};
use wasmill_tests::{Home, Host, Reaction, Receiver, eventually, found_below};

#[test]
fn tests_the_log_and_redeliveries() {
    let receiver = Receiver::start(|_, told| match told.header("ce-type") {
        "dev.wasmill.webhook.test" => Reaction::Status(202),
        _ => Reaction::Status(500),
    });
    let home = Home::new();
    let host = home.start(&["--allow-private-webhooks", "--webhook-retry-base", "3600000"]);
    for action in ["test_webhook", "rotate_webhook_secret", "redeliver_webhook/1"] {
        let detail = at(&host, "POST", "main", action).problem(404);
        assert!(detail.contains("no webhook"), "{detail}");
    }
    must_set(&host, "main", &receiver.url());
    for name in ["a", "b", "c"] {
        change(&host, "main", name);
    }
    receiver.wait(1, 20);
    let tested = at(&host, "POST", "main", "test_webhook").json();
    assert_eq!(
        (&tested["delivered"], &tested["status"], tested.get("error")),
        (&json!(true), &json!(202), None),
        "{tested}"
    );
    assert!(tested["duration_ms"].is_u64(), "{tested}");
    let told = receiver.told();
    let test = told
        .iter()
        .find(|told| told.header("ce-type") == "dev.wasmill.webhook.test")
        .expect("the test");
    assert_eq!(test.json(), json!({"type": "Test", "workspace": "main"}));
    assert_eq!(test.header("webhook-signature"), signature(test, &secret(&host)));
    // A receiver that takes it is worth telling what waits.
    receiver.wait(3, 20);
    eventually("the second attempt is noted", 20, || {
        (log(&host, "main")[3]["attempts"] == 2).then_some(())
    });
    let all = log(&host, "main");
    let kinds: Vec<&str> =
        all.iter().map(|entry| entry["type"].as_str().expect("a type")).collect();
    assert_eq!(kinds, ["Test", "CreateScript", "CreateScript", "CreateScript"]);
    assert_eq!(
        (&all[0]["id"], &all[0]["status"], &all[3]["status"]),
        (&tested["id"], &json!("delivered"), &json!("waiting"))
    );
    assert!(
        all[3]["next_attempt_at"].is_string() && all[2].get("next_attempt_at").is_none(),
        "{all:?}"
    );
    let page = at(&host, "GET", "main", "webhook_deliveries?per_page=2").json();
    assert_eq!(page, json!(all[..2]));
    let page =
        at(&host, "GET", "main", &format!("webhook_deliveries?per_page=2&before={}", all[1]["id"]))
            .json();
    assert_eq!(page, json!(all[2..]));
    at(&host, "GET", "main", "webhook_deliveries?before=x").problem(400);
    drop(receiver);

    let receiver = Receiver::agreeing();
    must_set(&host, "main", &receiver.url());
    assert_eq!(names(&receiver.wait(3, 20)), ["a", "b", "c"]);
    eventually("all is delivered", 20, || {
        log(&host, "main").iter().all(|entry| entry["status"] == "delivered").then_some(())
    });
    let again = at(&host, "POST", "main", &format!("redeliver_webhook/{}", all[2]["id"]));
    assert_eq!(again.status, 200, "{again:?}");
    let told = receiver.wait(4, 20);
    assert_eq!(
        (names(&told)[3].as_str(), told[3].header("webhook-id")),
        ("b", told[1].header("webhook-id"))
    );
    at(&host, "POST", "main", "redeliver_webhook/999999").problem(404);
    at(&host, "POST", "main", "redeliver_webhook/x").problem(404);
    let unreachable = { Receiver::agreeing().url() };
    must_set(&host, "main", &unreachable);
    let tested = at(&host, "POST", "main", "test_webhook").json();
    assert_eq!((&tested["delivered"], tested.get("status")), (&json!(false), None));
    assert!(
        tested["error"].as_str().is_some_and(|error| error.contains("cannot be connected to")),
        "{tested}"
    );
    // Neither the URL, which may be a secret, nor the signing secret is in the host's log.
    let (log, secret) = (host.log(), secret(&host));
    assert!(!log.contains("/hook") && !log.contains(&secret[8..]), "{log}");
}

#[test]
fn rotation() {
    let receiver = Receiver::agreeing();
    let home = Home::new();
    let host = home.start(&ARGS);
    must_set(&host, "main", &receiver.url());
    let old = secret(&host);
    // Another URL keeps it.
    must_set(&host, "main", &format!("{}?x=1", receiver.url()));
    assert_eq!(secret(&host), old);
    let rotate = |body: Value| {
        host.request("POST", "/api/w/main/workspaces/rotate_webhook_secret")
            .json(&body)
            .send()
            .json()
    };
    let rotated = at(&host, "POST", "main", "rotate_webhook_secret").json();
    let new = rotated["webhook_secret"].as_str().expect("a secret").to_owned();
    assert!(new != old && rotated["previous_until"].is_string(), "{rotated}");
    let settings = at(&host, "GET", "main", "get_settings").json();
    assert_eq!(
        (&settings["webhook_secret"], &settings["previous_webhook_secret"]["secret"]),
        (&json!(new), &json!(old))
    );
    change(&host, "main", "a");
    let told = receiver.wait(1, 20).remove(0);
    assert_eq!(told.line, "POST /hook?x=1 HTTP/1.1");
    assert_eq!(
        told.header("webhook-signature"),
        format!("{} {}", signature(&told, &new), signature(&told, &old))
    );
    // One that has become known is used no more.
    let rotated = rotate(json!({"keep_old_for_secs": 0}));
    let newest = rotated["webhook_secret"].as_str().expect("a secret").to_owned();
    assert_eq!(rotated.get("previous_until"), None);
    change(&host, "main", "b");
    let told = receiver.wait(2, 20).remove(1);
    assert_eq!(told.header("webhook-signature"), signature(&told, &newest));
    // At rest it is sealed, as it was when it was new.
    for secret in [&old, &newest] {
        assert_eq!(found_below(&home.data(), &secret["whsec_".len()..]), [""; 0]);
    }
    // It is still the same after a start, and a new one after the webhook was cleared.
    drop(host);
    let host = home.start(&ARGS);
    assert_eq!(secret(&host), newest);
    must_set(&host, "main", "");
    must_set(&host, "main", &receiver.url());
    assert_ne!(secret(&host), newest);
}

#[test]
fn administrators_only() {
    let receiver = Receiver::agreeing();
    let host = Host::start(&ARGS);
    must_set(&host, "main", &receiver.url());
    let member = json!({"email": "dev@example.com", "username": "dev"});
    let added = host.request("POST", "/api/w/main/workspaces/add_user").json(&member).send();
    assert!(added.status < 300, "{added:?}");
    let token = |path: &str, body: Value| {
        let answer = host.request("POST", path).json(&body).send();
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.text()
    };
    let developer =
        token("/api/users/tokens/impersonate", json!({"impersonate_email": "dev@example.com"}));
    let reader = token("/api/users/tokens/create", json!({"scopes": ["workspaces:read"]}));
    let runner = token("/api/users/tokens/create", json!({"scopes": ["jobs:run"]}));
    let ask = |token: &str, method: &str, action: &str| {
        host.request(method, &format!("/api/w/main/workspaces/{action}")).token(token).send()
    };
    for action in ["edit_webhook", "rotate_webhook_secret", "test_webhook", "redeliver_webhook/1"] {
        for (token, said) in [
            (&developer, "administrator"),
            (&reader, "workspaces:write"),
            (&runner, "workspaces:write"),
        ] {
            let detail = ask(token, "POST", action).problem(403);
            assert!(detail.contains(said), "{action}: {detail}");
        }
    }
    ask(&developer, "GET", "webhook_deliveries").problem(403);
    assert_eq!(ask(&reader, "GET", "webhook_deliveries").status, 200);
    ask(&runner, "GET", "get_settings").problem(403);
    assert_eq!(
        ask(&developer, "GET", "get_settings").json(),
        json!({"workspace_id": "main", "name": "Main", "weight": 100})
    );
    let settings = ask(&reader, "GET", "get_settings").json();
    assert_eq!((&settings["webhook"], &settings["name"]), (&json!(receiver.url()), &json!("Main")));
    assert_eq!(
        settings.get("webhook_secret"),
        None,
        "a token that may only look could sign what it likes"
    );
    let settings = ask(&host.token, "GET", "get_settings").json();
    assert!(
        settings["webhook_secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_")),
        "{settings}"
    );
    // Absent and null clear it as the empty text does.
    for body in [json!({}), json!({"webhook": null})] {
        must_set(&host, "main", &receiver.url());
        assert_eq!(
            host.request("POST", "/api/w/main/workspaces/edit_webhook").json(&body).send().status,
            200
        );
        assert_eq!(at(&host, "GET", "main", "get_settings").json().get("webhook"), None);
    }
    assert!(receiver.told().is_empty());
}
