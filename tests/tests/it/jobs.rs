//! Calls that are answered with a job's id, and what becomes of the job.

use serde_json::{Value, json};
use wasmill_tests::{eventually, guest, shared};

/// The keys of an object.
fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> =
        value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn the_answer_is_the_id_and_nothing_else() {
    let host = shared();
    let answer = host
        .request("POST", "/api/w/main/jobs/run/p/u/tests/hello")
        .json(&json!({"name": "Ann"}))
        .send();
    assert_eq!(answer.status, 201);
    assert!(answer.header("content-type").starts_with("text/plain"), "{answer:?}");
    let id = answer.text();
    let dashes: Vec<usize> =
        id.char_indices().filter(|(_, letter)| *letter == '-').map(|(at, _)| at).collect();
    assert_eq!((id.len(), dashes), (36, vec![8, 13, 18, 23]), "{id:?} is not a UUID alone");
    assert_eq!(answer.header("x-wasmill-job-id"), id);
    assert_eq!(answer.header("x-wasmill-version").len(), 64);

    let maybe = host.wait(&id, 20);
    assert_eq!(
        maybe,
        json!({"completed": true, "result": {"greeting": "Hello Ann!", "times": 1}, "success": true, "started": true})
    );
    for address in ["jobs_u/completed/get_result", "jobs_u/get_result"] {
        let result = host.get(&format!("/api/w/main/{address}/{id}"));
        assert_eq!((result.status, result.json()), (200, maybe["result"].clone()));
    }
    let job = host.job(&id);
    assert_eq!(
        (&job["type"], &job["success"], &job["canceled"]),
        (&json!("CompletedJob"), &json!(true), &json!(false))
    );
    assert_eq!(
        (&job["id"], &job["args"], &job["script_path"]),
        (&json!(id), &json!({"name": "Ann"}), &json!("u/tests/hello"))
    );
    assert!(
        job["duration_ms"].is_u64()
            && job["started_at"].is_string()
            && job["completed_at"].is_string(),
        "{job}"
    );
    assert!(host.job_log(&id).contains("greeting Ann"), "{:?}", host.job_log(&id));
}

#[test]
fn by_hash_too() {
    let host = shared();
    let old = host.push("u/jobs/hashed", &guest("hello"));
    host.push("u/jobs/hashed", &guest("hello-loud"));
    let answer = host
        .request("POST", &format!("/api/w/main/jobs/run/h/{}", old.hash))
        .json(&json!({"name": "Ann"}))
        .send();
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(host.wait(&answer.text(), 20)["result"]["greeting"], "Hello Ann!");
}

#[test]
fn a_running_job_shows_its_log_and_no_result() {
    let host = shared();
    host.push("u/jobs/slow", &guest("slow"));
    let id = host.queue("u/jobs/slow", &json!({"seconds": 3}));
    let early = host.get(&format!("/api/w/main/jobs_u/completed/get_result_maybe/{id}")).json();
    assert_eq!(keys(&early), ["completed", "result", "started", "success"]);
    assert_eq!(
        early,
        json!({"completed": false, "result": null, "success": null, "started": null})
    );
    let log = eventually("the first line is logged", 20, || {
        Some(host.job_log(&id)).filter(|log| log.contains("1 of 3 seconds"))
    });
    // Still going on: otherwise the line could have come with the end.
    assert!(!log.contains("3 of 3 seconds"), "{log:?}");
    let job = host.job(&id);
    assert_eq!((&job["type"], &job["running"]), (&json!("QueuedJob"), &json!(true)), "{job}");
    let detail = host.get(&format!("/api/w/main/jobs_u/completed/get_result/{id}")).problem(404);
    assert!(detail.contains("not over"), "{detail}");
    let started = host
        .get(&format!("/api/w/main/jobs_u/completed/get_result_maybe/{id}?get_started=true"))
        .json();
    assert_eq!(started["started"], json!(true), "{started}");
    assert_eq!(host.wait(&id, 20)["result"], json!({"slept": 3}));
    assert!(host.job_log(&id).contains("3 of 3 seconds"));
}

#[test]
fn failed_jobs_keep_their_error() {
    let host = shared();
    let id = host.queue("u/tests/misbehave", &json!({"op": "error"}));
    let maybe = host.wait(&id, 20);
    assert_eq!((&maybe["completed"], &maybe["success"]), (&json!(true), &json!(false)));
    assert_eq!(maybe["result"]["error"]["name"], "TeapotError");
}

#[test]
fn jobs_are_listed_newest_first_and_by_filter() {
    let host = shared();
    host.push("u/jobs/listed", &guest("hello"));
    let ids: Vec<String> = ["Ann", "Bo", "Cy"]
        .iter()
        .map(|name| host.queue("u/jobs/listed", &json!({"name": name})))
        .collect();
    let failed = host.queue("u/jobs/listed", &json!({"name": "Di", "times": 101}));
    for id in ids.iter().chain([&failed]) {
        host.wait(id, 20);
    }
    let list = |query: &str| -> Vec<String> {
        let list = host
            .get(&format!("/api/w/main/jobs/list?script_path_exact=u/jobs/listed{query}"))
            .json();
        list.as_array()
            .expect("a list")
            .iter()
            .map(|job| job["id"].as_str().expect("an id").to_owned())
            .collect()
    };
    let mut newest_first = ids.clone();
    newest_first.push(failed.clone());
    newest_first.reverse();
    assert_eq!(list(""), newest_first);
    assert_eq!(list("&success=false"), [failed.as_str()]);
    assert_eq!(list("&success=true").len(), 3);
    assert_eq!(list("&per_page=2").len(), 2);
    assert_eq!(list(&format!("&before={}", ids[1])), [ids[0].as_str()]);
}

#[test]
fn ids_that_are_nobodys() {
    let host = shared();
    for id in ["01937f4e-0000-7000-8000-000000000000", "not-an-id"] {
        for address in [
            "jobs_u/get",
            "jobs_u/completed/get_result",
            "jobs_u/completed/get_result_maybe",
            "jobs_u/get_logs",
        ] {
            host.get(&format!("/api/w/main/{address}/{id}")).problem(404);
        }
    }
}

#[test]
fn nothing_is_queued_that_cannot_run() {
    let host = shared();
    let count = || {
        host.get("/api/w/main/jobs/list?script_path_exact=u/jobs/none")
            .json()
            .as_array()
            .map(Vec::len)
    };
    host.request("POST", "/api/w/main/jobs/run/p/u/jobs/none").json(&json!({})).send().problem(404);
    assert_eq!(count(), Some(0));
}
