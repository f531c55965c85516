//! Each kind of script, called as it is meant to be.

use crate::support::*;
use serde_json::json;
use std::time::Duration;
use wasmill_core::{Kind, RunLimits};
use wasmill_sandbox::{Call, Environment};

#[tokio::test]
async fn typed_numbers() {
    let wat = typed(
        "(param \"a\" u32) (param \"b-c\" s64) (result s64)",
        r#"(func (export "main") (param i32 i64) (result i64) (i64.add (i64.extend_i32_u (local.get 0)) (local.get 1)))"#,
    );
    let admitted = admit(&wat).await.unwrap();
    assert_eq!(admitted.kind, Kind::Typed);
    assert_eq!(admitted.schema.unwrap()["required"], json!(["a", "b-c"]));
    assert_eq!(admitted.result_schema.unwrap()["type"], "integer");
    let ran = run(&wat, r#"{"a":1,"b_c":"9223372036854775806"}"#).await;
    assert_eq!(ran.result(), "9223372036854775807");
    let ran = run(&wat, r#"{"a":-1,"b_c":0}"#).await;
    assert_eq!(
        (ran.name(), ran.failure().message.as_str()),
        ("InvalidArguments", "argument \"a\": expected an integer from 0 to 4294967295, got -1")
    );
    assert_eq!(ran.run.usage.memory_peak_bytes, 0, "nothing was started");
}

#[tokio::test]
async fn typed_result_is_unwrapped() {
    // result<string, string>: the text given comes back as ok if `good`, else as err.
    let wat = typed(
        "(param \"good\" bool) (param \"text\" string) (result (result string (error string)))",
        r#"(func (export "main") (param i32 i32 i32) (result i32)
            (i32.store8 (i32.const 16) (i32.eqz (local.get 0)))
            (i32.store (i32.const 20) (local.get 1))
            (i32.store (i32.const 24) (local.get 2))
            (i32.const 16))"#,
    );
    assert_eq!(run(&wat, r#"{"good":true,"text":"tea"}"#).await.result(), "\"tea\"");
    let ran = run(&wat, r#"{"good":false,"text":"no tea"}"#).await;
    assert_eq!((ran.name(), ran.failure().message.as_str()), ("ScriptError", "no tea"));
    let script = prepared(shared(), wasm(&wat)).await;
    assert!(script.check(r#"{"good":true,"text":"tea"}"#).is_ok());
    assert!(script.check(r#"{"good":true}"#).unwrap_err().message.contains("\"text\" is missing"));
}

#[tokio::test]
async fn dynamic_echo() {
    let wat = dynamic(ECHO);
    assert_eq!(admit(&wat).await.unwrap().kind, Kind::Dynamic);
    // Number text survives to the guest and back.
    assert_eq!(
        run(&wat, r#"{"a":1.10,"b":123456789012345678901234567890}"#).await.result(),
        r#"{"a":1.10,"b":123456789012345678901234567890}"#
    );
}

#[tokio::test]
async fn dynamic_results_are_checked() {
    let invalid = run(&dynamic(&returning("{\"a\":")), "{}").await;
    assert_eq!(invalid.name(), "InvalidResult");
    assert!(invalid.failure().message.contains("line 1 column 5"), "{}", invalid.failure().message);
    let deep = run(&dynamic(&returning(&"[".repeat(2000))), "{}").await;
    assert_eq!(deep.name(), "InvalidResult");
    assert!(deep.failure().message.contains("deeper than 128"));
    let large = run_bytes(
        wasm(&dynamic(ECHO)),
        &format!("{{\"a\":\"{}\"}}", "x".repeat(2000)),
        RunLimits { result_bytes: 1000, ..limits() },
    )
    .await;
    assert_eq!(large.name(), "ResultTooLarge");
}

#[tokio::test]
async fn dynamic_error() {
    let core = r#"(data (i32.const 1024) "TeaErrorno tea")
        (func (export "main") (param i32 i32) (result i32)
            (i32.store8 (i32.const 16) (i32.const 1))
            (i32.store (i32.const 20) (i32.const 1024)) (i32.store (i32.const 24) (i32.const 8))
            (i32.store (i32.const 28) (i32.const 1032)) (i32.store (i32.const 32) (i32.const 6))
            (i32.store8 (i32.const 36) (i32.const 0))
            (i32.const 16))"#;
    let ran = run(&dynamic(core), "{}").await;
    assert_eq!(
        (ran.name(), ran.failure().message.as_str(), ran.failure().stack.as_deref()),
        ("TeaError", "no tea", None)
    );
}

#[tokio::test]
async fn command_output_is_the_result() {
    for (printed, result, log) in [
        ("{\"a\": 1}\n", "{\"a\": 1}", ""),
        ("working\n[1,2]\n", "[1,2]", "working\n"),
        ("hello\n", "\"hello\\n\"", ""),
        ("", "null", ""),
    ] {
        let ran = run(&printing(printed, ""), "{}").await;
        assert_eq!((ran.result(), ran.log.as_str()), (result, log), "{printed:?}");
    }
    assert_eq!(
        run(&printing("7", "(call $exit (i32.const 0))"), "{}").await.result(),
        "7",
        "exit(0) is success"
    );
}

#[tokio::test]
async fn command_input_and_exit_codes() {
    // Reads standard input and prints it.
    let cat = command(
        "",
        "(i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 1000)) (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))) (call $write (i32.const 1) (i32.const 1024) (i32.load (i32.const 8)))",
    );
    assert_eq!(run(&cat, "{\"x\":[1]}").await.result(), "{\"x\":[1]}");
    let failing = command(
        r#"(data (i32.const 1024) "starting\nno such file\n")"#,
        "(call $write (i32.const 2) (i32.const 1024) (i32.const 22)) (call $exit (i32.const 3))",
    );
    let ran = run(&failing, "{}").await;
    assert_eq!(
        (ran.name(), ran.failure().message.as_str(), ran.failure().exit_code),
        ("ScriptError", "no such file", Some(3))
    );
    assert_eq!(ran.log, "starting\nno such file\n");
    let silent = run(&command("", "(call $exit (i32.const 200))"), "{}").await;
    assert_eq!(
        (silent.failure().message.as_str(), silent.failure().exit_code),
        ("the script exited with code 200", Some(200))
    );
}

#[tokio::test]
async fn command_environment() {
    let wat = r#"(module
        (import "wasi_snapshot_preview1" "environ_get" (func $get (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 8)
        (func (export "_start")
            (drop (call $sizes (i32.const 0) (i32.const 4)))
            (drop (call $get (i32.const 1024) (i32.const 4096)))
            (i32.store (i32.const 8) (i32.const 4096))
            (i32.store (i32.const 12) (i32.load (i32.const 4)))
            (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))))"#;
    let ran = run(wat, "{\"a\":1}").await;
    assert_eq!(
        ran.result(),
        r#""WM_TEST=common\u0000WM_JOB=one\u0000WM_ARGS={\"a\":1}\u0000""#,
        "and nothing of the host's environment"
    );
    let ran = run(wat, &format!("{{\"a\":\"{}\"}}", "x".repeat(200_000))).await;
    assert_eq!(
        ran.result(),
        r#""WM_TEST=common\u0000WM_JOB=one\u0000""#,
        "large arguments are on standard input only"
    );
}

#[tokio::test]
async fn environment_is_made_when_asked_for() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    let silent = typed("(result u32)", r#"(func (export "main") (result i32) (i32.const 1))"#);
    for (wat, times) in
        [(silent, 0), (command("", "(call $write (i32.const 1) (i32.const 0) (i32.const 0))"), 1)]
    {
        let script = prepared(shared(), wasm(&wat)).await;
        let made = Arc::new(AtomicU32::new(0));
        let counter = made.clone();
        let environment = Environment::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            Vec::new()
        });
        let run = shared().invoke(&script, Call { environment, ..call("{}", limits()) }).await;
        assert!(run.outcome.is_success(), "{run:?}");
        assert_eq!(made.load(Ordering::Relaxed), times, "{wat}");
    }
}

#[tokio::test]
async fn command_component() {
    let wat = |code: i32| {
        format!(
            r#"(component
                (core module $m (func (export "run") (result i32) (i32.const {code})))
                (core instance $i (instantiate $m))
                (func $run (result (result)) (canon lift (core func $i "run")))
                (instance $entry (export "run" (func $run)))
                (export "wasi:cli/run@0.2.3" (instance $entry)))"#
        )
    };
    assert_eq!(run(&wat(0), "{}").await.result(), "null");
    let ran = run(&wat(1), "{}").await;
    assert_eq!((ran.name(), ran.failure().exit_code), ("ScriptError", Some(1)));
}

#[tokio::test]
async fn versions_of_interfaces_fit() {
    // An interface of WASI at an older and a newer patch version than the host's own.
    for version in ["0.2.0", "0.2.9"] {
        let wat = format!(
            r#"(component
                (import "wasi:clocks/monotonic-clock@{version}" (instance $clock (export "now" (func (result u64)))))
                (core func $now (canon lower (func $clock "now")))
                (core module $m (import "c" "now" (func $now (result i64))) (func (export "f") (result i64) (call $now)))
                (core instance $i (instantiate $m (with "c" (instance (export "now" (func $now))))))
                (func (export "main") (result u64) (canon lift (core func $i "f"))))"#
        );
        let nanoseconds: u64 = run(&wat, "{}").await.result().parse().unwrap();
        assert_eq!(nanoseconds % 1_000_000, 0, "the clock is coarse");
    }
}

#[tokio::test]
async fn usage_is_measured() {
    let spin = command(
        "",
        "(local $i i32) (drop (memory.grow (i32.const 14))) (loop $l (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $l (i32.lt_u (local.get $i) (i32.const 100000000))))",
    );
    let ran = run(&spin, "{}").await;
    ran.result();
    assert_eq!(ran.run.usage.memory_peak_bytes, 16 * 65536);
    assert!(ran.run.usage.wall > Duration::from_millis(5));
    assert!(ran.run.usage.busy_ticks as u128 <= ran.run.usage.wall.as_millis() / 5 + 1);
}

/// Scripts of some languages are several components in one, each with a memory of its own:
/// JavaScript made with componentize-qjs.
#[tokio::test]
async fn parts_of_a_component_hand_text_to_each_other() {
    let count = typed(
        r#"(param "text" string) (result u32)"#,
        r#"(func (export "main") (param i32 i32) (result i32) (local.get 1))"#,
    );
    let counting = count.replacen("(component", "(component $counting", 1);
    let wat = format!(
        r#"(component
            {counting}
            (component $calling
                (import "count" (func $count (param "text" string) (result u32)))
                (core module $memory
                    (memory (export "memory") 1)
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096)))
                (core instance $store (instantiate $memory))
                (core func $lowered (canon lower (func $count) (memory (core memory $store "memory"))))
                (core module $m (import "part" "count" (func $count (param i32 i32) (result i32)))
                    (func (export "main") (param i32 i32) (result i32) (call $count (local.get 0) (local.get 1))))
                (core instance $i (instantiate $m (with "part" (instance (export "count" (func $lowered))))))
                (func (export "main") (param "text" string) (result u32)
                    (canon lift (core func $i "main") (memory (core memory $store "memory")) (realloc (core func $store "realloc")))))
            (instance $part (instantiate $counting))
            (instance $whole (instantiate $calling (with "count" (func $part "main"))))
            (export "main" (func $whole "main")))"#
    );
    assert_eq!(run(&wat, r#"{"text":"twelve bytes"}"#).await.result(), "12");
}
