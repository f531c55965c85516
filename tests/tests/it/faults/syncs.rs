//! A disk whose syncs fail, or take their time.

use super::power::{Recorded, missing};
use super::{PATH, alone};
use serde_json::json;
use wasmill_tests::{
    Cut, FaultyDisk, Home, Load, Orders, Plan, drained, endings, eventually, guest,
};

/// After a failed sync nobody knows what is on the disk. So the host stops, and has promised
/// nothing that it does not keep.
#[test]
fn a_failed_sync_stops_the_host() {
    let _alone = alone();
    let mut jobs = 0;
    for fail_every in [1, 7, 40] {
        let home = Home::new();
        let mut faulty = FaultyDisk::new(home.folder());
        let mut recorded = Recorded::new(&home);
        let mut host = faulty.start(&home, &["--workers", "4"], true);
        host.push(PATH, &guest("hello"));
        faulty.order(Orders { fail_every, ..Orders::default() });
        let queueing = Load::start(&host, &Plan::queue(16, PATH));
        assert_eq!(host.ended(60).code(), Some(1), "{}", host.log());
        let told = queueing.end();
        let said = host.log();
        assert!(
            said.contains("the store has failed; the host stops")
                && said.contains("disk I/O error"),
            "{said}"
        );
        assert!(
            told.statuses.keys().all(|status| [201, 503].contains(status)),
            "{:?}",
            told.refusal
        );
        assert!(
            !told.statuses.contains_key(&503)
                || told.refusal.as_ref().is_some_and(|refusal| refusal.contains("retry-after"))
        );
        jobs += told.acknowledged.len();
        recorded.add(&faulty);
        recorded.jobs = told.acknowledged;
        // What was to be synced and was not may be gone.
        for cut in [Cut::Nothing, Cut::Subset(fail_every.into())] {
            let (lost, wrong) = missing(&recorded, cut);
            assert!(
                lost.is_empty() && wrong.is_empty(),
                "{fail_every}, {cut:?}: lost {lost:?}; {wrong:#?}"
            );
        }
        faulty.order(Orders::default());
        let host = faulty.start(&home, &[], false);
        drained(&host, 60);
        let endings = endings(&host, &recorded.jobs);
        assert!(endings.are_good(), "{endings:#?}");
        host.still_serves();
    }
    assert!(jobs > 0, "nothing was acknowledged before a sync failed");
}

/// What is accepted faster than the disk takes it must not pile up in memory.
#[test]
fn a_slow_disk_makes_callers_wait() {
    let _alone = alone();
    let home = Home::new();
    let mut faulty = FaultyDisk::new(home.folder());
    let host = faulty.start(&home, &[], false);
    host.push(PATH, &guest("hello"));
    host.still_serves();
    let before = host.resident_kib();
    faulty.order(Orders { delay_ms: 200, ..Orders::default() });
    let padding = json!("-".repeat(32 << 10));
    let queueing = Load::start(&host, &Plan::queue(64, PATH).with("padding", padding.clone()));
    let calling = Load::start(&host, &Plan::call(1, PATH));
    let mut most = before;
    eventually("some commits are done", 60, || {
        most = most.max(host.resident_kib());
        (queueing.successes() > 300).then_some(())
    });
    let (queued, called) = (queueing.end(), calling.end());
    assert!(
        queued.statuses.keys().all(|status| [201, 503].contains(status)),
        "{:?}",
        queued.refusal
    );
    assert!(queued.slowest.as_millis() >= 200, "nobody waited for the disk: {:?}", queued.slowest);
    let grown = (most - before) >> 10;
    assert!(
        grown < 200,
        "{grown} MiB more than before for jobs of {} MiB",
        queued.acknowledged.len() / 32
    );
    // Nobody waits for the record of a synchronous run, whose caller has its answer.
    assert_eq!(called.statuses.keys().copied().collect::<Vec<_>>(), [200], "{:?}", called.refusal);
    assert!(called.results.len() > 100, "{}", called.results.len());
    drained(&host, 60);
    let endings = endings(&host, &queued.acknowledged);
    assert!(endings.are_good(), "{endings:#?}");

    // Records that come faster than they can be written are kept without arguments and results, or
    // not at all: these have 128 KiB each, and a gigabyte together.
    host.push("u/tests/echo", &guest("echo"));
    let calling = Load::start(
        &host,
        &Plan::call(4, "u/tests/echo").with("padding", json!("-".repeat(64 << 10))),
    );
    eventually("more was given than may wait", 60, || {
        most = most.max(host.resident_kib());
        (calling.successes() > 8_000).then_some(())
    });
    faulty.order(Orders::default());
    let called = calling.end();
    assert_eq!(called.statuses.keys().copied().collect::<Vec<_>>(), [200], "{:?}", called.refusal);
    let grown_by_records = (most - before) >> 10;
    assert!(grown_by_records < 600, "{grown_by_records} MiB more than before");
    eprintln!(
        "slow disk: {} jobs took {grown} MiB, the slowest {:?}; {} records of 128 KiB took {grown_by_records} MiB",
        queued.acknowledged.len(),
        queued.slowest,
        called.results.len()
    );
}
