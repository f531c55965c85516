//! Receivers that are slow, silent, elsewhere, or where nobody may send the host.

use super::{ARGS, at, change, log, must_set, names, set, settled};
use serde_json::json;
use std::time::{Duration, Instant};
use wasmill_tests::{Home, Host, Reaction, Receiver, eventually};

#[test]
fn a_silent_receiver_holds_up_nobody_else() {
    let (silent, receiver) = (Receiver::start(|_, _| Reaction::Silence), Receiver::agreeing());
    let host = Host::start(&ARGS);
    assert_eq!(
        host.request("POST", "/api/workspaces/create").json(&json!({"id": "second"})).send().status,
        201
    );
    must_set(&host, "main", &silent.url());
    must_set(&host, "second", &receiver.url());
    change(&host, "main", "a");
    let stuck = silent.wait(1, 20);
    for name in ["b", "c"] {
        change(&host, "second", name);
    }
    let told = receiver.wait(2, 20);
    assert_eq!(
        (names(&told), told[0].json()["workspace"].clone()),
        (vec!["b".to_owned(), "c".to_owned()], json!("second"))
    );
    // The attempt at the silent one was not over: nothing of it is noted yet.
    assert_eq!(log(&host, "main")[0]["attempts"], 0);
    assert_eq!(names(&stuck), ["a"]);
    let entry = eventually("the attempt is over", 30, || {
        log(&host, "main").first().filter(|entry| entry["attempts"] == 1).cloned()
    });
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
    for name in [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "10.0.0.1",
        "169.254.169.254",
    ] {
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

    // One that was allowed once is judged again whenever it is called; a name by what it stands
    // for.
    drop(host);
    for name in ["127.0.0.1", "localhost"] {
        let host = home.start(&ARGS);
        must_set(&host, "main", &format!("http://{name}:{port}/hook"));
        drop(host);
        let host = home.start(&["--webhook-retry-base", "3600000"]);
        change(&host, "main", &format!("to-{}", name.replace('.', "-")));
        let entry = eventually("an attempt", 20, || {
            log(&host, "main").first().filter(|entry| entry["attempts"] == 1).cloned()
        });
        let error = entry["log"][0]["error"].as_str().expect("an error");
        assert!(error.contains("--allow-private-webhooks") && error.contains(name), "{error}");
        assert!(host.log().contains("--allow-private-webhooks"), "{}", host.log());
        let tested = at(&host, "POST", "main", "test_webhook").json();
        assert!(
            tested["error"]
                .as_str()
                .is_some_and(|error| error.contains("--allow-private-webhooks")),
            "{tested}"
        );
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
    assert!(
        entry["log"][0]["error"]
            .as_str()
            .is_some_and(|error| error.contains("redirects are not followed")),
        "{entry}"
    );
    change(&host, "main", "b");
    let entry = settled(&host, "given_up");
    assert_eq!((&entry["attempts"], &entry["log"][0]["status"]), (&json!(1), &json!(410)));
    assert!(entry["settled_at"].is_string() && entry.get("next_attempt_at").is_none(), "{entry}");
    assert!(elsewhere.told().is_empty());
}
