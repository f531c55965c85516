//! Guests that do what they should not: each ends with its own name, and nobody else notices.

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use wasmill_tests::{Answer, command, component, entry_answering, guest, shared, typed};

/// Runs and fails; the host then serves others as before.
fn failing(path: &str, args: &Value) -> (String, String, Answer) {
    let host = shared();
    let answer = host.call(path, args);
    assert_eq!(answer.status, 200, "{answer:?}");
    let (name, message) = answer.failure();
    host.still_serves();
    (name, message, answer)
}

fn misbehaving(op: &str) -> (String, String, Answer) {
    failing("u/tests/misbehave", &json!({"op": op}))
}

/// The same with a second to live.
fn briefly(op: &str) -> (String, String) {
    let begun = Instant::now();
    let (name, message, _) = failing("u/tests/brief", &json!({"op": op}));
    assert!(begun.elapsed() < Duration::from_secs(20), "it was let run for {:?}", begun.elapsed());
    (name, message)
}

#[test]
fn loops() {
    let (name, message) = briefly("spin");
    assert_eq!((name.as_str(), message.as_str()), ("Timeout", "the script did not end within 1 s"));
}

#[test]
fn loops_in_the_start_function() {
    let host = shared();
    let spin = r#"(func $spin (loop (br 0))) (start $spin)"#;
    host.push(
        "u/runs/start-typed?timeout_s=1",
        &typed(&format!(r#"{spin} (func (export "main"))"#)),
    );
    host.push(
        "u/runs/start-core?timeout_s=1",
        &command(&format!(r#"{spin} (func (export "_start"))"#)),
    );
    for path in ["u/runs/start-typed", "u/runs/start-core"] {
        assert_eq!(failing(path, &json!({})).0, "Timeout", "{path}");
    }
}

#[test]
fn sleeps() {
    assert_eq!(briefly("sleep").0, "Timeout");
}

#[test]
fn grows() {
    let (name, message, _) = misbehaving("grow");
    assert_eq!(name, "OutOfMemory");
    assert!(message.contains("256 MiB"), "{message}");
    // The script's own limit, and how much of it was used.
    let host = shared();
    host.push("u/runs/small?memory_mib=16", &guest("misbehave"));
    let (name, message, answer) = failing("u/runs/small", &json!({"op": "grow"}));
    assert!(name == "OutOfMemory" && message.contains("16 MiB"), "{name}: {message}");
    let id = answer.header("x-wasmill-job-id");
    let job = wasmill_tests::eventually("the run is recorded", 10, || {
        let answer = host.get(&format!("/api/w/main/jobs_u/get/{id}"));
        (answer.status == 200).then(|| answer.json())
    });
    let peak = job["mem_peak"].as_u64().expect("a number");
    assert!((1024..=16 * 1024).contains(&peak), "{peak} KiB");
}

#[test]
fn many_memories_are_summed() {
    let host = shared();
    // Four instances with 96 MiB each: none is over the limit of a run by itself.
    let instances: String =
        (0..4).map(|number| format!("(core instance $i{number} (instantiate $m))")).collect();
    let wasm = component(&format!(
        r#"(core module $m (memory 1536) (func (export "main")))
           {instances}
           (func (export "main") (canon lift (core func $i0 "main")))"#
    ));
    host.push("u/runs/memories", &wasm);
    assert_eq!(failing("u/runs/memories", &json!({})).0, "OutOfMemory");
}

#[test]
fn recurses_on_the_stack_of_wasm() {
    let host = shared();
    host.push("u/runs/deep", &typed(r#"(func $deep (export "main") (call $deep) (call $deep))"#));
    let (name, message, _) = failing("u/runs/deep", &json!({}));
    assert_eq!(name, "StackOverflow");
    assert!(message.contains("recursion"), "{message}");
}

#[test]
fn recurses_on_a_stack_in_memory() {
    let (name, message, answer) = misbehaving("recurse");
    assert_eq!(name, "StackOverflow", "{message}");
    assert!(
        answer.json()["error"]["stack"].as_str().is_some_and(|stack| stack.contains("recurse")),
        "{answer:?}"
    );
}

#[test]
fn traps_in_the_start_function() {
    let host = shared();
    host.push(
        "u/runs/trap",
        &typed(r#"(func $bad unreachable) (start $bad) (func (export "main"))"#),
    );
    let (name, message, _) = failing("u/runs/trap", &json!({}));
    assert_eq!(name, "Trap");
    assert!(message.contains("unreachable"), "{message}");
    host.push(
        "u/runs/divide",
        &typed(r#"(func (export "main") (drop (i32.div_u (i32.const 1) (i32.const 0))))"#),
    );
    let (name, message, _) = failing("u/runs/divide", &json!({}));
    assert!(name == "Trap" && message.contains("divide by zero"), "{name}: {message}");
    host.push(
        "u/runs/bounds",
        &typed(r#"(memory 1) (func (export "main") (drop (i32.load (i32.const 65536))))"#),
    );
    let (name, message, _) = failing("u/runs/bounds", &json!({}));
    assert!(name == "Trap" && message.contains("out of bounds"), "{name}: {message}");
}

#[test]
fn panics() {
    let (name, message, answer) = misbehaving("panic");
    assert_eq!(name, "Trap");
    assert!(message.contains("boom at work") && message.contains("lib.rs"), "{message}");
    let error = answer.json();
    let stack = error["error"]["stack"].as_str().expect("a stack");
    let places: Vec<usize> = ["inner_frame", "middle_frame", "outer_frame"]
        .iter()
        .map(|frame| stack.find(frame).unwrap_or_else(|| panic!("no {frame}: {stack}")))
        .collect();
    assert!(places.is_sorted(), "innermost first: {stack}");
    assert!(!stack.contains("/root/") && !stack.contains("wasmtime"), "{stack}");
}

#[test]
fn exits() {
    // A component can only tell that it failed: `wasi:cli/exit` takes a result and no number.
    let (name, message, answer) = misbehaving("exit");
    assert_eq!(
        (name.as_str(), &answer.json()["error"]["exit_code"]),
        ("ScriptError", &json!(1)),
        "{message}"
    );
    let host = shared();
    let exit = r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const 3)))"#;
    host.push("u/runs/exit", &command(exit));
    let (name, message, answer) = failing("u/runs/exit", &json!({}));
    assert_eq!(
        (name.as_str(), &answer.json()["error"]["exit_code"]),
        ("ScriptError", &json!(3)),
        "{message}"
    );
    host.push("u/runs/words", &guest("word-count"));
    let (name, message, answer) = failing("u/runs/words", &json!({}));
    assert_eq!((name.as_str(), &answer.json()["error"]["exit_code"]), ("ScriptError", &json!(2)));
    assert!(message.contains("\"text\" is missing"), "{message}");
}

#[test]
fn prints_a_gigabyte() {
    let host = shared();
    let before = host.resident_kib();
    let id = host.queue("u/tests/misbehave", &json!({"op": "flood"}));
    let maybe = host.wait(&id, 60);
    assert!(maybe["result"].as_u64().is_some_and(|written| written >= 1 << 30), "{maybe}");
    let log = host.job_log(&id);
    assert!(log.starts_with("flood flood"), "{:?}", &log[..100]);
    assert!((1 << 20..(1 << 20) + 1000).contains(&log.len()), "{} bytes of log", log.len());
    let last = log.lines().last().expect("a line");
    assert!(last.contains("log is full") && last.contains("dropped"), "{last}");
    // Other tests run on this host at the same time, two of them with all the memory that a run may
    // have.
    let grown = host.resident_kib().saturating_sub(before) / 1024;
    assert!(grown < 600, "{grown} MiB more");
    host.still_serves();
}

#[test]
fn returns_a_gigabyte() {
    // More than the memory of a run, and then more than a result may have.
    assert_eq!(misbehaving("result").0, "OutOfMemory");
    let (name, message, _) =
        failing("u/tests/misbehave", &json!({"op": "result", "bytes": 20 << 20}));
    assert_eq!(name, "ResultTooLarge");
    assert!(message.contains("16 MiB"), "{message}");
    let fits =
        shared().call("u/tests/misbehave", &json!({"op": "result", "bytes": (16 << 20) - 2}));
    assert_eq!((fits.status, fits.body.len()), (200, 16 << 20), "exactly the limit");
}

#[test]
fn prints_a_gigabyte_as_its_result() {
    let host = shared();
    // A command whose standard output is its result: a mebibyte, again and again.
    let wasm = command(
        r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
           (memory (export "memory") 17)
           (data (i32.const 0) "\10\00\00\00\00\00\10\00")
           (func (export "_start") (loop (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br 0)))"#,
    );
    host.push("u/runs/output?timeout_s=20", &wasm);
    assert_eq!(failing("u/runs/output", &json!({})).0, "ResultTooLarge");
}

#[test]
fn returns_broken_json() {
    let host = shared();
    host.push("u/runs/intact", &entry_answering(r#"{"a": [1, 2.50]}"#));
    let intact = host.call("u/runs/intact", &json!({}));
    assert_eq!(
        (intact.status, intact.text().as_str()),
        (200, r#"{"a": [1, 2.50]}"#),
        "the module itself is right: {intact:?}"
    );
    for (number, text) in
        [r#"{"a": oops}"#, "", "1 2", "{'a': 1}", "NaN", r#""unfinished"#].iter().enumerate()
    {
        let path = format!("u/runs/broken-{number}");
        host.push(&path, &entry_answering(text));
        let (name, message, _) = failing(&path, &json!({}));
        assert_eq!(name, "InvalidResult", "{text:?}: {message}");
        assert!(message.contains("JSON"), "{text:?}: {message}");
    }
}

#[test]
fn returns_json_that_is_too_deep() {
    let host = shared();
    host.push(
        "u/runs/nested",
        &entry_answering(&format!("{}{}", "[".repeat(20_000), "]".repeat(20_000))),
    );
    let (name, message, _) = failing("u/runs/nested", &json!({}));
    assert_eq!(name, "InvalidResult");
    assert!(message.contains("128 levels"), "{message}");
}

#[test]
fn forged_log_lines_and_terminal_escapes() {
    let host = shared();
    let answer = host.calling("p/u/tests/hello").json(&json!({"name": "\u{1b}[2J\r\u{7}"})).send();
    let id = answer.header("x-wasmill-job-id");
    wasmill_tests::eventually("the run is recorded", 10, || {
        (host.get(&format!("/api/w/main/jobs_u/get/{id}")).status == 200).then_some(())
    });
    let log = host.job_log(id);
    assert!(log.contains("greeting") && !log.contains(['\u{1b}', '\r', '\u{7}']), "{log:?}");
}
