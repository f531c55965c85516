//! A full disk: what would be kept is refused, the rest goes on, and all of it goes on by itself
//! once there is room.

use super::{PATH, alone};
use serde_json::json;
use std::time::Duration;
use wasmill_tests::{
    Answer, FaultyDisk, Home, Host, Load, Orders, Plan, SmallDisk, drained, endings, eventually,
    guest,
};

/// A disk that can be filled.
enum Disk {
    /// One that says it is full.
    Faulty(FaultyDisk),
    /// One that really is.
    Small(SmallDisk),
}

impl Disk {
    fn fill(&self, full: bool) {
        match (self, full) {
            (Disk::Faulty(disk), _) => disk.order(Orders { full, ..Orders::default() }),
            (Disk::Small(disk), true) => disk.fill(),
            (Disk::Small(disk), false) => disk.free(),
        }
    }
}

fn queue(host: &Host) -> Answer {
    host.request("POST", &format!("/api/w/main/jobs/run/p/{PATH}"))
        .json(&json!({"name": "Ann"}))
        .send()
}

fn is_refused(answer: &Answer) {
    let detail = answer.problem(503);
    assert!(detail.contains("full") && detail.contains("nothing was changed"), "{detail}");
    assert_eq!(
        (answer.json()["type"].as_str(), answer.header("retry-after")),
        (Some("/api/problems/storage-full"), "30"),
        "{answer:?}"
    );
}

fn variable(host: &Host, path: &str) -> Answer {
    let variable = json!({"path": path, "value": "x", "is_secret": false, "description": ""});
    host.request("POST", "/api/w/main/variables/create").json(&variable).send()
}

fn survives(home: &Home, disk: &mut Disk) {
    let args = ["--workers", "2"];
    let mut host = match disk {
        Disk::Faulty(disk) => disk.start(home, &args, false),
        Disk::Small(_) => home.start(&args),
    };
    host.push(PATH, &guest("hello"));
    host.push("u/tests/slow", &guest("slow"));
    host.still_serves();
    assert_eq!(variable(&host, "u/tests/before").status, 201);
    let done = host.queue(PATH, &json!({"name": "Ann"}));
    host.wait(&done, 20);
    // Both workers are busy with jobs that end when the disk is full.
    let slow: Vec<String> =
        (0..2).map(|_| host.queue("u/tests/slow", &json!({"seconds": 2}))).collect();
    for id in &slow {
        eventually("it runs", 20, || (host.job(id)["running"] == true).then_some(()));
    }
    let waiting = host.queue(PATH, &json!({"name": "Ann"}));
    // A record that is stored but not yet synced: that this cannot be done soon must not keep the
    // host busy.
    let call = host.call(PATH, &json!({"name": "Ann"}));
    assert_eq!(host.job(call.header("x-wasmill-job-id"))["success"], json!(true));

    disk.fill(true);
    let queueing =
        Load::start(&host, &Plan::queue(8, PATH).with("padding", json!("-".repeat(20 << 10))));
    eventually("the disk is full", 30, || (queue(&host).status == 503).then_some(()));
    eventually("the ends of jobs cannot be stored", 30, || {
        (host.log().matches("a job's end cannot be stored yet").count() == 2).then_some(())
    });
    let mut told = queueing.end();
    assert!(told.statuses.keys().all(|status| [201, 503].contains(status)), "{:?}", told.refusal);
    is_refused(&queue(&host));
    is_refused(&host.upload("u/tests/other", &guest("echo")));
    is_refused(&variable(&host, "u/tests/during"));
    for _ in 0..20 {
        host.still_serves();
        let answer = host.call("u/tests/slow", &json!({"seconds": 0}));
        assert_eq!(answer.json(), json!({"slept": 0}));
        host.get(&format!("/api/w/main/jobs_u/get/{}", answer.header("x-wasmill-job-id")))
            .problem(404);
    }
    for path in [
        "jobs/list",
        "jobs/completed/list",
        "jobs/queue/count",
        "scripts/list",
        "variables/list",
        "variables/get_value/u/tests/before",
    ] {
        assert_eq!(host.get(&format!("/api/w/main/{path}")).status, 200, "{path}");
    }
    assert_eq!(host.job(&done)["success"], json!(true));
    assert_eq!(host.job(&waiting)["type"], json!("QueuedJob"));
    // The host waits for room, and neither spins nor writes its log full.
    let (ticks, lines) = (host.cpu_ticks(), host.log().lines().count());
    std::thread::sleep(Duration::from_secs(2));
    let (ticks, lines) = (host.cpu_ticks() - ticks, host.log().lines().count() - lines);
    assert!(ticks < 60 && lines < 30, "{ticks} hundredths of a second, {lines} lines");

    disk.fill(false);
    eventually("jobs are taken again", 10, || (queue(&host).status == 201).then_some(()));
    drained(&host, 60);
    for id in slow {
        let job = host.job(&id);
        assert_eq!((&job["result"], &job["attempt"]), (&json!({"slept": 2}), &json!(1)), "{job}");
    }
    assert_eq!(host.wait(&waiting, 20)["success"], json!(true));
    // Whole service: what is kept of calls, too.
    let queueing = Load::start(&host, &Plan::queue(4, PATH));
    eventually("jobs are taken", 20, || (queueing.successes() > 50).then_some(()));
    told.add(queueing.end());
    assert_eq!(variable(&host, "u/tests/after").status, 201);
    host.push("u/tests/other", &guest("echo"));
    let answer = host.call(PATH, &json!({"name": "Ann"}));
    assert_eq!(host.job(answer.header("x-wasmill-job-id"))["success"], json!(true));
    drained(&host, 60);
    let endings = endings(&host, &told.acknowledged);
    assert!(endings.are_good(), "{endings:#?}");
    host.terminate();
    assert_eq!(host.ended(20).code(), Some(0), "{}", host.log());
}

#[test]
fn a_disk_that_says_it_is_full() {
    let _alone = alone();
    let home = Home::new();
    let mut disk = Disk::Faulty(FaultyDisk::new(home.folder()));
    survives(&home, &mut disk);
}

#[test]
fn a_disk_that_is_full() {
    let _alone = alone();
    let home = Home::new();
    match SmallDisk::mounted(&home.data(), 64) {
        Some(disk) => survives(&home, &mut Disk::Small(disk)),
        None => eprintln!("no disk may be mounted here; only one that says it is full was tried"),
    }
}
