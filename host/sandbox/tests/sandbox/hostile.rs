//! Guests that want to harm: each must end with its own outcome, in time, and leave the sandbox as
//! it was.

use crate::support::*;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmill_core::RunLimits;
use wasmill_sandbox::LogBuffer;

const SPIN: &str = "(loop $l (br $l))";

fn brief() -> RunLimits {
    RunLimits { wall: Duration::from_millis(150), ..limits() }
}

async fn times_out(wat: &str) {
    let start = Instant::now();
    let ran = run_bytes(wasm(wat), "{}", brief()).await;
    assert_eq!(ran.name(), "Timeout");
    assert_eq!(ran.failure().message, "the script did not end within 0.15 s");
    // Far below what it takes to wait for anything else, far above what a busy machine adds.
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn endless_loops() {
    times_out(&command("", SPIN)).await;
    times_out(&typed("", &format!(r#"(func (export "main") {SPIN})"#))).await;
}

#[tokio::test]
async fn endless_start_functions() {
    times_out(&command(&format!("(func $s {SPIN}) (start $s)"), "")).await;
    times_out(&typed("", &format!(r#"(func $s {SPIN}) (start $s) (func (export "main"))"#))).await;
}

#[tokio::test]
async fn sleepers() {
    // One subscription: the monotonic clock, an hour from now.
    times_out(&command("", "(i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 32) (i32.const 1)) (i64.store (i32.const 40) (i64.const 3600000000000)) (drop (call $poll (i32.const 16) (i32.const 512) (i32.const 1) (i32.const 0)))")).await;
}

#[tokio::test]
async fn host_call_flood() {
    times_out(&command(
        "",
        "(loop $l (call $write (i32.const 2) (i32.const 0) (i32.const 0)) (br $l))",
    ))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spinners_do_not_hold_the_executor() {
    let spin = prepared(shared(), wasm(&command("", SPIN))).await;
    let good = prepared(shared(), wasm(&printing("1", ""))).await;
    let spinners: Vec<_> = (0..4)
        .map(|_| {
            let spin = spin.clone();
            tokio::spawn(async move {
                run_prepared(
                    shared(),
                    &spin,
                    "{}",
                    RunLimits { wall: Duration::from_secs(6), ..limits() },
                )
                .await
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    for _ in 0..5 {
        run_prepared(shared(), &good, "{}", limits()).await.result();
    }
    // Had they held the two workers, the calls would have had to wait for their end.
    assert!(
        spinners.iter().all(|spinner| !spinner.is_finished()),
        "five calls took as long as the spinners' six seconds"
    );
    for spinner in spinners {
        assert_eq!(spinner.await.unwrap().name(), "Timeout");
    }
}

#[tokio::test]
async fn cancelling() {
    let script = prepared(shared(), wasm(&command("", SPIN))).await;
    let call = call("{}", limits());
    let cancel = call.cancel.clone();
    let stopper = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(60)).await;
        cancel.cancel();
    });
    let run = shared().invoke(&script, call).await;
    stopper.await.unwrap();
    assert_eq!(Ran { run: run.clone(), log: String::new() }.name(), "Canceled");
    assert!(run.usage.busy_ticks >= 2, "{:?}", run.usage);
}

#[tokio::test]
async fn memory_bombs() {
    let grow = "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))";
    let many = r#"(component
        (core module $m (memory 100) (func (export "f") (result i32) (i32.const 0)))
        (core instance $a (instantiate $m)) (core instance $b (instantiate $m)) (core instance $c (instantiate $m))
        (core instance $d (instantiate $m)) (core instance $e (instantiate $m)) (core instance $f (instantiate $m))
        (func (export "main") (result u32) (canon lift (core func $f "f"))))"#;
    let initial = command("", "")
        .replace("(memory (export \"memory\") 2)", "(memory (export \"memory\") 65536)");
    for wat in [command("", grow), many.to_owned(), initial] {
        let ran = run(&wat, "{}").await;
        assert_eq!(ran.name(), "OutOfMemory", "{:?}", ran.failure());
        assert!(
            ran.failure().message.ends_with("its limit is 32 MiB"),
            "{}",
            ran.failure().message
        );
        assert!(ran.run.usage.memory_peak_bytes <= 32 << 20);
    }
}

#[tokio::test]
async fn table_bombs() {
    let table = "(table $t 1 funcref)";
    let ran =
        run(&command(table, "(loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))))"), "{}").await;
    assert_eq!(ran.name(), "OutOfMemory");
    assert!(
        ran.failure().message.contains("table elements, its limit is 100000"),
        "{}",
        ran.failure().message
    );
}

#[tokio::test]
async fn recursion() {
    let ran = run(
        &command(
            "(func $r (param i64) (call $r (local.get 0)) (call $r (local.get 0)))",
            "(call $r (i64.const 1))",
        ),
        "{}",
    )
    .await;
    assert_eq!(ran.name(), "StackOverflow");
    assert_eq!(ran.failure().stack.as_deref().unwrap().lines().count(), 32);
    // A stack in memory that grows downwards, as compilers keep it: it ends below address 0.
    let shadow = "(global $sp (mut i32) (i32.const 65536)) (func $r (global.set $sp (i32.sub (global.get $sp) (i32.const 1024))) (i32.store (global.get $sp) (i32.const 1)) (call $r) (call $r))";
    let ran = run(&command(shadow, "(call $r)"), "{}").await;
    assert_eq!(ran.name(), "StackOverflow");
}

#[tokio::test]
async fn traps_tell_what_and_where() {
    let inner = "(func $inner unreachable) (func $outer (call $inner))";
    let ran = run(&command(inner, "(call $outer)"), "{}").await;
    assert_eq!(ran.name(), "Trap");
    assert_eq!(
        ran.failure().message,
        "the script aborted: it ran into an `unreachable` instruction"
    );
    assert!(
        ran.failure().stack.as_deref().unwrap().starts_with("inner\nouter"),
        "{:?}",
        ran.failure().stack
    );
    let spoken = format!(
        r#"{inner} (data (i32.const 1024) "thread 'main' panicked at src/main.rs:1:2:\0ano tea\0a")"#
    );
    let ran = run(
        &command(
            &spoken,
            "(call $write (i32.const 2) (i32.const 1024) (i32.const 50)) (call $outer)",
        ),
        "{}",
    )
    .await;
    assert_eq!(ran.failure().message, "the script aborted: panicked at src/main.rs:1:2: no tea");
    let ran = run(&command("", "(drop (i32.div_u (i32.const 1) (i32.const 0)))"), "{}").await;
    assert_eq!(ran.failure().message, "the script trapped: integer divide by zero");
    let ran = run(&command("", "(drop (i32.load (i32.const -8)))"), "{}").await;
    assert_eq!(
        (ran.name(), ran.failure().message.as_str()),
        ("Trap", "the script trapped: out of bounds memory access")
    );
    // A string that lies outside of memory breaks a rule of the component model, not of the
    // language.
    let ran = run(
        &dynamic(r#"(func (export "main") (param i32 i32) (result i32) (i32.const -8))"#),
        "{}",
    )
    .await;
    assert_eq!(ran.name(), "Trap", "{:?}", ran.failure());
}

#[tokio::test]
async fn log_flood() {
    let flood = command(
        "",
        "(local $i i32) (loop $l (call $write (i32.const 2) (i32.const 4096) (i32.const 65536)) (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $l (i32.lt_u (local.get $i) (i32.const 2000))))",
    );
    let ran = run(&flood, "{}").await;
    assert_eq!(ran.result(), "null");
    assert!(ran.log.len() < (64 << 10) + 200);
    assert!(ran.run.usage.log_dropped_bytes > 2000 * 65536 - (64 << 10));
    assert!(ran.log.ends_with("bytes were dropped\n"));
}

#[tokio::test]
async fn log_forgery() {
    let text = r#"(data (i32.const 1024) "\1b]0;owned\07ok\0d[ERROR] no\0a")"#;
    let ran =
        run(&command(text, "(call $write (i32.const 2) (i32.const 1024) (i32.const 24))"), "{}")
            .await;
    assert_eq!(ran.log, "\\u{1b}]0;owned\\u{7}ok\\u{d}[ERROR] no\n");
}

#[tokio::test]
async fn output_flood() {
    let flood = command(
        "",
        "(loop $l (call $write (i32.const 1) (i32.const 4096) (i32.const 65536)) (br $l))",
    );
    let ran = run(&flood, "{}").await;
    assert_eq!(ran.name(), "ResultTooLarge");
    assert_eq!(ran.failure().message, "the script's result is larger than 1 MiB");
}

#[tokio::test]
async fn large_values_over_the_border() {
    let wat = dynamic(
        r#"(func (export "main") (param i32 i32) (result i32)
            (drop (memory.grow (i32.const 300)))
            (i32.store (i32.const 20) (i32.const 4096)) (i32.store (i32.const 24) (i32.const 16000000)) (i32.const 16))"#,
    );
    let ran = run_bytes(wasm(&wat), "{}", RunLimits { hostcall_bytes: 1 << 20, ..limits() }).await;
    assert_eq!(ran.name(), "Trap");
    assert!(ran.failure().message.contains("fuel"), "{}", ran.failure().message);
    assert_eq!(run(&wat, "{}").await.name(), "ResultTooLarge");
}

#[tokio::test]
async fn too_much_randomness() {
    let random = |bytes: u32| {
        command(
            "",
            &format!(
                "(drop (memory.grow (i32.const 100))) (if (call $random (i32.const 65536) (i32.const {bytes})) (then (call $exit (i32.const 9))))"
            ),
        )
    };
    assert_eq!(run(&random(1 << 20), "{}").await.result(), "null");
    let ran = run(&random(3 << 20), "{}").await;
    // Either the call is refused or it fails; it is never carried out.
    assert!(!ran.run.outcome.is_success(), "{:?}", ran.run.outcome);
}

#[tokio::test]
async fn handle_flood() {
    let wat = r#"(component
        (import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type (sub resource)))))
        (alias export $poll "pollable" (type $pollable))
        (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
            (alias outer 1 $pollable (type $p))
            (export "pollable" (type $p2 (eq $p)))
            (export "subscribe-duration" (func (param "when" u64) (result (own $p2))))))
        (core func $sub (canon lower (func $clock "subscribe-duration")))
        (core module $m (import "c" "sub" (func $sub (param i64) (result i32)))
            (func (export "f") (result i32) (loop $l (drop (call $sub (i64.const 1))) (br $l)) (i32.const 0)))
        (core instance $i (instantiate $m (with "c" (instance (export "sub" (func $sub))))))
        (func (export "main") (result u32) (canon lift (core func $i "f"))))"#;
    let ran = run(wat, "{}").await;
    assert_eq!(ran.name(), "Trap", "{:?}", ran.failure());
}

#[tokio::test]
async fn nothing_is_left_of_a_former_guest() {
    // Prints 1 if the byte at 100,000 is not zero, and then sets it.
    let mark = command(
        r#"(data (i32.const 1024) "01")"#,
        "(call $write (i32.const 1) (i32.add (i32.const 1024) (i32.ne (i32.load8_u (i32.const 100000)) (i32.const 0))) (i32.const 1)) (memory.fill (i32.const 90000) (i32.const 255) (i32.const 20000))",
    );
    let script = prepared(shared(), wasm(&mark)).await;
    for _ in 0..100 {
        assert_eq!(run_prepared(shared(), &script, "{}", limits()).await.result(), "0");
    }
}

#[tokio::test]
async fn all_places_taken() {
    let (sandbox, _directory) = sandbox_with(|config| config.limits.concurrent_runs = 1);
    let sleeper = prepared(&sandbox, wasm(&command("", SPIN))).await;
    let quick = prepared(
        &sandbox,
        wasm(&typed("(result u32)", r#"(func (export "main") (result i32) (i32.const 7))"#)),
    )
    .await;
    let held = Arc::new(LogBuffer::new(0));
    let mut slow = call("{}", RunLimits { wall: Duration::from_millis(600), ..limits() });
    slow.log = held;
    let busy = tokio::spawn({
        let sandbox = sandbox.clone();
        async move { sandbox.invoke(&sleeper, slow).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let ran = run_prepared(&sandbox, &quick, "{}", limits()).await;
    assert!(ran.run.saturated, "{:?}", ran.run.outcome);
    assert_eq!(ran.name(), "Internal");
    let slow = busy.await.unwrap();
    assert!(slow.usage.busy_ticks > 10, "{slow:?}");
    let ran = run_prepared(&sandbox, &quick, "{}", limits()).await;
    assert_eq!((ran.result(), ran.run.saturated), ("7", false));
}
