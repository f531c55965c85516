//! The workspace's webhook: what it is told, in which order, signed how; and who may be told.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::{Duration, Instant};
use wasmill_tests::{Answer, Home, Host, Reaction, Receiver, Told, eventually, guest};

/// Receivers of tests are on the loopback, and nobody wants to wait for the usual times.
const ARGS: [&str; 3] = ["--allow-private-webhooks", "--webhook-retry-base", "50"];

fn at(host: &Host, method: &str, workspace: &str, action: &str) -> Answer {
    host.request(method, &format!("/api/w/{workspace}/workspaces/{action}")).send()
}

fn set(host: &Host, workspace: &str, url: &str) -> Answer {
    host.request("POST", &format!("/api/w/{workspace}/workspaces/edit_webhook")).json(&json!({"webhook": url})).send()
}

fn must_set(host: &Host, workspace: &str, url: &str) {
    let answer = set(host, workspace, url);
    assert_eq!((answer.status, answer.text()), (200, format!("Edit webhook for workspace {workspace}")), "{answer:?}");
}

fn secret(host: &Host) -> String {
    at(host, "GET", "main", "get_settings").json()["webhook_secret"].as_str().expect("a secret").to_owned()
}

fn log(host: &Host, workspace: &str) -> Vec<Value> {
    let answer = at(host, "GET", workspace, "webhook_deliveries");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json().as_array().expect("a list").clone()
}

/// Waits until the newest entry of the log has a status, and returns it.
fn settled(host: &Host, status: &str) -> Value {
    eventually(&format!("the delivery is {status}"), 20, || log(host, "main").first().filter(|newest| newest["status"] == status).cloned())
}

/// Makes a change that is told: a new script, which costs no compiling after the first.
fn change(host: &Host, workspace: &str, name: &str) {
    let upload = host.request("POST", &format!("/api/w/{workspace}/scripts/upload/p/u/outbox/{name}"));
    let answer = upload.body("application/wasm", &guest("hello")).send();
    assert_eq!(answer.status, 201, "{answer:?}");
}

/// The signatures that `webhook-signature` must have, by the scheme's own text: `base64(hmac-sha256(secret, "id.timestamp.body"))`.
fn signature(told: &Told, secret: &str) -> String {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("the form of secrets")).expect("base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
    mac.update(format!("{}.{}.{}", told.header("webhook-id"), told.header("webhook-timestamp"), told.body).as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

fn names(told: &[Told]) -> Vec<String> {
    told.iter().map(|told| told.json()["path"].as_str().expect("a path").replace("u/outbox/", "")).collect()
}

#[test]
fn every_change_of_a_script() {
    let receiver = Receiver::agreeing();
    let host = Host::start(&ARGS);
    host.push("u/outbox/before", &guest("hello"));
    must_set(&host, "main", &receiver.url());
    let path = "u/outbox/x";
    let first = host.push(path, &guest("hello"));
    assert!(!host.push(path, &guest("hello")).created);
    let second = host.push(&format!("{path}?timeout_s=5"), &guest("hello"));
    assert!(!host.push(path, &guest("hello")).created);
    let post = |address: &str| {
        let answer = host.request("POST", &format!("/api/w/main/scripts/{address}")).send();
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    post(&format!("archive/p/{path}"));
    host.push(path, &guest("hello"));
    post(&format!("delete/h/{}", first.hash));
    post(&format!("delete/p/{path}"));
    let of = |kind: &str, hash: &str| json!({"type": kind, "workspace": "main", "path": path, "hash": hash});
    let deleted = |hash: &str| json!({"type": "DeleteScript", "workspace": "main", "hash": hash});
    let expected = [
        (of("CreateScript", &first.hash), "created"),
        (of("UpdateScript", &second.hash), "updated"),
        (of("UpdateScript", &first.hash), "updated"),
        (deleted(&first.hash), "archived"),
        (of("UpdateScript", &first.hash), "updated"),
        (deleted(&first.hash), "deleted"),
        (deleted(&second.hash), "deleted"),
        (json!({"type": "DeleteScriptPath", "workspace": "main", "path": path}), "removed"),
    ];
    let told = receiver.wait(expected.len(), 20);
    assert_eq!(told.len(), expected.len());
    let secret = secret(&host);
    let mut ids = std::collections::BTreeSet::new();
    for (told, (body, kind)) in told.iter().zip(&expected) {
        assert_eq!(told.json(), *body);
        assert_eq!(told.line, "POST /hook HTTP/1.1");
        assert_eq!(told.header("content-type"), "application/json");
        assert_eq!((told.header("ce-specversion"), told.header("ce-type")), ("1.0", format!("dev.wasmill.script.{kind}").as_str()));
        assert_eq!(told.header("ce-source"), format!("{}/api/w/main", host.url()));
        assert_eq!((told.header("ce-subject"), told.header("ce-id")), (path, told.header("webhook-id")));
        assert!(told.header("ce-time").ends_with('Z'), "{told:?}");
        assert_eq!(told.header("webhook-signature"), signature(told, &secret));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
        let sent: u64 = told.header("webhook-timestamp").parse().expect("seconds");
        assert!(now.abs_diff(sent) < 60, "{sent} is not now");
        ids.insert(told.header("webhook-id").to_owned());
    }
    assert_eq!(ids.len(), expected.len());
    // Nothing is told any more, and what was told stays in the log.
    must_set(&host, "main", "");
    host.push("u/outbox/after", &guest("hello"));
    assert_eq!(log(&host, "main").len(), expected.len());
    assert_eq!(receiver.told().len(), expected.len());
}

#[test]
fn order_is_kept_across_failures() {
    let receiver = Receiver::start(|number, _| match number {
        0 => Reaction::Status(500),
        1 => Reaction::Status(404),
        2 => Reaction::With(503, "retry-after", "1".into()),
        _ => Reaction::Status(204),
    });
    let host = Host::start(&ARGS);
    must_set(&host, "main", &receiver.url());
    for name in ["a", "b", "c"] {
        change(&host, "main", name);
    }
    let told = receiver.wait(6, 30);
    assert_eq!(names(&told), ["a", "a", "a", "a", "b", "c"]);
    let ids: Vec<&str> = told.iter().map(|told| told.header("webhook-id")).collect();
    assert!(ids[..4].iter().all(|id| *id == ids[0]) && ids[4] != ids[0], "{ids:?}");
    // The receiver's wish is longer than the schedule has it: the third wait would be a quarter of it.
    assert!(told[3].at - told[2].at >= Duration::from_millis(990), "{:?}", told[3].at - told[2].at);
    settled(&host, "delivered");
    let log = log(&host, "main");
    assert_eq!(log.iter().map(|entry| entry["attempts"].as_u64().expect("a number")).collect::<Vec<_>>(), [1, 1, 4]);
    let statuses: Vec<u64> =
        log[2]["log"].as_array().expect("attempts").iter().map(|tried| tried["status"].as_u64().expect("one")).collect();
    assert_eq!(statuses, [500, 404, 503, 204]);
    assert_eq!((&log[2]["log"][0]["answer"], &log[2]["log"][0]["error"]), (&json!("noted"), &json!("The receiver answered 500.")));
    assert_eq!((&log[2]["webhook_id"], &log[2]["body"]), (&json!(ids[0]), &json!(told[0].body)));
}

#[test]
fn a_crash_between_change_and_delivery() {
    // First nobody listens there.
    let address = Receiver::agreeing().address();
    let home = Home::new();
    let host = home.start(&["--allow-private-webhooks", "--webhook-retry-base", "1000"]);
    must_set(&host, "main", &format!("http://{address}/hook"));
    for name in ["a", "b"] {
        change(&host, "main", name);
    }
    eventually("the first attempt", 20, || log(&host, "main").iter().any(|entry| entry["attempts"] != 0).then_some(()));
    let attempt = log(&host, "main")[1]["log"][0].clone();
    assert!(attempt["error"].as_str().is_some_and(|error| error.contains("cannot be connected to")), "{attempt}");
    assert!(host.log().contains("the webhook could not be told"), "{}", host.log());
    let home = host.kill();
    let receiver = Receiver::start_on(address, |_, _| Reaction::Status(200));
    let host = home.start(&ARGS);
    assert_eq!(names(&receiver.wait(2, 30)), ["a", "b"]);
    settled(&host, "delivered");

    // Told, but killed before that was noted: told again, under the same id.
    let silent = Receiver::start(|_, _| Reaction::Silence);
    must_set(&host, "main", &silent.url());
    change(&host, "main", "c");
    let first = silent.wait(1, 20);
    let home = host.kill();
    let address = silent.address();
    drop(silent);
    let receiver = Receiver::start_on(address, |_, _| Reaction::Status(200));
    let host = home.start(&ARGS);
    let again = receiver.wait(1, 30);
    assert_eq!((names(&again), again[0].header("webhook-id")), (vec!["c".to_owned()], first[0].header("webhook-id")));
    settled(&host, "delivered");
}

#[test]
fn a_silent_receiver_holds_up_nobody_else() {
    let (silent, receiver) = (Receiver::start(|_, _| Reaction::Silence), Receiver::agreeing());
    let host = Host::start(&ARGS);
    assert_eq!(host.request("POST", "/api/workspaces/create").json(&json!({"id": "second"})).send().status, 201);
    must_set(&host, "main", &silent.url());
    must_set(&host, "second", &receiver.url());
    change(&host, "main", "a");
    let stuck = silent.wait(1, 20);
    for name in ["b", "c"] {
        change(&host, "second", name);
    }
    let told = receiver.wait(2, 20);
    assert_eq!((names(&told), told[0].json()["workspace"].clone()), (vec!["b".to_owned(), "c".to_owned()], json!("second")));
    // The attempt at the silent one was not over: nothing of it is noted yet.
    assert_eq!(log(&host, "main")[0]["attempts"], 0);
    assert_eq!(names(&stuck), ["a"]);
    let entry = eventually("the attempt is over", 30, || log(&host, "main").first().filter(|entry| entry["attempts"] == 1).cloned());
    assert_eq!(entry["log"][0]["error"], json!("There was no answer within 10 s"));
}

#[test]
fn a_stop_does_not_wait_for_a_silent_receiver() {
    let silent = Receiver::start(|_, _| Reaction::Silence);
    let mut host = Host::start(&[&ARGS[..], &["--stop-grace", "1"]].concat());
    must_set(&host, "main", &silent.url());
    change(&host, "main", "a");
    silent.wait(1, 20);
    let begun = Instant::now();
    host.terminate();
    assert!(host.ended(20).success());
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
}

#[test]
fn private_addresses() {
    let receiver = Receiver::agreeing();
    let home = Home::new();
    let host = home.start(&["--webhook-retry-base", "50"]);
    let port = receiver.address().port();
    for name in ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "169.254.169.254"] {
        let detail = set(&host, "main", &format!("http://{name}:{port}/hook")).problem(400);
        assert!(detail.contains("--allow-private-webhooks"), "{name}: {detail}");
    }
    for (url, said) in [
        ("ftp://receiver.example/", "https://"),
        ("nonsense", "URL"),
        ("https://ann:pass@receiver.example/", "password"),
        ("https://receiver.example/#part", "fragment"),
        ("https://receiver.example:99999/", "URL"),
    ] {
        let detail = set(&host, "main", url).problem(400);
        assert!(detail.contains(said), "{url}: {detail}");
    }
    assert_eq!(at(&host, "GET", "main", "get_settings").json().get("webhook"), None);

    // One that was allowed once is judged again whenever it is called; a name by what it stands for.
    drop(host);
    for name in ["127.0.0.1", "localhost"] {
        let host = home.start(&ARGS);
        must_set(&host, "main", &format!("http://{name}:{port}/hook"));
        drop(host);
        let host = home.start(&["--webhook-retry-base", "3600000"]);
        change(&host, "main", &format!("to-{}", name.replace('.', "-")));
        let entry = eventually("an attempt", 20, || log(&host, "main").first().filter(|entry| entry["attempts"] == 1).cloned());
        let error = entry["log"][0]["error"].as_str().expect("an error");
        assert!(error.contains("--allow-private-webhooks") && error.contains(name), "{error}");
        assert!(host.log().contains("--allow-private-webhooks"), "{}", host.log());
        let tested = at(&host, "POST", "main", "test_webhook").json();
        assert!(tested["error"].as_str().is_some_and(|error| error.contains("--allow-private-webhooks")), "{tested}");
        // So that the next start, which would be allowed to, has nothing to tell.
        must_set(&host, "main", "");
    }
    assert!(receiver.told().is_empty());
}

#[test]
fn redirects_and_refusals() {
    let elsewhere = Receiver::agreeing();
    let url = elsewhere.url();
    let receiver = Receiver::start(move |number, _| match number {
        0 => Reaction::With(307, "location", url.clone()),
        1 => Reaction::Status(200),
        _ => Reaction::Status(410),
    });
    let host = Host::start(&ARGS);
    must_set(&host, "main", &receiver.url());
    change(&host, "main", "a");
    let entry = settled(&host, "delivered");
    assert_eq!(entry["log"][0]["status"], 307);
    assert!(entry["log"][0]["error"].as_str().is_some_and(|error| error.contains("redirects are not followed")), "{entry}");
    change(&host, "main", "b");
    let entry = settled(&host, "given_up");
    assert_eq!((&entry["attempts"], &entry["log"][0]["status"]), (&json!(1), &json!(410)));
    assert!(entry["settled_at"].is_string() && entry.get("next_attempt_at").is_none(), "{entry}");
    assert!(elsewhere.told().is_empty());
}

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
    assert_eq!((&tested["delivered"], &tested["status"], tested.get("error")), (&json!(true), &json!(202), None), "{tested}");
    assert!(tested["duration_ms"].is_u64(), "{tested}");
    let told = receiver.told();
    let test = told.iter().find(|told| told.header("ce-type") == "dev.wasmill.webhook.test").expect("the test");
    assert_eq!(test.json(), json!({"type": "Test", "workspace": "main"}));
    assert_eq!(test.header("webhook-signature"), signature(test, &secret(&host)));
    // A receiver that takes it is worth telling what waits.
    receiver.wait(3, 20);
    eventually("the second attempt is noted", 20, || (log(&host, "main")[3]["attempts"] == 2).then_some(()));
    let all = log(&host, "main");
    let kinds: Vec<&str> = all.iter().map(|entry| entry["type"].as_str().expect("a type")).collect();
    assert_eq!(kinds, ["Test", "CreateScript", "CreateScript", "CreateScript"]);
    assert_eq!((&all[0]["id"], &all[0]["status"], &all[3]["status"]), (&tested["id"], &json!("delivered"), &json!("waiting")));
    assert!(all[3]["next_attempt_at"].is_string() && all[2].get("next_attempt_at").is_none(), "{all:?}");
    let page = at(&host, "GET", "main", "webhook_deliveries?per_page=2").json();
    assert_eq!(page, json!(all[..2]));
    let page = at(&host, "GET", "main", &format!("webhook_deliveries?per_page=2&before={}", all[1]["id"])).json();
    assert_eq!(page, json!(all[2..]));
    at(&host, "GET", "main", "webhook_deliveries?before=x").problem(400);
    drop(receiver);

    let receiver = Receiver::agreeing();
    must_set(&host, "main", &receiver.url());
    assert_eq!(names(&receiver.wait(3, 20)), ["a", "b", "c"]);
    eventually("all is delivered", 20, || log(&host, "main").iter().all(|entry| entry["status"] == "delivered").then_some(()));
    let again = at(&host, "POST", "main", &format!("redeliver_webhook/{}", all[2]["id"]));
    assert_eq!(again.status, 200, "{again:?}");
    let told = receiver.wait(4, 20);
    assert_eq!((names(&told)[3].as_str(), told[3].header("webhook-id")), ("b", told[1].header("webhook-id")));
    at(&host, "POST", "main", "redeliver_webhook/999999").problem(404);
    at(&host, "POST", "main", "redeliver_webhook/x").problem(404);
    let unreachable = { Receiver::agreeing().url() };
    must_set(&host, "main", &unreachable);
    let tested = at(&host, "POST", "main", "test_webhook").json();
    assert_eq!((&tested["delivered"], tested.get("status")), (&json!(false), None));
    assert!(tested["error"].as_str().is_some_and(|error| error.contains("cannot be connected to")), "{tested}");
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
    let rotate = |body: Value| host.request("POST", "/api/w/main/workspaces/rotate_webhook_secret").json(&body).send().json();
    let rotated = at(&host, "POST", "main", "rotate_webhook_secret").json();
    let new = rotated["webhook_secret"].as_str().expect("a secret").to_owned();
    assert!(new != old && rotated["previous_until"].is_string(), "{rotated}");
    let settings = at(&host, "GET", "main", "get_settings").json();
    assert_eq!((&settings["webhook_secret"], &settings["previous_webhook_secret"]["secret"]), (&json!(new), &json!(old)));
    change(&host, "main", "a");
    let told = receiver.wait(1, 20).remove(0);
    assert_eq!(told.line, "POST /hook?x=1 HTTP/1.1");
    assert_eq!(told.header("webhook-signature"), format!("{} {}", signature(&told, &new), signature(&told, &old)));
    // One that has become known is used no more.
    let rotated = rotate(json!({"keep_old_for_secs": 0}));
    let newest = rotated["webhook_secret"].as_str().expect("a secret").to_owned();
    assert_eq!(rotated.get("previous_until"), None);
    change(&host, "main", "b");
    let told = receiver.wait(2, 20).remove(1);
    assert_eq!(told.header("webhook-signature"), signature(&told, &newest));
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
    let developer = token("/api/users/tokens/impersonate", json!({"impersonate_email": "dev@example.com"}));
    let reader = token("/api/users/tokens/create", json!({"scopes": ["workspaces:read"]}));
    let runner = token("/api/users/tokens/create", json!({"scopes": ["jobs:run"]}));
    let ask =
        |token: &str, method: &str, action: &str| host.request(method, &format!("/api/w/main/workspaces/{action}")).token(token).send();
    for action in ["edit_webhook", "rotate_webhook_secret", "test_webhook", "redeliver_webhook/1"] {
        for (token, said) in [(&developer, "administrator"), (&reader, "workspaces:write"), (&runner, "workspaces:write")] {
            let detail = ask(token, "POST", action).problem(403);
            assert!(detail.contains(said), "{action}: {detail}");
        }
    }
    ask(&developer, "GET", "webhook_deliveries").problem(403);
    assert_eq!(ask(&reader, "GET", "webhook_deliveries").status, 200);
    ask(&runner, "GET", "get_settings").problem(403);
    assert_eq!(ask(&developer, "GET", "get_settings").json(), json!({"workspace_id": "main", "name": "Main"}));
    let settings = ask(&reader, "GET", "get_settings").json();
    assert_eq!((&settings["webhook"], &settings["name"]), (&json!(receiver.url()), &json!("Main")));
    assert!(settings["webhook_secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_")), "{settings}");
    // Absent and null clear it as the empty text does.
    for body in [json!({}), json!({"webhook": null})] {
        must_set(&host, "main", &receiver.url());
        assert_eq!(host.request("POST", "/api/w/main/workspaces/edit_webhook").json(&body).send().status, 200);
        assert_eq!(at(&host, "GET", "main", "get_settings").json().get("webhook"), None);
    }
    assert!(receiver.told().is_empty());
}
