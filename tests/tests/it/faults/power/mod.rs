//! Power cuts: every disk that one may leave has all that was acknowledged.
//!
//! A host runs with its writes noted and is killed at some moment, once or twice, the second life
//! recovering from the first. Then its disk is rebuilt in many ways, and a host is started on each.

mod changes;

use super::{PATH, alone};
use changes::{Change, Changing};
use std::time::Duration;
use wasmill_tests::{
    Acknowledged, Cut, Disk, FaultyDisk, Home, Load, Orders, Plan, Random, call_again, drained,
    endings, eventually, guest, integrity, queued_names, read_notes, torture,
};

/// What a host did to its disk, and what it had acknowledged when its power was cut.
pub(super) struct Recorded {
    pub(super) disk: Disk,
    pub(super) jobs: Vec<Acknowledged>,
    changes: Vec<Change>,
}

impl Recorded {
    /// Nothing yet, on an empty home.
    pub(super) fn new(home: &Home) -> Self {
        Self { disk: Disk::of(home.folder()), jobs: Vec::new(), changes: Vec::new() }
    }

    /// Adds what a host did that has ended.
    pub(super) fn add(&mut self, faulty: &FaultyDisk) {
        read_notes(&faulty.last_log()).into_iter().for_each(|note| self.disk.apply(note));
        self.disk.catch_up(|name| name.starts_with("log-"));
    }
}

/// A life or two of a host. From the first acknowledged job on, its disk misbehaves as `orders`
/// say.
fn recorded(random: &mut Random, orders: Orders) -> Recorded {
    let home = Home::new();
    let mut faulty = FaultyDisk::new(home.folder());
    let mut recorded = Recorded::new(&home);
    let mut open: Vec<String> = Vec::new();
    let lives = if random.once_in(3) { 1 } else { 2 };
    for life in 0..lives {
        let host = faulty.start(&home, &["--workers", "4"], true);
        if life == 0 {
            host.push(PATH, &guest("hello"));
            faulty.order(orders);
        }
        let plan = Plan { keyed: true, ..Plan::queue(random.one_of(&[1, 16, 64]), PATH) };
        // What was not answered is the caller's to send again. The host may have it already.
        let ledger = call_again(&host, &plan, open.drain(..));
        recorded.jobs.extend(ledger.acknowledged);
        let again = recorded.changes.extract_if(.., |change| change.is_open()).collect();
        let changing = Changing::start(&host, recorded.changes.len() + 1, again);
        let queueing = Load::start(&host, &plan);
        let calling = Load::start(&host, &Plan::call(2, PATH));
        eventually("some calls are answered", 30, || {
            (queueing.successes() > 20 && calling.successes() > 2).then_some(())
        });
        // The moment is meant to be any.
        std::thread::sleep(Duration::from_millis(random.below(300)));
        host.kill();
        let ledger = queueing.end();
        calling.end();
        open.extend(ledger.unanswered.into_iter().map(|(name, _)| name));
        recorded.jobs.extend(ledger.acknowledged);
        recorded.changes.extend(changing.end());
        recorded.add(&faulty);
    }
    recorded
}

/// What is missing on a disk that a power cut left: of jobs, and of the rest.
pub(super) fn missing(recorded: &Recorded, cut: Cut) -> (Vec<String>, Vec<String>) {
    let home = Home::new();
    recorded.disk.rebuild(cut, home.folder());
    let mut wrong = Vec::new();
    match integrity(&home.data()).as_deref() {
        Some("ok") => {}
        Some(found) => wrong.push(format!("the database: {found}")),
        None => wrong.push("there is no database".to_owned()),
    }
    let host = home.start(&[]);
    drained(&host, 120);
    let endings = endings(&host, &recorded.jobs);
    wrong.extend(endings.wrong);
    wrong.extend(
        queued_names(&host)
            .into_iter()
            .filter(|(name, count)| name != "Ann" && *count > 1)
            .map(|(name, count)| format!("{name} was queued {count} times")),
    );
    wrong.extend(recorded.changes.iter().flat_map(|change| change.missing(&host)));
    (endings.lost, wrong)
}

/// The disks to look at.
fn cuts(count: u64, case: u64) -> impl Iterator<Item = Cut> {
    (0..count).map(move |number| {
        let seed = case * 1_000 + number;
        match number {
            0 => Cut::Nothing,
            1 => Cut::Everything,
            even if even % 2 == 0 => Cut::Subset(seed),
            _ => Cut::Prefix(seed),
        }
    })
}

#[test]
fn nothing_acknowledged_is_lost() {
    let _alone = alone();
    let torture = torture();
    let (mut disks, mut jobs, mut changes) = (0, 0, 0);
    for case in 0..torture.cases {
        let recorded = recorded(&mut Random::new(case), Orders::default());
        assert!(recorded.jobs.len() > 40 && !recorded.changes.is_empty());
        for cut in cuts(torture.disks, case) {
            let (lost, wrong) = missing(&recorded, cut);
            assert!(
                lost.is_empty() && wrong.is_empty(),
                "case {case}, {cut:?}: {} of {} jobs lost: {:?}; {wrong:#?}",
                lost.len(),
                recorded.jobs.len(),
                lost.first()
            );
            disks += 1;
            jobs += recorded.jobs.len();
            changes += recorded.changes.len();
        }
    }
    eprintln!(
        "power cuts: {disks} disks, {jobs} acknowledged jobs and {changes} changes looked for, none missing"
    );
}

/// The tests above would find a host that acknowledges before its disk has: here it believes to
/// have synced.
#[test]
fn a_disk_that_lies_is_found_out() {
    let _alone = alone();
    let recorded = recorded(&mut Random::new(7), Orders { lie: true, ..Orders::default() });
    let (lost, _) = missing(&recorded, Cut::Nothing);
    assert_eq!(lost.len(), recorded.jobs.len(), "jobs that were never synced are there");
}
