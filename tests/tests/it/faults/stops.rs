//! A host that is asked to stop while it is called.

use super::{PATH, alone};
use serde_json::json;
use std::time::{Duration, Instant};
use wasmill_tests::{Home, Ledger, Load, Plan, drained, endings, eventually, guest, torture};

/// A call that was sent so long before belongs to those that were begun. A later one may find its
/// connection closed.
const BEGUN: Duration = Duration::from_millis(500);

#[test]
fn calls_are_finished_and_jobs_stay() {
    let _alone = alone();
    let home = Home::new();
    let mut told = Ledger::default();
    let mut finished = 0;
    for _ in 0..torture().stops {
        let mut host = home.start(&["--workers", "2"]);
        host.push(PATH, &guest("hello"));
        host.push("u/tests/slow", &guest("slow"));
        let queueing = Load::start(&host, &Plan::queue(4, PATH));
        let calling = Load::start(&host, &Plan::call(4, PATH));
        let sleeping = Load::start(&host, &Plan::call(4, "u/tests/slow").with("seconds", json!(1)));
        eventually("all kinds of calls are answered", 60, || {
            (queueing.successes() > 50 && calling.successes() > 20 && sleeping.successes() > 5)
                .then_some(())
        });
        let asked = Instant::now();
        host.terminate();
        assert_eq!(host.ended(30).code(), Some(0), "{}", host.log());
        let (queued, called, slept) = (queueing.end(), calling.end(), sleeping.end());
        finished += slept.results.len();
        assert!(called.results.iter().all(|result| result.contains("Hello N")), "{called:?}");
        assert!(slept.results.iter().all(|result| result == r#"{"slept":1}"#), "{slept:?}");
        for (ledger, status) in [(&queued, 201), (&called, 200), (&slept, 200)] {
            assert_eq!(
                ledger.statuses.keys().copied().collect::<Vec<_>>(),
                [status],
                "{:?}",
                ledger.refusal
            );
            for (name, sent) in &ledger.unanswered {
                assert!(
                    *sent + BEGUN > asked,
                    "{name} was sent {:?} before the stop and never answered",
                    asked - *sent
                );
            }
        }
        assert!(!host.log().contains(r#""level":"ERROR""#), "{}", host.log());
        told.add(queued);
    }
    let host = home.start(&[]);
    drained(&host, 120);
    let endings = endings(&host, &told.acknowledged);
    assert!(endings.are_good(), "{endings:#?}");
    // Jobs are given back when a host is stopped, which counts as no start.
    assert_eq!(endings.started_again, 0);
    eprintln!(
        "stops: {}, {} acknowledged jobs ended once, {finished} calls of a second were answered",
        torture().stops,
        endings.completed
    );
}
