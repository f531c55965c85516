//! Three front ends and three workers, of which one after the other is killed under load.

use super::{FRONT, WORKER};
use serde_json::json;
use std::time::{Duration, Instant};
use wasmill_tests::{
    Cluster, Home, Host, Ledger, Load, Plan, Random, drained, endings, guest, torture,
};

#[test]
fn hosts_that_are_killed_at_random_lose_nothing() {
    let cluster = Cluster::new();
    let mut random = Random::new(3);
    let mut fronts: Vec<Host> = (0..3).map(|_| cluster.start(&FRONT)).collect();
    let mut workers: Vec<Host> = (0..3).map(|_| cluster.start(&WORKER)).collect();
    fronts[0].push("u/tests/hello", &guest("hello"));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(fronts[2].call("u/tests/hello", &json!({"name": "Ann"})).status, 200);
    let plan = Plan::queue(4, "u/tests/hello");
    let mut loads: Vec<Load> = fronts.iter().map(|front| Load::start(front, &plan)).collect();
    let (mut ledger, mut kills) = (Ledger::default(), 0);
    let end = Instant::now() + Duration::from_secs(torture().cluster_seconds);
    while Instant::now() < end || kills < 4 {
        std::thread::sleep(Duration::from_millis(300 + random.below(900)));
        let which = random.below(3) as usize;
        if random.below(2) == 0 {
            let home = workers.swap_remove(which).kill();
            workers.push(cluster.start_on(&home, &WORKER));
        } else {
            let home: Home = fronts.remove(which).kill();
            ledger.add(loads.remove(which).end());
            fronts.push(cluster.start_on(&home, &FRONT));
            loads.push(Load::start(&fronts[2], &plan));
        }
        kills += 1;
    }
    for load in loads {
        ledger.add(load.end());
    }
    drained(&fronts[0], 120);
    let endings = endings(&fronts[0], &ledger.acknowledged);
    eprintln!(
        "{kills} kills, {} jobs acknowledged, {} started again",
        ledger.acknowledged.len(),
        endings.started_again
    );
    assert!(endings.are_good(), "{endings:?}");
    assert!(ledger.acknowledged.len() > 200, "{}", ledger.acknowledged.len());
    for host in fronts.iter().chain(&workers) {
        assert!(!host.log().contains("panicked"), "{}", host.log());
    }
}
