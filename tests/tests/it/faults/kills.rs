//! A host that is killed again and again while clients queue jobs.

use super::{PATH, alone};
use wasmill_tests::{
    Home, Ledger, Load, Plan, Random, drained, endings, eventually, guest, torture,
};

#[test]
fn every_acknowledged_job_ends_once() {
    let _alone = alone();
    let kills = torture().kills;
    let mut random = Random::new(1);
    let mut told = Ledger::default();
    let mut host = Home::new().start(&[]);
    host.push(PATH, &guest("hello"));
    for kill in 0..kills {
        let queueing = Load::start(&host, &Plan::queue(random.one_of(&[1, 8, 32]), PATH));
        let calling = Load::start(&host, &Plan::call(2, PATH));
        let wanted = 1 + random.below(200);
        eventually("jobs are acknowledged", 60, || (queueing.successes() >= wanted).then_some(()));
        // The moment is meant to be any.
        std::thread::sleep(std::time::Duration::from_millis(random.below(100)));
        let home = host.kill();
        told.add(queueing.end());
        calling.end();
        host = home.start(&[]);
        if kill % 2 == 0 {
            // Nobody calls: what was queued runs by itself.
            drained(&host, 120);
        }
    }
    drained(&host, 120);
    let endings = endings(&host, &told.acknowledged);
    assert!(endings.are_good(), "{endings:#?}");
    assert_eq!(told.statuses.keys().copied().collect::<Vec<_>>(), [201], "{:?}", told.refusal);
    eprintln!(
        "kills: {kills}, {} acknowledged jobs ended once with success, {} of them were started more than once",
        endings.completed, endings.started_again
    );
}
