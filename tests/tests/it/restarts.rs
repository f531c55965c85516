//! Finished jobs run again.

use serde_json::{Value, json};
use wasmill_tests::{Answer, Host, eventually, guest, shared};

fn restart(host: &Host, id: &str) -> Answer {
    host.request("POST", &format!("/api/w/main/jobs/restart/{id}")).send()
}

fn restart_all(host: &Host, query: &str) -> Value {
    let answer = host.request("POST", &format!("/api/w/main/jobs/restart?{query}")).send();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn texts(list: &Value, key: &str) -> Vec<String> {
    list.as_array()
        .expect("a list")
        .iter()
        .map(|entry| entry[key].as_str().expect("a text").to_owned())
        .collect()
}

fn over(host: &Host, id: &str) {
    eventually(&format!("job {id} is over"), 20, || {
        (host.get(&format!("/api/w/main/jobs_u/getupdate/{id}?no_logs=true")).json()["completed"]
            == true)
            .then_some(())
    });
}

#[test]
fn the_same_call_again() {
    let host = shared();
    let first = host.push("u/restarts/one", &guest("hello"));
    let query = "?tag=tea&timeout=9&parent_job=01937f4e-0000-7000-8000-000000000000&retry=%7B%22constant%22:%7B%22attempts%22:1,%22seconds%22:7%7D%7D";
    let address = format!("/api/w/main/jobs/run/p/u/restarts/one{query}");
    let id = host.request("POST", &address).json(&json!({"name": "Ann"})).send().text();
    host.wait(&id, 20);
    // A newer version makes no difference: it is the same call.
    host.push("u/restarts/one", &guest("hello-loud"));
    let answer = restart(&host, &id);
    assert_eq!(
        (answer.status, answer.header("x-wasmill-version")),
        (201, &*first.hash),
        "{answer:?}"
    );
    assert!(answer.header("content-type").starts_with("text/plain"));
    let new = answer.text();
    assert_ne!(new, id);
    assert_eq!(host.wait(&new, 20)["result"]["greeting"], "Hello Ann!");
    let (old, fresh) = (host.job(&id), host.job(&new));
    for key in [
        "script_hash",
        "script_path",
        "args",
        "tag",
        "priority",
        "parent_job",
        "retry",
        "created_by",
    ] {
        assert_eq!(old[key], fresh[key], "{key}");
        assert!(!old[key].is_null(), "{key}: {old}");
    }
    assert_eq!(
        (&old["trigger_kind"], &fresh["trigger_kind"]),
        (&json!("webhook"), &json!("manual"))
    );
    // So can a synchronous run, and one that was cancelled.
    let answer = host.call("u/restarts/one", &json!({"name": "Bo"}));
    let synchronous = answer.header("x-wasmill-job-id");
    over(&host, synchronous);
    assert_eq!(
        host.wait(&restart(&host, synchronous).text(), 20)["result"]["greeting"],
        "HELLO BO!"
    );
    let later = "/api/w/main/jobs/run/p/u/restarts/one?scheduled_in_secs=3600";
    let canceled = host.request("POST", later).json(&json!({"name": "Cy"})).send().text();
    let refused = restart(&host, &canceled).problem(409);
    assert!(refused.contains("not over"), "{refused}");
    host.request("POST", &format!("/api/w/main/jobs_u/queue/cancel/{canceled}")).send();
    assert_eq!(host.wait(&restart(&host, &canceled).text(), 20)["result"]["greeting"], "HELLO CY!");
}

#[test]
fn what_cannot_be_restarted() {
    let host = shared();
    restart(&host, "01937f4e-0000-7000-8000-000000000000").problem(404);
    restart(&host, "no-id").problem(404);
    host.push("u/restarts/slow", &guest("slow"));
    let running = host.queue("u/restarts/slow", &json!({"seconds": 60}));
    eventually("it runs", 20, || (host.job(&running)["running"] == true).then_some(()));
    restart(&host, &running).problem(409);
    host.request("POST", &format!("/api/w/main/jobs_u/queue/cancel/{running}")).send();

    let gone = host.push("u/restarts/gone", &guest("hello"));
    let erased = host.queue("u/restarts/gone", &json!({"name": "Ann"}));
    let deleted = host.queue("u/restarts/gone", &json!({"name": "Ann"}));
    for id in [&erased, &deleted] {
        host.wait(id, 20);
    }
    assert_eq!(
        host.request("POST", &format!("/api/w/main/jobs/completed/delete/{erased}")).send().status,
        200
    );
    let detail = restart(&host, &erased).problem(410);
    assert!(detail.contains("erased"), "{detail}");
    host.request("POST", &format!("/api/w/main/scripts/delete/h/{}", gone.hash)).send();
    let detail = restart(&host, &deleted).problem(410);
    assert!(detail.contains(&gone.hash), "{detail}");
    // In a list of them each says why.
    let answer = restart_all(&host, "script_path_exact=u/restarts/gone");
    assert_eq!(
        (texts(&answer["skipped"], "id"), &answer["restarted"], &answer["next"]),
        (vec![erased, deleted], &json!([]), &Value::Null)
    );
    assert!(texts(&answer["skipped"], "reason")[0].contains("erased"), "{answer}");
}

#[test]
fn whose_right_it_is() {
    let host = shared();
    for name in ["mine", "theirs"] {
        host.push(&format!("u/restarts/{name}"), &guest("hello"));
    }
    let token = |scopes: Value| {
        let answer = host
            .request("POST", "/api/users/tokens/create")
            .json(&json!({"scopes": scopes}))
            .send();
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.text()
    };
    let webhook = token(json!(["jobs:run:scripts:u/restarts/mine"]));
    let own = host
        .request("POST", "/api/w/main/jobs/run/p/u/restarts/mine")
        .token(&webhook)
        .json(&json!({"name": "Ann"}))
        .send()
        .text();
    let other = host.queue("u/restarts/mine", &json!({"name": "Ann"}));
    let theirs = host.queue("u/restarts/theirs", &json!({"name": "Ann"}));
    for id in [&own, &other, &theirs] {
        host.wait(id, 20);
    }
    let by = |token: &str, what: &str| {
        host.request("POST", &format!("/api/w/main/jobs/{what}")).token(token).send()
    };
    // A webhook's token restarts what it started, and knows of nothing else.
    let again = by(&webhook, &format!("restart/{own}"));
    assert_eq!(again.status, 201, "{again:?}");
    assert_eq!(
        host.request("GET", &format!("/api/w/main/jobs_u/get/{}", again.text()))
            .token(&webhook)
            .send()
            .status,
        200
    );
    by(&webhook, &format!("restart/{other}")).problem(404);
    by(&webhook, "restart?status=success").problem(403);
    let looks = token(json!(["jobs:read"]));
    assert!(
        by(&looks, &format!("restart/{own}"))
            .problem(403)
            .contains("jobs:run:scripts:u/restarts/mine")
    );
    let half = token(json!(["jobs:read", "jobs:run:scripts:u/restarts/mine"]));
    let answer = by(&half, "restart?script_path_start=u/restarts/&created_by=admin&script_path_exact=u/restarts/theirs").json();
    assert_eq!(texts(&answer["skipped"], "id"), [&*theirs]);
    assert!(
        texts(&answer["skipped"], "reason")[0].contains("jobs:run:scripts:u/restarts/theirs"),
        "{answer}"
    );
    let answer = by(&half, "restart?script_path_exact=u/restarts/mine&limit=2").json();
    assert_eq!(texts(&answer["restarted"], "id"), [&*own, &other]);

    // What the arguments refer to is asked for again.
    let variable =
        json!({"path": "u/restarts/key", "value": "Ann", "is_secret": true, "description": ""});
    assert_eq!(
        host.request("POST", "/api/w/main/variables/create").json(&variable).send().status,
        201
    );
    let refers = host.queue("u/restarts/mine", &json!({"name": "$var:u/restarts/key"}));
    host.wait(&refers, 20);
    assert!(
        by(&half, &format!("restart/{refers}"))
            .problem(403)
            .contains("variables:read:u/restarts/key")
    );
}

#[test]
fn by_filter_and_page_by_page() {
    let host = Host::start(&[]);
    host.push("u/restarts/many", &guest("hello"));
    host.push("u/restarts/other", &guest("hello"));
    let bad: Vec<String> = (0..5)
        .map(|n| host.queue("u/restarts/many", &json!({"name": format!("n{n}"), "times": 101})))
        .collect();
    let good = host.queue("u/restarts/many", &json!({"name": "Ann"}));
    let other = host.queue("u/restarts/other", &json!({"name": "Ann", "times": 101}));
    for id in bad.iter().chain([&good, &other]) {
        host.wait(id, 20);
    }
    let query = "script_path_exact=u/restarts/many&status=failure&limit=2";
    let (mut old, mut new, mut next, mut pages) = (Vec::new(), Vec::new(), String::new(), 0);
    loop {
        let answer = restart_all(&host, &format!("{query}&next={next}"));
        old.extend(texts(&answer["restarted"], "id"));
        new.extend(texts(&answer["restarted"], "new_id"));
        pages += 1;
        // They fail again; not even then are they among the next ones.
        for id in texts(&answer["restarted"], "new_id") {
            host.wait(&id, 20);
        }
        match answer["next"].as_str() {
            Some(cursor) => next = cursor.to_owned(),
            None => break,
        }
        assert!(pages < 5, "no end of it: {answer}");
    }
    assert_eq!((old, pages), (bad.clone(), 3));
    let listed = host
        .get("/api/w/main/jobs/list?trigger_kind=manual&order_desc=false&include_args=true")
        .json();
    assert_eq!(texts(&listed, "id"), new);
    let names: Vec<&Value> =
        listed.as_array().expect("a list").iter().map(|job| &job["args"]["name"]).collect();
    assert_eq!(names, ["n0", "n1", "n2", "n3", "n4"]);

    for (query, word) in [
        ("", "filter"),
        ("limit=5", "filter"),
        ("order_desc=true&per_page=3", "filter"),
        ("statsu=failure&created_by=admin", "statsu"),
        ("status=broken", "status"),
        ("created_by=admin&limit=all", "limit"),
        ("created_by=admin&next=7", "next"),
    ] {
        let detail =
            host.request("POST", &format!("/api/w/main/jobs/restart?{query}")).send().problem(400);
        assert!(detail.contains(word), "{query}: {detail}");
    }
    let count = host.get("/api/w/main/jobs/list?trigger_kind=manual").json();
    assert_eq!(count.as_array().map(Vec::len), Some(5));

    // By command, ids and flags alike.
    let printed = host.cli(&["jobs", "restart", &good]).ok();
    let line = printed.lines().find(|line| line.starts_with(&good)).expect("a line for it");
    assert_eq!(
        host.wait(line.split_whitespace().nth(1).expect("an id"), 20)["success"],
        json!(true)
    );
    let printed = host.cli(&["jobs", "restart", "--failed", "--path", "u/restarts/other"]).ok();
    assert!(printed.lines().count() == 2 && printed.contains(&other), "{printed}");
    let refused = host.cli(&["jobs", "restart", "01937f4e-0000-7000-8000-000000000000"]).run();
    assert!(refused.code == 1 && refused.err.contains("no job"), "{refused:?}");
    assert_eq!(host.cli(&["jobs", "restart"]).run().code, 2);
}

#[test]
fn as_windmills_page_asks_for_it() {
    let host = shared();
    host.push("u/restarts/batch", &guest("hello"));
    let id = host.queue("u/restarts/batch", &json!({"name": "Ann"}));
    host.wait(&id, 20);
    host.push("u/restarts/batch", &guest("hello-loud"));
    let rerun = |body: &Value| {
        host.request("POST", "/api/w/main/jobs/run/batch_rerun_jobs").json(body).send()
    };
    let unknown = "01937f4e-0000-7000-8000-000000000000";
    let answer = rerun(
        &json!({"job_ids": [id, unknown], "script_options_by_path": {}, "flow_options_by_path": {}}),
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = answer.text();
    let [first, second] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert_eq!(host.wait(first, 20)["result"]["greeting"], "Hello Ann!");
    assert!(second.starts_with("Error: ") && second.contains(unknown), "{second}");
    let newest = json!({"job_ids": [id], "script_options_by_path": {"u/restarts/batch": {"use_latest_version": true}}});
    assert_eq!(host.wait(rerun(&newest).text().trim(), 20)["result"]["greeting"], "HELLO ANN!");
    let other = json!({"u/restarts/batch": {"input_transforms": {"name": {"type": "static", "value": "Bo"}}}});
    assert!(
        rerun(&json!({"job_ids": [id], "script_options_by_path": other}))
            .problem(400)
            .contains("input_transforms")
    );
    rerun(&json!({"job_ids": ["x"]})).problem(400);
    assert_eq!(rerun(&json!({"job_ids": []})).text(), "");
}
