//! What a script's author decides about its queued runs: given by an upload's query, by its
//! description in JSON and by the command line, and shown again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wasmill_tests::{Answer, Host, guest, shared};

const RETRY: &str = r#"{"constant":{"attempts":2,"seconds":0},"exponential":{"attempts":1,"multiplier":3,"seconds":2,"random_factor":10}}"#;

fn quoted(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

fn create(host: &Host, path: &str, settings: &Value) -> Answer {
    let mut script =
        json!({"path": path, "content": STANDARD.encode(guest("hello")), "language": "wasm"});
    script
        .as_object_mut()
        .expect("an object")
        .extend(settings.as_object().expect("an object").clone());
    host.request("POST", "/api/w/main/scripts/create").json(&script).send()
}

fn shown(host: &Host, hash: &str) -> Value {
    host.get(&format!("/api/w/main/scripts/get/h/{hash}")).json()
}

#[test]
fn given_in_three_ways_and_shown() {
    let host = shared();
    let path = "u/settings/queue";
    let query = format!(
        "retry={}&concurrent_limit=2&concurrency_key={}",
        quoted(RETRY),
        quoted("$args[name]/$workspace")
    );
    let uploaded = host.push(&format!("{path}?{query}"), &guest("hello"));
    let script = shown(&host, &uploaded.hash);
    let retry: Value = serde_json::from_str(RETRY).expect("JSON");
    let settings =
        json!({"retry": retry, "concurrent_limit": 2, "concurrency_key": "$args[name]/$workspace"});
    assert_eq!(script["settings"], settings, "{script}");
    assert_eq!(
        (&script["concurrent_limit"], &script["concurrency_key"]),
        (&json!(2), &json!("$args[name]/$workspace"))
    );

    // The same decisions are the same version, however they are told.
    let mut described = settings.clone();
    described["parent_hash"] = json!(uploaded.hash);
    described["concurrency_time_window_s"] = Value::Null;
    assert_eq!(create(&host, path, &described).text(), uploaded.hash);
    let file = host.home().path("settings.wasm");
    std::fs::write(&file, guest("hello")).expect("it is written");
    let push = |flags: &[&str]| {
        let all = [&["push", "--json", "--path", path], flags].concat();
        let printed = host.cli(&all).arg(&file).ok();
        let told: Value = serde_json::from_str(&printed).expect("JSON");
        told["hash"].as_str().expect("a hash").to_owned()
    };
    let flags = [
        "--retry",
        RETRY,
        "--concurrent-limit",
        "2",
        "--concurrency-key",
        "$args[name]/$workspace",
    ];
    assert_eq!(push(&flags), uploaded.hash);

    let by_flags = push(&["--retry-attempts", "4", "--retry-seconds", "3"]);
    assert_ne!(by_flags, uploaded.hash);
    assert_eq!(
        shown(&host, &by_flags)["settings"],
        json!({"retry": {"constant": {"attempts": 4, "seconds": 3}}})
    );
    let growing = push(&[
        "--retry-attempts",
        "4",
        "--retry-seconds",
        "3",
        "--retry-exponential",
        "--retry-random",
        "20",
    ]);
    let exponential = json!({"attempts": 4, "multiplier": 1, "seconds": 3, "random_factor": 20});
    assert_eq!(shown(&host, &growing)["settings"], json!({"retry": {"exponential": exponential}}));
    let plain = push(&[]);
    // What says nothing is not there.
    let nothing = format!(
        "{path}?retry=%7B%7D&concurrent_limit=0&concurrency_key=&concurrency_time_window_s=0"
    );
    assert_eq!(host.push(&nothing, &guest("hello")).hash, plain);
    let script = shown(&host, &plain);
    assert_eq!(
        (&script["settings"], script.get("concurrent_limit"), script.get("concurrency_key")),
        (&json!({}), None, None)
    );
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let host = shared();
    let upload = |query: &str| {
        host.upload(&format!("u/settings/refused?{query}"), &guest("hello")).problem(400)
    };
    for (query, word) in [
        (format!("retry={}", quoted("3")), "retry"),
        (format!("retry={}", quoted(r#"{"constant":{"attempts":101,"seconds":1}}"#)), "101"),
        (format!("retry={}", quoted(r#"{"retry_if":{"expr":"true"}}"#)), "retry_if"),
        ("concurrent_limit=few".into(), "concurrent_limit"),
        ("concurrent_limit=-1".into(), "concurrent_limit"),
        ("concurrency_key=k".into(), "concurrent_limit"),
        (format!("concurrent_limit=1&concurrency_key={}", "k".repeat(501)), "500"),
        ("concurrent_limit=1&concurrency_time_window_s=60".into(), "not supported"),
        ("concurrent_limit=1&delete_after_use=true".into(), "deleted after use"),
    ] {
        let detail = upload(&query);
        assert!(detail.contains(word), "{query}: {detail}");
    }
    for (settings, word) in [
        (json!({"retry": "often"}), "RetryPolicy"),
        (json!({"retry": {"exponential": {"attempts": 1, "seconds": 0}}}), "seconds"),
        (json!({"concurrent_limit": -1}), "-1"),
        (json!({"concurrency_key": "k"}), "concurrent_limit"),
        (json!({"concurrent_limit": 1, "concurrency_time_window_s": 60}), "not supported"),
    ] {
        let detail = create(&host, "u/settings/refused", &settings).problem(400);
        assert!(detail.contains(word), "{settings}: {detail}");
    }
    assert_eq!(host.get("/api/w/main/scripts/exists/p/u/settings/refused").json(), json!(false));
}

#[test]
fn a_job_shows_how_it_is_run() {
    let host = shared();
    host.push(
        &format!("u/settings/job?retry={}&concurrent_limit=3", quoted(RETRY)),
        &guest("hello"),
    );
    let queued = |query: &str| {
        let address =
            format!("/api/w/main/jobs/run/p/u/settings/job?scheduled_in_secs=3600&{query}");
        host.request("POST", &address).json(&json!({"name": "Ann"})).send()
    };
    let own = json!({"constant": {"attempts": 1, "seconds": 7}});
    let retry: Value = serde_json::from_str(RETRY).expect("JSON");
    for (query, expected) in [
        (String::new(), Some(&retry)),
        (format!("retry={}", quoted(&own.to_string())), Some(&own)),
        // Not at all, whatever the script says.
        ("retry=%7B%7D".into(), None),
    ] {
        let job = host.job(&queued(&format!("timeout=9&{query}")).text());
        assert_eq!(job.get("retry"), expected, "{query}: {job}");
        assert_eq!(
            (&job["concurrent_limit"], &job["timeout"], &job["attempt"]),
            (&json!(3), &json!(9), &json!(0)),
            "{job}"
        );
    }
    for wrong in ["3", "%7B", "%7B%22constant%22:%7B%22attempts%22:200,%22seconds%22:1%7D%7D"] {
        let detail = queued(&format!("retry={wrong}")).problem(400);
        assert!(detail.contains("retry"), "{detail}");
    }
    host.calling("p/u/settings/job?retry=3").json(&json!({"name": "Ann"})).send().problem(400);
}

/// Those that a limit holds back are in the queue like others.
#[test]
fn what_is_held_back_is_listed_as_waiting() {
    let host = shared();
    host.push("u/settings/narrow?concurrent_limit=1", &guest("slow"));
    let first = host.queue("u/settings/narrow", &json!({"seconds": 60}));
    wasmill_tests::eventually("the first one runs", 20, || {
        (host.job(&first)["running"] == true).then_some(())
    });
    let second = host.queue("u/settings/narrow", &json!({"seconds": 0}));
    let ids = |query: &str| -> Vec<Value> {
        let list = host
            .get(&format!("/api/w/main/jobs/queue/list?script_path_exact=u/settings/narrow{query}"))
            .json();
        list.as_array().expect("a list").iter().map(|job| job["id"].clone()).collect()
    };
    assert_eq!(ids(""), [json!(second), json!(first)]);
    assert_eq!(ids("&running=false"), [json!(second)]);
    assert_eq!(ids("&running=true"), [json!(first)]);
    let held = host.job(&second);
    assert_eq!(
        (&held["type"], &held["running"], &held["attempt"]),
        (&json!("QueuedJob"), &json!(false), &json!(0)),
        "{held}"
    );
    // Once the one before it is gone, it runs.
    host.request("POST", &format!("/api/w/main/jobs_u/queue/cancel/{first}")).send();
    assert_eq!(host.wait(&second, 20)["result"], json!({"slept": 0}));
}
