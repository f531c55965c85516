//! The database goes, and comes back.

use super::{FRONT, WORKER};
use serde_json::json;
use std::time::Duration;
use wasmill_tests::{Cluster, Host, Ledger, Load, Plan, drained, endings, eventually, guest};

/// Queues jobs while something is done to the way to the database, and holds that nothing was lost.
fn survives(cluster: &Cluster, trouble: impl Fn()) {
    let front = cluster.start(&FRONT);
    let workers = [cluster.start(&WORKER), cluster.start(&WORKER)];
    front.push("u/tests/hello", &guest("hello"));
    front.call("u/tests/hello", &json!({"name": "Ann"}));
    let mut ledger = Ledger::default();
    for _ in 0..3 {
        let load = Load::start(&front, &Plan::queue(8, "u/tests/hello"));
        let before = load.successes();
        eventually("jobs are queued", 30, || (load.successes() > before + 100).then_some(()));
        trouble();
        let after = load.successes();
        eventually("jobs are queued again", 30, || (load.successes() > after + 100).then_some(()));
        ledger.add(load.end());
    }
    // Thousands of jobs, beside other tests.
    drained(&front, 150);
    let endings = endings(&front, &ledger.acknowledged);
    assert!(endings.are_good(), "{endings:?}");
    assert_eq!(endings.completed, ledger.acknowledged.len());
    // Refused calls are told to come again, and nothing else goes wrong.
    let refused: Vec<_> = ledger.statuses.iter().filter(|(status, _)| **status != 201).collect();
    assert!(refused.iter().all(|(status, _)| **status == 503), "{refused:?} {:?}", ledger.refusal);
    if let Some(refusal) = &ledger.refusal {
        assert!(refusal.to_lowercase().contains("retry-after"), "{refusal}");
    }
    for host in workers.iter().chain([&front]) {
        assert!(!host.log().contains("panicked"), "{}", host.log());
    }
}

#[test]
fn a_database_that_restarts() {
    let cluster = Cluster::new();
    survives(&cluster, || {
        cluster.postgres.stop_immediately();
        std::thread::sleep(Duration::from_millis(300));
        cluster.postgres.restart();
    });
}

#[test]
fn connections_that_are_cut_refused_late_or_cut_within_a_message() {
    let cluster = Cluster::new();
    survives(&cluster, || {
        cluster.way.cut();
        cluster.way.cut_after(20_000);
        std::thread::sleep(Duration::from_millis(200));
        cluster.way.delay(Duration::from_millis(30));
        std::thread::sleep(Duration::from_millis(500));
        cluster.way.delay(Duration::ZERO);
        cluster.way.refuse(true);
        std::thread::sleep(Duration::from_millis(500));
        cluster.way.refuse(false);
    });
}

#[test]
fn while_the_database_is_away_calls_go_on_and_nothing_is_promised() {
    let cluster = Cluster::new();
    let host = cluster.start(&[]);
    host.push("u/tests/hello", &guest("hello"));
    let call = |host: &Host| host.call("u/tests/hello", &json!({"name": "Ann"})).status;
    // A moment after a change everything is looked up anew, and after that it is known.
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(call(&host), 200);
    cluster.way.stall(true);
    // What is known goes on; what has to be written is refused, within seconds.
    assert_eq!(call(&host), 200);
    let refused = host
        .request("POST", "/api/w/main/jobs/run/p/u/tests/hello")
        .json(&json!({"name": "Ann"}))
        .send();
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(!refused.header("retry-after").is_empty(), "{refused:?}");
    let health = host.get("/api/health/status");
    assert_eq!((health.status, &health.json()["database_healthy"]), (503, &json!(false)));
    assert_eq!(call(&host), 200);
    cluster.way.stall(false);
    let id = eventually("jobs are taken again", 30, || {
        let answer = host
            .request("POST", "/api/w/main/jobs/run/p/u/tests/hello")
            .json(&json!({"name": "Bo"}))
            .send();
        (answer.status == 201).then(|| answer.text())
    });
    assert_eq!(host.wait(&id, 30)["result"]["greeting"], "Hello Bo!");
    assert_eq!(host.get("/api/health/status").status, 200);
}
