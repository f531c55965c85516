//! What a script has: its arguments, its variables, a clock, randomness. And nothing of anybody
//! else's.

use serde_json::{Value, json};
use wasmill_tests::{Home, guest, shared};

fn asked(op: &str) -> Value {
    let answer = shared().call("u/tests/misbehave", &json!({"op": op}));
    assert_eq!(
        (answer.status, answer.header("x-wasmill-job-status")),
        (200, "success"),
        "{answer:?}"
    );
    answer.json()
}

#[test]
fn no_files() {
    let error = asked("files");
    let error = error.as_str().expect("a text");
    // The file is there on this machine, so this is not what the system said.
    assert!(std::fs::exists("/etc/passwd").is_ok_and(|there| there));
    assert!(error.contains("No such file"), "{error}");
    shared().still_serves();
}

#[test]
fn no_network() {
    let host = shared();
    let error = asked("net");
    let error = error.as_str().expect("a text").to_lowercase();
    // Refused by the sandbox. "Connection refused" would mean that somebody had been asked.
    assert!(!error.contains("connected") && !error.contains("connection refused"), "{error}");
    assert!(
        error.contains("permission") || error.contains("not permitted") || error.contains("denied"),
        "{error}"
    );
    host.still_serves();
}

#[test]
fn no_preopened_folders_and_no_arguments_for_a_core_module() {
    let host = shared();
    // 3 is where a first preopened folder would be: `fd_prestat_get` must answer EBADF, which is 8.
    let wasm = wasmill_tests::command(
        r#"(import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
           (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
           (memory (export "memory") 1)
           (func (export "_start") (call $exit (call $prestat (i32.const 3) (i32.const 0))))"#,
    );
    host.push("u/capabilities/prestat", &wasm);
    let answer = host.call("u/capabilities/prestat", &json!({}));
    assert_eq!(answer.json()["error"]["exit_code"], json!(8), "{answer:?}");
}

#[test]
fn the_environment_is_the_runs_own() {
    let host = Home::new()
        .start_with(&[], &[("SECRET_OF_THE_HOST", "do not show"), ("WM_SECRET", "do not show")]);
    let deployed = host.push("u/tests/misbehave", &guest("misbehave"));
    let answer = host.call("u/tests/misbehave", &json!({"op": "env"}));
    let environment = answer.json();
    let names: Vec<&String> = environment.as_object().expect("an object").keys().collect();
    assert!(names.iter().all(|name| name.starts_with("WM_")), "{names:?}");
    assert!(!answer.text().contains("do not show"), "{environment}");
    assert_eq!(environment["WM_WORKSPACE"], "main");
    assert_eq!(environment["WM_JOB_ID"], answer.header("x-wasmill-job-id"));
    assert_eq!(environment["WM_SCRIPT_PATH"], "u/tests/misbehave");
    assert_eq!(environment["WM_SCRIPT_HASH"], deployed.hash);
    assert_eq!(environment["WM_BASE_URL"], host.url());
    assert!(!answer.text().contains(&host.token), "the admin's token is in the environment");
}

#[test]
fn randomness_is_fresh() {
    let seen: Vec<Value> = (0..3).map(|_| asked("random")).collect();
    assert!(seen[0] != seen[1] && seen[1] != seen[2] && seen[0] != seen[2], "{seen:?}");
}

#[test]
fn memory_of_a_former_run_is_gone() {
    for round in 0..20 {
        let written = asked("secret-write");
        assert!(
            written.as_u64().is_some_and(|count| count > 10_000),
            "nothing was written: {written}"
        );
        assert_eq!(asked("secret-scan"), json!(0), "in round {round}");
    }
}
