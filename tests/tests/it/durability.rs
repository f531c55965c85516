//! What was acknowledged stays, whatever is killed.

use serde_json::json;
use wasmill_tests::{Home, eventually, guest};

#[test]
fn acknowledged_jobs_survive_a_crash() {
    let home = Home::new();
    let host = home.start(&["--workers", "1"]);
    let deployed = host.push("u/tests/hello", &guest("hello"));
    let ids: Vec<String> = (0..200)
        .map(|number| host.queue("u/tests/hello", &json!({"name": format!("N{number}")})))
        .collect();
    let home = host.kill();

    let host = home.start(&[]);
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(host.wait(id, 60)["result"]["greeting"], format!("Hello N{number}!"));
    }
    assert_eq!(
        host.get("/api/w/main/scripts/history/p/u/tests/hello").json()[0]["script_hash"],
        deployed.hash
    );
    assert_eq!(
        host.call_hash(&deployed.hash, &json!({"name": "Ann"})).json()["greeting"],
        "Hello Ann!"
    );
    host.still_serves();
}

#[test]
fn jobs_in_the_middle_of_an_acknowledgement() {
    let home = Home::new();
    let host = home.start(&[]);
    host.push("u/tests/hello", &guest("hello"));
    // Four clients queue as fast as they can while the process is killed under them.
    let (sender, acknowledged) = std::sync::mpsc::channel();
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let request = || {
                host.request("POST", "/api/w/main/jobs/run/p/u/tests/hello")
                    .json(&json!({"name": "Ann"}))
            };
            let requests: Vec<_> = (0..500).map(|_| request()).collect();
            let sender = sender.clone();
            std::thread::spawn(move || {
                for request in requests {
                    match request.try_send() {
                        Ok(answer) if answer.status == 201 => {
                            sender.send(answer.text()).expect("the test listens")
                        }
                        _ => return,
                    }
                }
            })
        })
        .collect();
    drop(sender);
    let mut ids: Vec<String> = acknowledged.iter().take(100).collect();
    let home = host.kill();
    ids.extend(acknowledged.iter());
    for client in clients {
        client.join().expect("a client");
    }
    assert!(ids.len() >= 100, "{}", ids.len());
    let host = home.start(&[]);
    for id in &ids {
        assert_eq!(host.wait(id, 60)["success"], json!(true), "{id}");
    }
}

#[test]
fn a_job_that_ran_during_a_crash_runs_again() {
    let home = Home::new();
    let host = home.start(&[]);
    host.push("u/tests/slow", &guest("slow"));
    let id = host.queue("u/tests/slow", &json!({"seconds": 2}));
    eventually("it runs", 20, || host.job_log(&id).contains("1 of 2").then_some(()));
    let host = host.kill().start(&[]);
    assert_eq!(host.wait(&id, 30)["result"], json!({"slept": 2}));
    let job = host.job(&id);
    assert_eq!(job["attempt"], json!(2), "{job}");
    assert!(host.log().contains("queued again"), "the log does not tell: {}", host.log());
}

#[test]
fn a_stop_gives_running_jobs_back() {
    let home = Home::new();
    let mut host = home.start(&["--stop-grace", "1"]);
    host.push("u/tests/slow", &guest("slow"));
    let id = host.queue("u/tests/slow", &json!({"seconds": 4}));
    eventually("it runs", 20, || host.job_log(&id).contains("1 of 4").then_some(()));
    host.terminate();
    assert!(host.ended(15).success());
    drop(host);

    let waiting = home.start(&["--workers", "0"]);
    let job = waiting.job(&id);
    assert_eq!(
        (&job["type"], &job["running"], &job["attempt"]),
        (&json!("QueuedJob"), &json!(false), &json!(0)),
        "{job}"
    );
    drop(waiting);
    let host = home.start(&[]);
    assert_eq!(host.wait(&id, 30)["result"], json!({"slept": 4}));
    assert_eq!(host.job(&id)["attempt"], json!(1));
}

#[test]
fn a_stop_waits_for_short_jobs_and_callers() {
    let home = Home::new();
    let mut host = home.start(&[]);
    host.push("u/tests/slow", &guest("slow"));
    let request = host.calling("p/u/tests/slow").json(&json!({"seconds": 3}));
    let caller = std::thread::spawn(move || request.send());
    let id = host.queue("u/tests/slow", &json!({"seconds": 2}));
    // Of a synchronous run nothing is seen before its end; it was begun a second before this is
    // logged.
    eventually("both run", 20, || host.job_log(&id).contains("1 of 2").then_some(()));
    host.terminate();
    let answer = caller.join().expect("a caller");
    assert_eq!((answer.status, answer.json()), (200, json!({"slept": 3})));
    assert!(host.ended(15).success());
    // Nothing new is taken once it has ended, and what ran is recorded.
    drop(host);
    let host = home.start(&["--workers", "0"]);
    assert_eq!(host.wait(&id, 5)["result"], json!({"slept": 2}));
    assert_eq!(host.wait(answer.header("x-wasmill-job-id"), 5)["result"], json!({"slept": 3}));
}

#[test]
fn one_process_for_one_folder() {
    let home = Home::new();
    let host = home.start(&[]);
    host.push("u/tests/hello", &guest("hello"));
    let data = home.data();
    let second = home.cli(&["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data).run();
    assert_eq!((second.code, second.out.as_str()), (1, ""), "{second:?}");
    let canonical = std::fs::canonicalize(&data).expect("a folder");
    assert!(
        second.err.contains("in use by another wasmill process")
            && second.err.contains(canonical.to_str().expect("text")),
        "{second:?}"
    );
    host.still_serves();
}

#[test]
fn tokens_and_archives_survive() {
    let home = Home::new();
    let host = home.start(&[]);
    host.push("u/tests/hello", &guest("hello"));
    host.push("u/tests/gone", &guest("hello"));
    assert_eq!(
        host.request("POST", "/api/w/main/scripts/archive/p/u/tests/gone").send().status,
        200
    );
    let token = |label: &str| {
        host.request("POST", "/api/users/tokens/create")
            .json(&json!({"label": label}))
            .send()
            .text()
    };
    let (kept, revoked) = (token("kept"), token("revoked"));
    assert_eq!(
        host.request("DELETE", &format!("/api/users/tokens/delete/{}", &revoked[..10]))
            .send()
            .status,
        200
    );
    let host = host.kill().start(&[]);
    let call = |token: &str, path: &str| {
        host.calling(&format!("p/{path}")).token(token).json(&json!({"name": "Ann"})).send().status
    };
    assert_eq!(call(&kept, "u/tests/hello"), 200);
    assert_eq!(call(&revoked, "u/tests/hello"), 401);
    assert_eq!(call(&kept, "u/tests/gone"), 404);
}

/// A compiled script on disk that is not the host's own is not run, only compiled again.
#[test]
fn damaged_artefacts_are_compiled_again() {
    let home = Home::new();
    let host = home.start(&[]);
    host.push("u/tests/hello", &guest("hello"));
    let home = host.kill();
    let mut damaged = 0;
    for entry in walk(&home.data().join("artefacts")) {
        let mut bytes = std::fs::read(&entry).expect("an artefact");
        if let Some(byte) = bytes.len().checked_sub(100).and_then(|at| bytes.get_mut(at)) {
            *byte ^= 1;
            std::fs::remove_file(&entry).expect("it can be removed");
            std::fs::write(&entry, bytes).expect("it can be damaged");
            damaged += 1;
        }
    }
    assert!(damaged > 0, "no artefact was found");
    home.start(&[]).still_serves();
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
