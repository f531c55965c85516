//! Synchronous runs that go on as jobs without their caller, and bounds of what may wait.

use serde_json::{Value, json};
use std::time::Duration;
use wasmill_tests::{Home, Host, Wire, eventually, guest};

const BOTH: &str = "on_hang_up=continue&on_sync_timeout=continue";

/// Calls a script that is late, and returns the id of the job that goes on.
fn late(host: &Host, path: &str, args: &Value) -> String {
    let answer = host.call(path, args);
    let detail = answer.problem(504);
    let id = answer.header("x-wasmill-job-id").to_owned();
    assert!(detail.contains(&id) && detail.contains("goes on"), "{detail}");
    assert_eq!(answer.header("x-wasmill-job-status"), "", "{answer:?}");
    id
}

/// Calls, and hangs up once the script runs for sure.
fn hang_up(host: &Host, verb: &str, path: &str, args: &Value) {
    let body = args.to_string();
    let mut wire = Wire::open(host.address);
    wire.send(format!(
        "POST /api/w/main/jobs/{verb}/p/{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        host.token,
        body.len()
    ));
    std::thread::sleep(Duration::from_millis(500));
    wire.hang_up();
}

fn only_job(host: &Host, path: &str) -> Value {
    eventually(&format!("there is a job of {path}"), 20, || {
        let listed = host.get(&format!("/api/w/main/jobs/list?script_path_exact={path}")).json();
        Some(listed[0].clone()).filter(Value::is_object)
    })
}

#[test]
fn a_late_run_goes_on() {
    let host = Host::start(&["--sync-timeout", "1"]);
    host.push(&format!("u/on/slow?{BOTH}"), &guest("slow"));
    let id = late(&host, "u/on/slow", &json!({"seconds": 4}));
    let job = host.job(&id);
    assert_eq!(
        (&job["type"], &job["running"], &job["args"]),
        (&json!("QueuedJob"), &json!(true), &json!({"seconds": 4}))
    );
    assert_eq!(host.get("/api/w/main/jobs/queue/list?running=true").json()[0]["id"], json!(id));
    // Followed while it runs.
    eventually("its log grows", 20, || host.job_log(&id).contains("2 of 4").then_some(()));
    let update = host.get(&format!("/api/w/main/jobs_u/getupdate/{id}")).json();
    assert!(update["new_logs"].as_str().is_some_and(|text| text.contains("1 of 4")), "{update}");
    let over = host.wait(&id, 20);
    assert_eq!((&over["result"], &over["success"]), (&json!({"slept": 4}), &json!(true)));
    assert_eq!(host.job(&id)["attempt"], 1);
    assert!(host.job_log(&id).contains("4 of 4"));
    // Quick runs of the same script are answered as ever.
    let quick = host.call("u/on/slow", &json!({"seconds": 0}));
    assert_eq!(
        (quick.status, quick.header("x-wasmill-job-status"), quick.json()),
        (200, "success", json!({"slept": 0}))
    );
    eventually("it is recorded", 10, || {
        (host.get(&format!("/api/w/main/jobs_u/get/{}", quick.header("x-wasmill-job-id"))).status
            == 200)
            .then_some(())
    });
}

#[test]
fn it_can_be_cancelled() {
    let host = Host::start(&["--sync-timeout", "1"]);
    host.push(&format!("u/on/misbehave?{BOTH}"), &guest("misbehave"));
    let id = late(&host, "u/on/misbehave", &json!({"op": "spin"}));
    let answer = host
        .request("POST", &format!("/api/w/main/jobs_u/queue/cancel/{id}"))
        .json(&json!({"reason": "enough"}))
        .send();
    assert_eq!(answer.text(), id);
    assert_eq!(host.wait(&id, 20)["result"]["error"]["message"], "Job canceled: enough by admin");
    host.push(&format!("u/on/brief?timeout_s=2&{BOTH}"), &guest("misbehave"));
    // Its own limit still is one.
    let id = late(&host, "u/on/brief", &json!({"op": "spin"}));
    assert_eq!(host.wait(&id, 20)["result"]["error"]["name"], "Timeout");
}

#[test]
fn a_run_whose_caller_hung_up_goes_on() {
    let host = Host::start(&[]);
    for verb in ["run_wait_result", "run_and_stream"] {
        let path = format!("u/on/{verb}");
        host.push(&format!("{path}?on_hang_up=continue"), &guest("slow"));
        hang_up(&host, verb, &path, &json!({"seconds": 3}));
        let job = only_job(&host, &path);
        assert_eq!((&job["type"], &job["running"]), (&json!("QueuedJob"), &json!(true)), "{verb}");
        assert_eq!(
            host.wait(job["id"].as_str().expect("an id"), 20)["result"],
            json!({"slept": 3}),
            "{verb}"
        );
    }
}

#[test]
fn each_switch_is_for_its_own_case() {
    let host = Host::start(&["--sync-timeout", "2"]);
    host.push("u/on/hang_up?on_hang_up=continue", &guest("slow"));
    host.push("u/on/timeout?on_sync_timeout=continue", &guest("slow"));
    let answer = host.call("u/on/hang_up", &json!({"seconds": 30}));
    assert!(answer.problem(504).contains("was cancelled"));
    assert_eq!(only_job(&host, "u/on/hang_up")["success"], false);
    hang_up(&host, "run_wait_result", "u/on/timeout", &json!({"seconds": 30}));
    let job = only_job(&host, "u/on/timeout");
    assert_eq!((&job["type"], &job["canceled"]), (&json!("CompletedJob"), &json!(true)));
}

#[test]
fn a_shutdown_gives_it_back_and_a_crash_counts() {
    let home = Home::new();
    let mut host = home.start(&["--sync-timeout", "1", "--stop-grace", "1"]);
    host.push(&format!("u/on/slow?{BOTH}"), &guest("slow"));
    let id = late(&host, "u/on/slow", &json!({"seconds": 6}));
    host.terminate();
    assert!(host.ended(20).success());
    let host = home.start(&["--sync-timeout", "1"]);
    assert_eq!(host.wait(&id, 30)["result"], json!({"slept": 6}));
    assert_eq!(host.job(&id)["attempt"], 1, "the start that was cut off does not count");
    let id = late(&host, "u/on/slow", &json!({"seconds": 6}));
    let home = host.kill();
    let host = home.start(&[]);
    assert_eq!(host.wait(&id, 30)["result"], json!({"slept": 6}));
    assert_eq!(host.job(&id)["attempt"], 2);
}

#[test]
fn what_may_wait() {
    let host = Host::start(&["--workers", "0", "--queue-limit", "3"]);
    host.push("u/on/hello", &guest("hello"));
    let queue = |query: &str| {
        host.request("POST", &format!("/api/w/main/jobs/run/p/u/on/hello{query}"))
            .json(&json!({"name": "Ann"}))
            .send()
    };
    let sync = |limit: u32| {
        host.calling(&format!("p/u/on/hello?queue_limit={limit}"))
            .json(&json!({"name": "Ann"}))
            .send()
    };
    assert_eq!(sync(0).status, 200);
    for query in ["", "", "?scheduled_in_secs=3600"] {
        assert_eq!(queue(query).status, 201);
    }
    let full = queue("");
    assert!(
        full.problem(429).contains("3 jobs wait") && full.header("retry-after") == "5",
        "{full:?}"
    );
    assert_eq!(host.get("/api/w/main/jobs/queue/count").json()["database_length"], 3);
    // Decided before the body is looked at, which is no JSON.
    let broken = host.request("POST", "/api/w/main/jobs/run/p/u/on/hello");
    broken.body("application/json", b"{").send().problem(429);
    // For a synchronous call those that are due count, and only when it asks.
    assert_eq!(sync(2).status, 200);
    let long = sync(1);
    assert!(long.problem(429).contains("2 jobs") && long.header("retry-after") == "5", "{long:?}");
    let stream = host
        .request("POST", "/api/w/main/jobs/run_and_stream/p/u/on/hello?queue_limit=1")
        .json(&json!({"name": "Ann"}))
        .send();
    stream.problem(429);
    assert_eq!(host.calling("p/u/on/hello").json(&json!({"name": "Ann"})).send().status, 200);
    assert!(
        host.calling("p/u/on/hello?queue_limit=many")
            .json(&json!({}))
            .send()
            .problem(400)
            .contains("queue_limit")
    );
    // Others come in as those that wait are cancelled.
    let first =
        host.get("/api/w/main/jobs/queue/list").json()[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(
        host.request("POST", &format!("/api/w/main/jobs_u/queue/cancel/{first}")).send().status,
        200
    );
    assert_eq!(queue("").status, 201);
}
