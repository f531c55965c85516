//! Queued runs that fail and are tried again, and what is told of each attempt.

use serde_json::{Value, json};
use wasmill_tests::{Host, eventually, guest, shared};

fn attempts(host: &Host, id: &str) -> Vec<Value> {
    let answer = host.get(&format!("/api/w/main/jobs_u/get_attempts/{id}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json().as_array().expect("a list").clone()
}

fn told(attempts: &[Value]) -> Vec<(u64, &str)> {
    let told =
        attempts.iter().map(|attempt| (attempt["attempt"].as_u64(), attempt["status"].as_str()));
    told.map(|(attempt, status)| (attempt.expect("a number"), status.expect("a status"))).collect()
}

/// `retry` as a query has it: so many at the same distance.
fn constant(attempts: u32, seconds: u32) -> String {
    format!("retry=%7B%22constant%22:%7B%22attempts%22:{attempts},%22seconds%22:{seconds}%7D%7D")
}

#[test]
fn every_attempt_is_told() {
    let host = shared();
    host.push(&format!("u/retries/hello?{}", constant(2, 0)), &guest("hello"));
    let id = host.queue("u/retries/hello", &json!({"name": "Ann", "times": 101}));
    assert_eq!(host.wait(&id, 30)["success"], json!(false));
    assert_eq!(host.job(&id)["attempt"], json!(3));
    let all = attempts(&host, &id);
    assert_eq!(told(&all), [(1, "failure"), (2, "failure"), (3, "failure")]);
    for attempt in &all {
        assert_eq!(attempt["result"]["error"]["name"], "ScriptError", "{attempt}");
        assert!(
            attempt["logs"].as_str().is_some_and(|log| log.contains("greeting Ann, 101 times")),
            "{attempt}"
        );
        assert!(attempt["started_at"].is_string() && attempt["duration_ms"].is_u64(), "{attempt}");
    }
    let started: Vec<&str> =
        all.iter().filter_map(|attempt| attempt["started_at"].as_str()).collect();
    assert!(started.is_sorted(), "{started:?}");

    let good = host.queue("u/retries/hello", &json!({"name": "Ann"}));
    host.wait(&good, 20);
    let all = attempts(&host, &good);
    assert_eq!(
        (told(&all), &all[0]["result"]["greeting"]),
        (vec![(1, "success")], &json!("Hello Ann!"))
    );
    // What no retry would help is tried once.
    let wrong = host.queue("u/retries/hello", &json!({"name": 7}));
    assert_eq!(host.wait(&wrong, 20)["result"]["error"]["name"], "InvalidArguments");
    assert_eq!(told(&attempts(&host, &wrong)), [(1, "failure")]);
}

#[test]
fn while_it_waits_runs_and_is_cancelled() {
    let host = shared();
    host.push("u/retries/slow", &guest("slow"));
    host.push("u/retries/hello-later", &guest("hello"));
    let address = format!("/api/w/main/jobs/run/p/u/retries/hello-later?{}", constant(3, 3600));
    let id =
        host.request("POST", &address).json(&json!({"name": "Ann", "times": 101})).send().text();
    let all = eventually("the first attempt is over", 20, || {
        Some(attempts(&host, &id)).filter(|all| told(all) == [(1, "failure")])
    });
    assert_eq!(all[0]["result"]["error"]["name"], "ScriptError");
    let job = host.job(&id);
    assert_eq!(
        (&job["type"], &job["running"], &job["attempt"]),
        (&json!("QueuedJob"), &json!(false), &json!(1)),
        "{job}"
    );
    assert!(job["scheduled_for"].as_str() > job["created_at"].as_str(), "{job}");
    assert_eq!(
        host.request("POST", &format!("/api/w/main/jobs_u/queue/cancel/{id}")).send().status,
        200
    );
    assert_eq!(host.wait(&id, 20)["result"]["error"]["name"], "Canceled");
    assert_eq!(told(&attempts(&host, &id)), [(1, "failure")]);

    let waiting = host
        .request("POST", "/api/w/main/jobs/run/p/u/retries/slow?scheduled_in_secs=3600")
        .json(&json!({"seconds": 1}))
        .send()
        .text();
    assert_eq!(told(&attempts(&host, &waiting)), []);
    let running = host.queue("u/retries/slow", &json!({"seconds": 60}));
    let all = eventually("its log grows", 20, || {
        let all = attempts(&host, &running);
        all.first()
            .and_then(|attempt| attempt["logs"].as_str())
            .is_some_and(|log| log.contains("1 of 60"))
            .then_some(all)
    });
    assert_eq!(
        (told(&all), all[0].get("result"), all[0].get("duration_ms")),
        (vec![(1, "running")], None, None)
    );
    host.request("POST", &format!("/api/w/main/jobs_u/queue/cancel/{running}")).send();
    host.wait(&running, 20);
    assert_eq!(told(&attempts(&host, &running)), [(1, "canceled")]);
}

#[test]
fn a_lost_attempt_is_told() {
    let host = Host::start(&[]);
    host.push("u/retries/slow", &guest("slow"));
    let id = host.queue("u/retries/slow", &json!({"seconds": 2}));
    eventually("it runs", 20, || (host.job(&id)["running"] == true).then_some(()));
    let host = host.kill().start(&[]);
    assert_eq!(host.wait(&id, 60)["result"], json!({"slept": 2}));
    let all = attempts(&host, &id);
    assert_eq!(told(&all), [(1, "lost"), (2, "success")]);
    assert!(
        all[0]["result"]["error"]["message"]
            .as_str()
            .is_some_and(|message| message.contains("went away")),
        "{}",
        all[0]
    );
}

/// The same rights as the job, and the same end: what was erased is in no attempt either.
#[test]
fn rights_and_erasure() {
    let host = shared();
    host.push(&format!("u/retries/gone?delete_after_use=true&{}", constant(1, 0)), &guest("hello"));
    let token = |scopes: Value| {
        host.request("POST", "/api/users/tokens/create")
            .json(&json!({"scopes": scopes}))
            .send()
            .text()
    };
    let (own, other) = (
        token(json!(["jobs:run:scripts:u/retries/gone"])),
        token(json!(["jobs:run:scripts:u/retries/gone"])),
    );
    let queued = host.request("POST", "/api/w/main/jobs/run/p/u/retries/gone").token(&own);
    let id = queued.json(&json!({"name": "Ann", "times": 101})).send().text();
    eventually("it is over", 20, || {
        (host.get(&format!("/api/w/main/jobs_u/getupdate/{id}?no_logs=true")).json()["completed"]
            == true)
            .then_some(())
    });
    let address = format!("/api/w/main/jobs_u/get_attempts/{id}");
    host.request("GET", &address).token(&other).send().problem(404);
    host.request("GET", &address).anonymous().send().problem(401);
    let first = host.request("GET", &address).token(&own).send().json();
    assert_eq!(first[1]["result"]["error"]["name"], "ScriptError", "{first}");
    let second = host.request("GET", &address).token(&own).send().json();
    let second = second.as_array().expect("a list");
    assert_eq!(told(second), [(1, "failure"), (2, "failure")]);
    for attempt in second {
        assert_eq!((&attempt["result"], &attempt["logs"]), (&Value::Null, &json!("")), "{attempt}");
    }
    host.get("/api/w/main/jobs_u/get_attempts/01937f4e-0000-7000-8000-000000000000").problem(404);
}
