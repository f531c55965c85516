//! What is told, in which order, and that nothing is lost.

use super::{ARGS, change, log, must_set, names, secret, settled, signature};
use serde_json::json;
use std::time::Duration;
use wasmill_tests::{Home, Host, Reaction, Receiver, eventually, guest};

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
        assert_eq!(
            (told.header("ce-specversion"), told.header("ce-type")),
            ("1.0", format!("dev.wasmill.script.{kind}").as_str())
        );
        assert_eq!(told.header("ce-source"), format!("{}/api/w/main", host.url()));
        assert_eq!(
            (told.header("ce-subject"), told.header("ce-id")),
            (path, told.header("webhook-id"))
        );
        assert!(told.header("ce-time").ends_with('Z'), "{told:?}");
        assert_eq!(told.header("webhook-signature"), signature(told, &secret));
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("after 1970")
            .as_secs();
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
fn every_change_of_variables_and_resources() {
    let receiver = Receiver::agreeing();
    let host = Host::start(&ARGS);
    must_set(&host, "main", &receiver.url());
    let send = |method: &str, route: &str, body: &serde_json::Value, status: u16| {
        let answer = host.request(method, &format!("/api/w/main/{route}")).json(body).send();
        assert_eq!(answer.status, status, "{route}: {answer:?}");
    };
    let mut expected = Vec::new();
    for (room, name, new) in [
        (
            "variables",
            "Variable",
            json!({"path": "u/outbox/a", "value": "SECRET", "is_secret": true, "description": ""}),
        ),
        (
            "resources",
            "Resource",
            json!({"path": "u/outbox/a", "value": {"a": "SECRET"}, "resource_type": "any"}),
        ),
    ] {
        send("POST", &format!("{room}/create"), &new, 201);
        // Refused, and so no change.
        send("POST", &format!("{room}/create"), &new, 409);
        send("POST", &format!("{room}/update/u/outbox/a"), &json!({"value": new["value"]}), 200);
        send("POST", &format!("{room}/update/u/outbox/a"), &json!({"path": "u/outbox/b"}), 200);
        send("DELETE", &format!("{room}/delete/u/outbox/b"), &json!({}), 200);
        let of = |kind: &str, path: &str| json!({"type": format!("{kind}{name}"), "workspace": "main", "path": path});
        let update = |old: &str, new: &str| json!({"type": format!("Update{name}"), "workspace": "main", "old_path": format!("u/outbox/{old}"), "new_path": format!("u/outbox/{new}")});
        expected.extend([
            of("Create", "u/outbox/a"),
            update("a", "a"),
            update("a", "b"),
            of("Delete", "u/outbox/b"),
        ]);
    }
    let told = receiver.wait(expected.len(), 20);
    assert_eq!(told.iter().map(wasmill_tests::Told::json).collect::<Vec<_>>(), expected);
    let kinds: Vec<&str> = told.iter().map(|told| told.header("ce-type")).collect();
    let of = |room: &str| {
        ["created", "updated", "updated", "deleted"]
            .map(|kind| format!("dev.wasmill.{room}.{kind}"))
    };
    assert_eq!(kinds, [of("variable"), of("resource")].concat());
    assert_eq!(told[2].header("ce-subject"), "u/outbox/b");
    assert!(told.iter().all(|told| !told.body.contains("SECRET")));
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
    // The receiver's wish is longer than the schedule has it: the third wait would be a quarter of
    // it.
    assert!(told[3].at - told[2].at >= Duration::from_millis(990), "{:?}", told[3].at - told[2].at);
    settled(&host, "delivered");
    let log = log(&host, "main");
    assert_eq!(
        log.iter().map(|entry| entry["attempts"].as_u64().expect("a number")).collect::<Vec<_>>(),
        [1, 1, 4]
    );
    let statuses: Vec<u64> = log[2]["log"]
        .as_array()
        .expect("attempts")
        .iter()
        .map(|tried| tried["status"].as_u64().expect("one"))
        .collect();
    assert_eq!(statuses, [500, 404, 503, 204]);
    assert_eq!(
        (&log[2]["log"][0]["answer"], &log[2]["log"][0]["error"]),
        (&json!("noted"), &json!("The receiver answered 500."))
    );
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
    eventually("the first attempt", 20, || {
        log(&host, "main").iter().any(|entry| entry["attempts"] != 0).then_some(())
    });
    let attempt = log(&host, "main")[1]["log"][0].clone();
    assert!(
        attempt["error"].as_str().is_some_and(|error| error.contains("cannot be connected to")),
        "{attempt}"
    );
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
    assert_eq!(
        (names(&again), again[0].header("webhook-id")),
        (vec!["c".to_owned()], first[0].header("webhook-id"))
    );
    settled(&host, "delivered");
}
