//! How long finished jobs are kept.

use serde_json::{Value, json};
use wasmill_tests::{Answer, Home, Host, eventually, guest};

fn set(host: &Host, what: &str, body: &Value) -> Answer {
    host.request("POST", &format!("/api/w/main/{what}")).json(body).send()
}

fn set_well(host: &Host, what: &str, body: &Value) {
    let answer = set(host, what, body);
    assert_eq!(answer.status, 200, "{what}: {answer:?}");
}

/// Runs a script, once synchronously and once queued, and returns the jobs' ids.
fn run(host: &Host, path: &str) -> [String; 2] {
    let queued = host.queue(path, &json!({"name": "Ann"}));
    host.wait(&queued, 20);
    [host.call(path, &json!({"name": "Ann"})).header("x-wasmill-job-id").to_owned(), queued]
}

fn is_there(host: &Host, id: &str) -> bool {
    match host.get(&format!("/api/w/main/jobs_u/get/{id}")).status {
        200 => true,
        404 => false,
        other => panic!("{other}"),
    }
}

fn gone(host: &Host, ids: &[String]) {
    for id in ids {
        eventually(&format!("{id} is forgotten"), 30, || (!is_there(host, id)).then_some(()));
    }
}

fn completed(host: &Host) -> u64 {
    host.get("/api/w/main/jobs/completed/count").json()["database_length"]
        .as_u64()
        .expect("a number")
}

#[test]
fn as_long_as_the_host_says() {
    let home = Home::new();
    let host = home.start_with(&[], &[("JOB_RETENTION_SECS", "3")]);
    host.push("u/retention/x", &guest("hello"));
    let later = "/api/w/main/jobs/run/p/u/retention/x?scheduled_in_secs=3600";
    let waiting = host.request("POST", later).json(&json!({"name": "Ann"})).send().text();
    let ids = run(&host, "u/retention/x");
    gone(&host, &ids);
    // Lists and counts know of them no more, and what is not over stays.
    eventually("they are not counted", 10, || (completed(&host) == 0).then_some(()));
    assert_eq!(host.get("/api/w/main/jobs/completed/list").json(), json!([]));
    let listed = host.get("/api/w/main/jobs/list").json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    assert!(is_there(&host, &waiting));
    for address in ["get_args", "get_logs", "get_attempts", "completed/get_result"] {
        host.get(&format!("/api/w/main/jobs_u/{address}/{}", ids[0])).problem(404);
    }
    host.still_serves_at("u/retention/x");
    drop(host);

    // Said in days, for ever is the host's own word.
    let host = home.start_with(&["--keep-runs", "0"], &[("JOB_RETENTION_SECS", "1")]);
    let ids = run(&host, "u/retention/x");
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert!(ids.iter().all(|id| is_there(&host, id)));
}

#[test]
fn as_long_as_a_workspace_or_a_script_says() {
    let host = Host::start(&["--keep-runs", "0"]);
    for name in ["x", "y"] {
        host.push(&format!("u/retention/{name}"), &guest("hello"));
    }
    let (x, y) = (run(&host, "u/retention/x"), run(&host, "u/retention/y"));
    set_well(&host, "scripts/retention/p/u/retention/x", &json!({"keep_runs_secs": 2}));
    assert_eq!(
        host.get("/api/w/main/scripts/get/p/u/retention/x").json()["keep_runs_secs"],
        json!(2)
    );
    let listed = host.get("/api/w/main/scripts/list").json();
    let shown: Vec<Option<&Value>> = listed
        .as_array()
        .expect("a list")
        .iter()
        .map(|script| script.get("keep_runs_secs"))
        .collect();
    assert_eq!(shown, [Some(&json!(2)), None]);
    gone(&host, &x);
    assert!(y.iter().all(|id| is_there(&host, id)), "another script's are kept");
    // It is the path's, whatever is deployed there.
    host.push("u/retention/x", &guest("hello-loud"));
    gone(&host, &run(&host, "u/retention/x"));

    set_well(&host, "scripts/retention/p/u/retention/x", &json!({"keep_runs_secs": null}));
    assert_eq!(
        host.get("/api/w/main/scripts/get/p/u/retention/x").json().get("keep_runs_secs"),
        None
    );
    let settings = || host.get("/api/w/main/workspaces/get_settings").json();
    assert_eq!((settings().get("keep_runs_secs"), &settings()["weight"]), (None, &json!(100)));
    set_well(&host, "workspaces/edit_retention", &json!({"keep_runs_secs": 2}));
    assert_eq!(settings()["keep_runs_secs"], json!(2));
    // A script that says longer has them kept no longer than its workspace.
    set_well(&host, "scripts/retention/p/u/retention/y", &json!({"keep_runs_secs": 3600}));
    gone(&host, &y);
    gone(&host, &run(&host, "u/retention/x"));
    eventually("they are not counted", 10, || (completed(&host) == 0).then_some(()));

    set_well(&host, "workspaces/edit_weight", &json!({"weight": 300}));
    assert_eq!((&settings()["keep_runs_secs"], &settings()["weight"]), (&json!(2), &json!(300)));
    set_well(&host, "workspaces/edit_retention", &json!({"keep_runs_secs": null}));
    assert_eq!((settings().get("keep_runs_secs"), &settings()["weight"]), (None, &json!(300)));
}

#[test]
fn what_cannot_be_said() {
    let host = wasmill_tests::shared();
    host.push("u/retention/said", &guest("hello"));
    for (what, body, word) in [
        ("workspaces/edit_retention", json!({"keep_runs_secs": 0}), "1 or more"),
        ("workspaces/edit_retention", json!({"keep_runs_secs": -1}), "-1"),
        ("workspaces/edit_retention", json!([]), "object"),
        ("workspaces/edit_retention", json!({"keep_runs_sec": 9}), "keep_runs_secs"),
        ("workspaces/edit_weight", json!({"weight": 0}), "1 to 1000"),
        ("workspaces/edit_weight", json!({"weight": 1001}), "1 to 1000"),
        ("workspaces/edit_weight", json!({}), "weight"),
        ("scripts/retention/p/u/retention/said", json!({"keep_runs_secs": 0}), "1 or more"),
        ("scripts/retention/p/u/retention/said", json!({"keep_runs_secs": "long"}), "long"),
    ] {
        let detail = set(&host, what, &body).problem(400);
        assert!(detail.contains(word), "{what} {body}: {detail}");
    }
    set(&host, "scripts/retention/p/u/retention/none", &json!({"keep_runs_secs": 9})).problem(404);
}
