//! Delete after use: what is not to be kept is in no file, whatever becomes of the run.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use wasmill_tests::{Answer, Home, Host, Wire, command, eventually, found_below, guest};

/// A command that logs its arguments, prints them as its result, and then ends in this way.
fn telling(ending: &str) -> Vec<u8> {
    command(&format!(
        r#"(import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
           (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
           (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
           (memory (export "memory") 2)
           (data (i32.const 0) "\40\00\00\00\00\ff\00\00")
           (func (export "_start")
             (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)))
             (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 12)))
             (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
             {ending})"#
    ))
}

/// Everything that becomes of synchronous runs, with a secret for each, told by body, query and
/// header.
const SYNC: [&str; 7] =
    ["success", "failure", "invalid", "late", "hung-up", "stream", "stream-hung-up"];

fn secrets(of: &str, how: &str) -> [String; 3] {
    ["body", "query", "header"].map(|place| format!("S3cr3t-{of}-{how}-{place}-qZ7xW2"))
}

fn script(how: &str) -> &str {
    match how {
        "success" | "stream" | "queued" => "echo",
        "failure" => "fail",
        "invalid" => "greet",
        _ => "spin",
    }
}

/// The call's address and headers, and its body.
fn call(folder: &str, verb: &str, how: &str) -> (String, String, Value) {
    let [body, query, header] = secrets(folder, how);
    let path = format!(
        "/api/w/main/jobs/{verb}/p/u/{folder}/{}?include_query=asked&asked={query}&include_header=x-told",
        script(how)
    );
    (path, header, json!({"name": body, "times": body}))
}

fn ask(host: &Host, folder: &str, verb: &str, how: &str) -> Answer {
    let (path, header, body) = call(folder, verb, how);
    host.request("POST", &path).header("x-told", &header).json(&body).send()
}

/// Calls and hangs up in the middle of the run.
fn hang_up(host: &Host, folder: &str, verb: &str, how: &str) {
    let (path, header, body) = call(folder, verb, how);
    let body = body.to_string();
    let mut wire = Wire::open(host.address);
    wire.send(format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nx-told: {header}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        host.token,
        body.len()
    ));
    std::thread::sleep(Duration::from_millis(300));
    wire.hang_up();
}

fn push_all(host: &Host, folder: &str, settings: &str) {
    for (name, wasm) in [
        ("echo", telling("")),
        ("fail", telling("(call $exit (i32.const 3))")),
        ("spin", telling("(loop (br 0))")),
        ("greet", guest("greet")),
    ] {
        host.push(&format!("u/{folder}/{name}?{settings}"), &wasm);
    }
}

fn run_all(host: &Host, folder: &str) {
    for how in SYNC {
        let [body, query, header] = secrets(folder, how);
        match how {
            "hung-up" => hang_up(host, folder, "run_wait_result", how),
            "stream-hung-up" => hang_up(host, folder, "run_and_stream", how),
            "stream" => {
                let told = ask(host, folder, "run_and_stream", how).text();
                assert!(
                    [&body, &query, &header].iter().all(|secret| told.contains(*secret)),
                    "{told}"
                );
            }
            "late" => {
                ask(host, folder, "run_wait_result", how).problem(504);
            }
            how => {
                let told = ask(host, folder, "run_wait_result", how);
                assert_eq!(
                    told.header("x-wasmill-job-status"),
                    if how == "success" { "success" } else { "failure" },
                    "{told:?}"
                );
                assert!(how != "success" || told.text().contains(&body), "{told:?}");
            }
        }
    }
    // All of them are recorded; those of hung-up callers a moment later.
    eventually(&format!("the runs of {folder} are recorded"), 20, || {
        let listed = host
            .get(&format!("/api/w/main/jobs/completed/list?script_path_start=u/{folder}/"))
            .json();
        (listed.as_array().expect("a list").len() == SYNC.len()).then_some(())
    });
}

#[test]
fn synchronous_runs_leave_nothing() {
    let home = Home::new();
    // As much is logged as an operator may ask for.
    let mut host = home.start_with(
        &["--sync-timeout", "2", "--stop-grace", "1"],
        &[("WASMILL_LOG", "info,wasmill=debug")],
    );
    push_all(&host, "gone", "delete_after_use=true");
    push_all(&host, "kept", "");
    for folder in ["gone", "kept"] {
        run_all(&host, folder);
    }
    let listed = host
        .get("/api/w/main/jobs/completed/list?script_path_start=u/gone/&include_args=true")
        .json();
    let statuses: Vec<&Value> =
        listed.as_array().expect("a list").iter().map(|job| &job["success"]).collect();
    assert_eq!(statuses.iter().filter(|status| ***status == json!(true)).count(), 2, "{listed}");
    for job in listed.as_array().expect("a list") {
        assert_eq!((&job["deleted"], job.get("args")), (&json!(true), None), "{job}");
    }

    host.terminate();
    host.ended(30);
    // Each kept secret is found, so that the search can fail at all.
    let mut missed = BTreeMap::new();
    for how in SYNC {
        for secret in secrets("kept", how) {
            missed.insert(secret.clone(), found_below(&home.path(""), &secret).is_empty());
        }
        for secret in secrets("gone", how) {
            assert_eq!(found_below(&home.path(""), &secret), [""; 0], "{secret}");
        }
    }
    missed.retain(|_, missed| *missed);
    assert!(missed.is_empty(), "{missed:?}");
}

/// Waits for a job's end without looking at its result.
fn over(host: &Host, id: &str) {
    eventually(&format!("job {id} is over"), 20, || {
        (host.get(&format!("/api/w/main/jobs_u/getupdate/{id}?no_logs=true")).json()["completed"]
            == true)
            .then_some(())
    });
}

#[test]
fn queued_runs_are_erased_once_their_result_was_read() {
    let home = Home::new();
    let host = home.start(&[]);
    push_all(&host, "gone", "delete_after_use=true");
    type Read = fn(&Host, &str) -> String;
    let reads: [(&str, Read); 6] = [
        ("get_result", |host, id| {
            host.get(&format!("/api/w/main/jobs_u/completed/get_result/{id}")).text()
        }),
        ("get_result_maybe", |host, id| {
            host.get(&format!("/api/w/main/jobs_u/completed/get_result_maybe/{id}")).text()
        }),
        ("get", |host, id| host.get(&format!("/api/w/main/jobs_u/get/{id}")).text()),
        ("completed/get", |host, id| {
            host.get(&format!("/api/w/main/jobs_u/completed/get/{id}")).text()
        }),
        ("getupdate", |host, id| {
            host.get(&format!("/api/w/main/jobs_u/getupdate/{id}?only_result=true")).text()
        }),
        ("getupdate_sse", |host, id| {
            host.get(&format!("/api/w/main/jobs_u/getupdate_sse/{id}")).text()
        }),
    ];
    for (name, read) in reads {
        let [secret, ..] = secrets("gone", "queued");
        let secret = &secret;
        let queued = ask(&host, "gone", "run", "queued");
        assert_eq!(queued.status, 201, "{queued:?}");
        let id = queued.text();
        over(&host, &id);
        assert_ne!(found_below(&home.data(), secret), [""; 0], "{name}: until then it is there");
        // Neither a list nor the log is the result.
        host.job_log(&id);
        assert_eq!(
            host.get("/api/w/main/jobs/completed/list").json()[0]["deleted"],
            json!(false),
            "{name}"
        );
        assert!(read(&host, &id).contains(secret), "{name}");
        assert_eq!(host.job(&id)["deleted"], json!(true), "{name}");
        assert!(!read(&host, &id).contains(secret), "{name}");
        // Also out of the database's log, within its time, while the host goes on.
        eventually(&format!("what {name} read is in no file"), 20, || {
            found_below(&home.data(), secret).is_empty().then_some(())
        });
    }
}

#[test]
fn payloads_are_erased_in_their_time() {
    let home = Home::new();
    let host = home.start(&[]);
    push_all(&host, "short", "delete_after_secs=4");
    let [secret, ..] = secrets("short", "queued");
    let queued = ask(&host, "short", "run", "queued").text();
    // Read or not.
    assert!(host.wait(&queued, 10)["result"].to_string().contains(&secret));
    let [synced, ..] = secrets("short", "success");
    let answer = ask(&host, "short", "run_wait_result", "success");
    assert!(answer.text().contains(&synced), "{answer:?}");
    let waiting = {
        let (path, header, body) = call("short", "run", "queued");
        host.request("POST", &format!("{path}&scheduled_in_secs=3600"))
            .header("x-told", &header)
            .json(&body)
            .send()
            .text()
    };
    // A job that never ran has an end too.
    assert_eq!(
        host.request("POST", &format!("/api/w/main/jobs_u/queue/cancel/{waiting}")).send().status,
        200
    );
    for id in [&queued, &waiting, answer.header("x-wasmill-job-id")] {
        eventually(&format!("{id} is erased"), 20, || {
            (host.job(id)["deleted"] == true).then_some(())
        });
    }
    for secret in [secret, synced] {
        eventually("it is in no file", 20, || {
            found_below(&home.data(), &secret).is_empty().then_some(())
        });
    }
}

#[test]
fn settings_are_shown_and_make_a_version() {
    let host = wasmill_tests::shared();
    let plain = host.push("u/deletion/x", &guest("hello"));
    let gone = host.push("u/deletion/x?delete_after_use=true", &guest("hello"));
    assert_ne!(plain.hash, gone.hash);
    assert_eq!(
        host.push("u/deletion/x?delete_after_secs=0", &guest("hello")).hash,
        gone.hash,
        "the same by another name"
    );
    let shown = host.get("/api/w/main/scripts/get/p/u/deletion/x").json();
    assert_eq!(
        (&shown["delete_after_secs"], &shown["settings"]),
        (&json!(0), &json!({"delete_after_use": true}))
    );
    assert_eq!(host.push("u/deletion/x", &guest("hello")).hash, plain.hash);
    let shown = host.get("/api/w/main/scripts/get/p/u/deletion/x").json();
    assert_eq!((shown.get("delete_after_secs"), &shown["settings"]), (None, &json!({})));
    for (query, word) in [
        ("delete_after_use=maybe", "true or false"),
        ("delete_after_secs=soon", "seconds"),
        ("on_hang_up=stay", "cancel or continue"),
        ("delete_after_use=true&on_hang_up=continue", "jobs"),
    ] {
        let detail = host.upload(&format!("u/deletion/x?{query}"), &guest("hello")).problem(400);
        assert!(detail.contains(word), "{query}: {detail}");
    }
}
