//! Several hosts on one PostgreSQL and one bucket.

mod faults;
mod killing;

use serde_json::json;
use std::time::{Duration, Instant};
use wasmill_tests::{Cluster, Host, eventually, guest};

const FRONT: [&str; 2] = ["--role", "front"];
const WORKER: [&str; 2] = ["--role", "worker"];

#[test]
fn what_one_host_changes_the_others_know_within_a_second() {
    let cluster = Cluster::new();
    let (one, two) = (cluster.start(&[]), cluster.start(&[]));
    let greet = |host: &Host| host.call("u/tests/x", &json!({"name": "Ann"}));
    let mut slowest = Duration::ZERO;
    let mut timed = |what: &str, known: &dyn Fn() -> bool| {
        let begun = Instant::now();
        eventually(what, 10, || known().then_some(()));
        slowest = slowest.max(begun.elapsed());
    };
    assert_eq!(greet(&two).status, 404);
    let first = one.push("u/tests/x", &guest("hello"));
    assert_eq!(greet(&one).status, 200, "at once where it was pushed");
    timed("a new script", &|| greet(&two).status == 200);
    for (guest_name, takes) in [("echo", json!({"name": "Ann"})), ("hello", json!({"name": "Ann"}))]
    {
        let next = one.push("u/tests/x", &guest(guest_name));
        assert_eq!(greet(&one).header("x-wasmill-version"), next.hash);
        timed("a newer version", &|| {
            two.call("u/tests/x", &takes).header("x-wasmill-version") == next.hash
        });
    }
    assert_eq!(two.call_hash(&first.hash, &json!({"name": "Ann"})).status, 200);

    let made =
        one.request("POST", "/api/users/tokens/create").json(&json!({"label": "short"})).send();
    assert_eq!(made.status, 201, "{made:?}");
    let token = made.text();
    let asks = |host: &Host| host.request("GET", "/api/users/whoami").token(&token).send().status;
    assert_eq!(asks(&two), 200);
    let prefix: String = token.chars().take(10).collect();
    assert_eq!(
        one.request("DELETE", &format!("/api/users/tokens/delete/{prefix}")).send().status,
        200
    );
    assert_eq!(asks(&one), 401, "at once where it was revoked");
    timed("a revoked token", &|| asks(&two) == 401);
    assert_eq!(one.request("POST", "/api/w/main/scripts/archive/p/u/tests/x").send().status, 200);
    timed("an archived script", &|| greet(&two).status == 404);
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

#[test]
fn fronts_queue_and_workers_run() {
    let cluster = Cluster::new();
    let front = cluster.start(&FRONT);
    front.push("u/tests/hello", &guest("hello"));
    let id = front.queue("u/tests/hello", &json!({"name": "Ann"}));
    assert_eq!(front.call("u/tests/hello", &json!({"name": "Bo"})).json()["greeting"], "Hello Bo!");
    assert_eq!(front.job(&id)["type"], "QueuedJob", "nobody runs it yet");
    let worker = cluster.start(&WORKER);
    assert_eq!(front.wait(&id, 30)["result"]["greeting"], "Hello Ann!");
    // A worker says how it is, and nothing else.
    assert_eq!(worker.get("/api/health/status").status, 200);
    let refused = worker.call("u/tests/hello", &json!({"name": "Bo"}));
    assert_eq!(refused.status, 404);
    assert!(refused.text().contains("--role worker"), "{refused:?}");

    // Whoever waits on the front end is told of an end elsewhere.
    front
        .request("POST", "/api/w/main/scripts/upload/p/u/tests/one?concurrent_limit=1")
        .body("application/wasm", &guest("hello"))
        .send();
    front.call("u/tests/one", &json!({"name": "Ann"}));
    let mut waits: Vec<Duration> = (0..20)
        .map(|n| {
            let begun = Instant::now();
            let answer = front.call("u/tests/one", &json!({"name": n.to_string()}));
            assert_eq!(
                (answer.status, answer.json()["greeting"].as_str()),
                (200, Some(format!("Hello {n}!").as_str())),
                "{answer:?}"
            );
            begun.elapsed()
        })
        .collect();
    waits.sort();
    assert!(waits[10] < Duration::from_millis(500), "{waits:?}");
    let followed = front
        .request("POST", "/api/w/main/jobs/run_and_stream/p/u/tests/one")
        .json(&json!({"name": "Cy"}))
        .send()
        .text();
    assert!(followed.contains("Hello Cy!"), "{followed}");
    front.still_serves();
}

#[test]
fn a_limit_holds_over_all_hosts() {
    let cluster = Cluster::new();
    let hosts = [cluster.start(&[]), cluster.start(&[]), cluster.start(&[])];
    let upload = "/api/w/main/scripts/upload/p/u/tests/slow?concurrent_limit=2";
    assert_eq!(
        hosts[0].request("POST", upload).body("application/wasm", &guest("slow")).send().status,
        201
    );
    eventually("it is known everywhere", 5, || {
        hosts
            .iter()
            .all(|host| host.get("/api/w/main/scripts/exists/p/u/tests/slow").text() == "true")
            .then_some(())
    });
    let ids: Vec<String> =
        (0..6).map(|n| hosts[n % 3].queue("u/tests/slow", &json!({"seconds": 1}))).collect();
    let mut most = 0;
    let over = eventually("all are over", 60, || {
        let running = hosts[0]
            .get("/api/w/main/jobs/list?running=true")
            .json()
            .as_array()
            .expect("a list")
            .len();
        most = most.max(running);
        let over = hosts[0]
            .get("/api/w/main/jobs/completed/list")
            .json()
            .as_array()
            .expect("a list")
            .len();
        (over == ids.len()).then_some(over)
    });
    assert_eq!((most, over), (2, 6));
}

#[test]
fn cancelling_reaches_the_host_that_runs_it() {
    let cluster = Cluster::new();
    let front = cluster.start(&FRONT);
    let _worker = cluster.start(&WORKER);
    front.push("u/tests/slow", &guest("slow"));
    let id = front.queue("u/tests/slow", &json!({"seconds": 100}));
    eventually("it runs", 20, || (front.job(&id)["running"] == true).then_some(()));
    let begun = Instant::now();
    front
        .request("POST", &format!("/api/w/main/jobs_u/queue/cancel/{id}"))
        .json(&json!({"reason": "enough"}))
        .send();
    let over = front.wait(&id, 10);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(over["result"]["error"]["message"], "Job canceled: enough by admin", "{over}");
}

#[test]
fn a_worker_that_was_frozen_past_its_lease_says_nothing() {
    let cluster = Cluster::new();
    let front = cluster.start(&FRONT);
    front.push("u/tests/slow", &guest("slow"));
    let frozen = cluster.start(&WORKER);
    let id = front.queue("u/tests/slow", &json!({"seconds": 3}));
    eventually("it runs", 20, || (front.job(&id)["running"] == true).then_some(()));
    frozen.freeze(true);
    let other = cluster.start(&WORKER);
    // The lease ends, the other one takes the job over, and is at it when the first wakes up.
    eventually("it is taken over", 30, || (front.job(&id)["attempt"] == 2).then_some(()));
    frozen.freeze(false);
    assert_eq!(front.wait(&id, 30)["result"], json!({"slept": 3}));
    let job = front.job(&id);
    assert_eq!((&job["attempt"], &job["success"]), (&json!(2), &json!(true)), "{job}");
    // Its lease is over, or the run came to its end before anybody looked at the lease: then that
    // end was refused.
    let said = ["lease is lost", "no longer held"];
    eventually("the frozen one knows", 20, || {
        said.iter().any(|text| frozen.log().contains(text)).then_some(())
    });
    // It has a new lease by now, and works.
    drop(other);
    let again = front.queue("u/tests/slow", &json!({"seconds": 0}));
    assert_eq!(front.wait(&again, 30)["result"], json!({"slept": 0}));
    assert!(!frozen.log().contains("panicked"));
}

#[test]
fn hosts_without_the_keys_of_the_others_are_refused() {
    let cluster = Cluster::new();
    let one = cluster.start(&[]);
    // Before anything is sealed, and after.
    for (path, said) in
        [("u/tests/v", "is not the one of the other hosts"), ("u/tests/w", "is missing")]
    {
        let refused = cluster.refused();
        assert!(refused.code == 1 && refused.err.contains(said), "{refused:?}");
        let variable = json!({"path": path, "value": "x", "is_secret": true});
        let made = one.request("POST", "/api/w/main/variables/create").json(&variable).send();
        assert_eq!(made.status, 201, "{made:?}");
    }
    let two = cluster.start(&[]);
    assert_eq!(two.get("/api/w/main/variables/get_value/u/tests/v").json(), "x");
}
