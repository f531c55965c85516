//! What callers may say about queued jobs: when, under which id, once only, not at all any more;
//! and how they are found.

use serde_json::{Value, json};
use std::time::Instant;
use wasmill_tests::{Answer, Host, eventually, guest, shared};

fn queueing(host: &Host, path: &str, query: &str, key: Option<&str>, args: &Value) -> Answer {
    let request = host.request("POST", &format!("/api/w/main/jobs/run/p/{path}{query}")).json(args);
    key.map_or(request.send(), |key| {
        host.request("POST", &format!("/api/w/main/jobs/run/p/{path}{query}"))
            .json(args)
            .header("Idempotency-Key", key)
            .send()
    })
}

fn cancel(host: &Host, verb: &str, id: &str, body: &Value) -> Answer {
    host.request("POST", &format!("/api/w/main/jobs_u/queue/{verb}/{id}")).json(body).send()
}

fn list(host: &Host, route: &str) -> Vec<Value> {
    let answer = host.get(&format!("/api/w/main/jobs/{route}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json().as_array().expect("an array").clone()
}

#[test]
fn a_waiting_job_is_cancelled_at_once() {
    let host = shared();
    let id =
        queueing(&host, "u/tests/hello", "?scheduled_in_secs=3600", None, &json!({"name": "Ann"}))
            .text();
    let waiting = host.job(&id);
    assert_eq!((&waiting["type"], &waiting["running"]), (&json!("QueuedJob"), &json!(false)));
    assert!(waiting["scheduled_for"].as_str() > waiting["created_at"].as_str());
    assert_eq!(cancel(&host, "cancel", &id, &json!({"reason": "changed my mind"})).text(), id);
    let over = host.job(&id);
    assert_eq!(
        (&over["type"], &over["canceled"], &over["canceled_by"]),
        (&json!("CompletedJob"), &json!(true), &json!("admin"))
    );
    let error = json!({"name": "Canceled", "message": "Job canceled: changed my mind by admin", "reason": "changed my mind", "canceler": "admin"});
    assert_eq!(over["result"], json!({"error": error}));
    assert_eq!(
        cancel(&host, "cancel", &id, &json!({})).text(),
        format!("queued job id {id} is already completed")
    );
    let unknown = "01937f4e-0000-7000-8000-000000000000";
    assert!(cancel(&host, "cancel", unknown, &json!({})).problem(404).contains(unknown));
}

#[test]
fn a_running_job_is_stopped() {
    let host = shared();
    for (verb, op) in [("cancel", "spin"), ("force_cancel", "sleep")] {
        let id = host.queue("u/tests/misbehave", &json!({"op": op}));
        eventually("the job runs", 20, || (host.job(&id)["running"] == true).then_some(()));
        let asked = Instant::now();
        assert_eq!(cancel(&host, verb, &id, &json!({"reason": "enough"})).text(), id);
        let over = host.wait(&id, 20);
        // The script itself would go on for ever; its own limit is five minutes.
        assert!(asked.elapsed().as_secs() < 15, "{op}: {:?}", asked.elapsed());
        assert_eq!(over["result"]["error"]["message"], "Job canceled: enough by admin", "{op}");
        assert_eq!(over["success"], false);
    }
    host.still_serves();
}

#[test]
fn many_are_cancelled_by_selection() {
    let host = shared();
    let args = json!({"name": "Ann"});
    let ids: Vec<String> = (0..3)
        .map(|_| queueing(&host, "u/tests/hello", "?scheduled_in_secs=3600", None, &args).text())
        .collect();
    let over = host.queue("u/tests/hello", &args);
    host.wait(&over, 20);
    let selection = json!([ids[0], ids[1], over, "01937f4e-0000-7000-8000-000000000000"]);
    let answer =
        host.request("POST", "/api/w/main/jobs/queue/cancel_selection").json(&selection).send();
    assert_eq!(answer.json(), json!([ids[0], ids[1]]));
    assert_eq!(host.job(&ids[2])["type"], "QueuedJob");
    cancel(&host, "cancel", &ids[2], &json!({}));
}

#[test]
fn only_who_may_cancels() {
    let host = shared();
    let id =
        queueing(&host, "u/tests/hello", "?scheduled_in_secs=3600", None, &json!({"name": "Ann"}))
            .text();
    let narrow = host
        .request("POST", "/api/users/tokens/create")
        .json(&json!({"scopes": ["jobs:read"]}))
        .send()
        .text();
    let refused = host
        .request("POST", &format!("/api/w/main/jobs_u/queue/cancel/{id}"))
        .token(&narrow)
        .json(&json!({}))
        .send();
    assert!(refused.problem(403).contains("jobs:write:u/tests/hello"));
    assert_eq!(host.job(&id)["type"], "QueuedJob");
    cancel(&host, "cancel", &id, &json!({}));
}

#[test]
fn a_job_starts_when_it_is_due() {
    let host = shared();
    let id =
        queueing(&host, "u/tests/hello", "?scheduled_in_secs=1", None, &json!({"name": "Ann"}))
            .text();
    host.wait(&id, 20);
    let job = host.job(&id);
    let seconds =
        |key: &str| job[key].as_str().expect("a time")[17..26].parse::<f64>().expect("seconds");
    let waited = (seconds("started_at") - seconds("created_at")).rem_euclid(60.0);
    assert!((1.0..30.0).contains(&waited), "{job}");
    for (query, word) in [
        ("?scheduled_for=tomorrow", "scheduled_for"),
        ("?job_id=7", "job_id"),
        ("?timeout=0", "timeout"),
        ("?tag=a%20b", "tag"),
    ] {
        assert!(
            queueing(&host, "u/tests/hello", query, None, &json!({})).problem(400).contains(word),
            "{query}"
        );
    }
}

#[test]
fn an_id_of_the_callers_own() {
    let host = shared();
    // Neither of these was made by the host: one is of another version of UUID.
    for id in ["9b2f3c1e-5a77-4c1d-9d0a-0f6a1c2b3d4e", "01937f4e-0000-7000-8abc-000000000042"] {
        let query = format!("?job_id={id}&parent_job={id}&tag=gpu");
        assert_eq!(
            queueing(&host, "u/tests/hello", &query, None, &json!({"name": "Ann"})).text(),
            id
        );
        let taken =
            queueing(&host, "u/tests/hello", &query, None, &json!({"name": "Bob"})).problem(400);
        assert_eq!(taken, format!("Job with id {id} already exists"));
        assert_eq!(host.wait(id, 20)["result"]["greeting"], "Hello Ann!");
        let job = host.job(id);
        assert_eq!(
            (&job["parent_job"], &job["tag"], &job["priority"]),
            (&json!(id), &json!("gpu"), &json!(2))
        );
    }
}

#[test]
fn a_call_that_is_sent_twice() {
    let host = shared();
    let (ann, bob) = (json!({"name": "Ann"}), json!({"name": "Bob"}));
    let first = queueing(&host, "u/tests/hello", "", Some("order-1"), &ann);
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, ""));
    let again = queueing(&host, "u/tests/hello", "", Some("order-1"), &ann);
    assert_eq!(
        (again.status, again.text(), again.header("idempotency-replayed")),
        (201, first.text(), "true")
    );
    assert!(
        queueing(&host, "u/tests/hello", "", Some("order-1"), &bob)
            .problem(422)
            .contains("Idempotency-Key")
    );
    // Another runnable, another key, and no key at all are other calls.
    for other in [
        queueing(&host, "u/tests/misbehave", "", Some("order-1"), &json!({"op": "echo"})),
        queueing(&host, "u/tests/hello", "", Some("order-2"), &ann),
        queueing(&host, "u/tests/hello", "", None, &ann),
    ] {
        assert_eq!(other.status, 201);
        assert_ne!(other.text(), first.text());
    }
    assert!(
        queueing(&host, "u/tests/hello", "", Some(&"k".repeat(300)), &ann)
            .problem(400)
            .contains("Idempotency-Key")
    );
}

#[test]
fn a_callers_shorter_limit() {
    let host = shared();
    let id =
        queueing(&host, "u/tests/misbehave", "?timeout=1", None, &json!({"op": "sleep"})).text();
    assert_eq!(host.wait(&id, 20)["result"]["error"]["name"], "Timeout");
    let sync = host.calling("p/u/tests/misbehave?timeout=1").json(&json!({"op": "sleep"})).send();
    assert_eq!(sync.failure().0, "Timeout");
}

#[test]
fn lists_and_counts() {
    let host = Host::start(&["--workers", "0"]);
    host.push("u/tests/hello", &guest("hello"));
    host.push("u/tests/other", &guest("hello"));
    let waiting = host.queue("u/tests/hello", &json!({"name": "Ann"}));
    let good =
        host.call("u/tests/hello", &json!({"name": "Bob"})).header("x-wasmill-job-id").to_owned();
    let bad = host.call("u/tests/other", &json!({"name": 7})).header("x-wasmill-job-id").to_owned();
    let ids = |route: &str| {
        list(&host, route)
            .iter()
            .map(|job| job["id"].as_str().expect("an id").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids("list"), [&*bad, &good, &waiting]);
    assert_eq!(ids("list?order_desc=false"), [&*waiting, &good, &bad]);
    assert_eq!(ids(&format!("list?before={bad}&per_page=1")), [&*good]);
    assert_eq!(ids("queue/list"), [&*waiting]);
    assert_eq!(ids("completed/list"), [&*bad, &good]);
    assert_eq!(ids("list?success=true"), [&*good]);
    assert_eq!(ids("list?status=failure,canceled"), [&*bad]);
    assert_eq!(ids("list?running=false"), [&*waiting]);
    assert_eq!(ids("list?running=true"), [""; 0]);
    assert_eq!(ids("list?script_path_exact=u/tests/other"), [&*bad]);
    assert_eq!(
        ids("list?script_path_start=u/tests/h&created_by=admin&trigger_kind=webhook"),
        [&*good, &waiting]
    );
    assert_eq!(ids("list?created_before=2020-01-01T00:00:00Z"), [""; 0]);
    let with_args = list(&host, "list?include_args=true&success=true");
    assert_eq!(with_args[0]["args"], json!({"name": "Bob"}));
    assert_eq!(list(&host, "list?success=true")[0].get("args"), None);
    assert_eq!(
        host.get("/api/w/main/jobs/queue/count").json(),
        json!({"database_length": 1, "suspended": 0})
    );
    assert_eq!(host.get("/api/w/main/jobs/completed/count").json(), json!({"database_length": 2}));
    assert_eq!(
        host.get(&format!("/api/w/main/jobs_u/get_args/{waiting}")).json(),
        json!({"name": "Ann"})
    );
    assert!(
        host.get("/api/w/main/jobs/list?success=true&running=true")
            .problem(400)
            .contains("running")
    );
}
