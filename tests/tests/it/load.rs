//! Many at once, more than fit, and callers that do not wait.

use serde_json::json;
use std::time::Duration;
use wasmill_tests::{Host, Wire, eventually, guest};

/// Sends a call of `u/tests/misbehave` by hand, so that its connection can be cut.
fn spinning(host: &Host) -> Wire {
    let body = r#"{"op":"spin"}"#;
    let mut wire = Wire::open(host.address);
    wire.send(format!(
        "POST /api/w/main/jobs/run_wait_result/p/u/tests/misbehave HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        host.token,
        body.len()
    ));
    wire
}

/// Processor time over a second: hundredths of a second.
fn busy(host: &Host) -> u64 {
    let before = host.cpu_ticks();
    // What is measured is a length of time, so there is nothing to poll for.
    std::thread::sleep(Duration::from_secs(1));
    host.cpu_ticks() - before
}

#[test]
fn a_caller_that_hangs_up_ends_its_run() {
    let host = Host::start(&[]);
    host.push("u/tests/misbehave", &guest("misbehave"));
    let wire = spinning(&host);
    eventually("it computes", 20, || (busy(&host) > 30).then_some(()));
    wire.hang_up();
    let job = eventually("the run is recorded", 10, || {
        let jobs = host.get("/api/w/main/jobs/list?script_path_exact=u/tests/misbehave").json();
        jobs.get(0).filter(|job| job["type"] == "CompletedJob").cloned()
    });
    assert_eq!((&job["canceled"], &job["success"]), (&json!(true), &json!(false)), "{job}");
    let id = job["id"].as_str().expect("an id");
    assert_eq!(host.job(id)["result"]["error"]["name"], "Canceled");
    eventually("the sandbox is freed", 10, || (busy(&host) < 15).then_some(()));
}

#[test]
fn full_is_503_and_nothing_is_started() {
    let host = Host::start(&["--concurrency", "2"]);
    host.push("u/tests/hello", &guest("hello"));
    host.push("u/tests/misbehave", &guest("misbehave"));
    let wires = [spinning(&host), spinning(&host)];
    let full = eventually("both places are taken", 20, || {
        let answer = host.call("u/tests/hello", &json!({"name": "Ann"}));
        (answer.status != 200).then_some(answer)
    });
    assert!(full.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{full:?}");
    let detail = full.problem(503);
    assert!(detail.contains("2 places") && detail.contains("nothing was started"), "{detail}");
    // A job waits in its queue instead, and reading works all the time.
    let id = host.queue("u/tests/hello", &json!({"name": "Ann"}));
    assert_eq!(host.job(&id)["type"], "QueuedJob");
    for wire in wires {
        wire.hang_up();
    }
    assert_eq!(host.wait(&id, 20)["result"]["greeting"], "Hello Ann!");
    host.still_serves();
}

#[test]
fn a_hundred_calls_beside_four_that_never_end() {
    let host = Host::start(&[]);
    host.push("u/tests/hello", &guest("hello"));
    host.push("u/tests/misbehave", &guest("misbehave"));
    let wires: Vec<Wire> = (0..4).map(|_| spinning(&host)).collect();
    eventually("they compute", 20, || (busy(&host) > 30).then_some(()));
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..100)
            .map(|number| {
                (
                    number,
                    host.calling("p/u/tests/hello").json(&json!({"name": format!("N{number}")})),
                )
            })
            .collect();
        let calls: Vec<_> = calls
            .into_iter()
            .map(|(number, call)| (number, scope.spawn(move || call.send())))
            .collect();
        for (number, call) in calls {
            let answer = call.join().expect("an answer");
            assert_eq!(
                (answer.status, answer.json()["greeting"].clone()),
                (200, json!(format!("Hello N{number}!"))),
                "{answer:?}"
            );
        }
    });
    for wire in wires {
        wire.hang_up();
    }
    host.still_serves();
}

#[test]
fn two_hundred_idle_connections_harm_nobody() {
    let host = Host::start(&[]);
    host.push("u/tests/hello", &guest("hello"));
    let wires: Vec<Wire> = (0..200).map(|_| Wire::open(host.address)).collect();
    host.still_serves();
    drop(wires);
    host.still_serves();
}
