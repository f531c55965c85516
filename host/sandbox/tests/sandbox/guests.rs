//! The same with scripts that real compilers have built: `cargo xtask guests` makes them.

use crate::support::*;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use wasmill_core::{Kind, RunLimits};

async fn misbehave(op: &str, limits: RunLimits) -> Ran {
    run_bytes(guest("misbehave.wasm"), &json!({ "op": op }).to_string(), limits).await
}

fn brief() -> RunLimits {
    RunLimits { wall: Duration::from_millis(300), ..limits() }
}

#[tokio::test]
async fn limits_end_real_guests() {
    for (op, name) in [
        ("spin", "Timeout"),
        ("sleep", "Timeout"),
        ("grow", "OutOfMemory"),
        ("recurse", "StackOverflow"),
    ] {
        let start = Instant::now();
        let ran = misbehave(op, brief()).await;
        assert_eq!(ran.name(), name, "{op}: {:?}", ran.failure());
        assert!(start.elapsed() < Duration::from_secs(60), "{op}");
    }
    let ran = misbehave(
        "result",
        RunLimits { memory_bytes: 3 << 30, wall: Duration::from_secs(120), ..limits() },
    )
    .await;
    assert!(["ResultTooLarge", "Trap"].contains(&ran.name()), "{:?}", ran.failure());
}

#[tokio::test]
async fn panics_tell_their_message_and_functions() {
    let ran = misbehave("panic", limits()).await;
    assert_eq!(ran.name(), "Trap");
    assert!(ran.failure().message.contains("boom at work"), "{}", ran.failure().message);
    let stack = ran.failure().stack.as_deref().unwrap_or_default();
    let place = |name: &str| {
        stack
            .lines()
            .position(|line| line.contains(name))
            .unwrap_or_else(|| panic!("{name} is not in\n{stack}"))
    };
    assert!(
        place("inner_frame") < place("middle_frame")
            && place("middle_frame") < place("outer_frame"),
        "{stack}"
    );
    assert!(ran.log.contains("boom at work"));
}

#[tokio::test]
async fn a_gigabyte_of_log() {
    let ran = misbehave("flood", RunLimits { wall: Duration::from_secs(180), ..limits() }).await;
    assert!(ran.result().parse::<u64>().unwrap() >= 1 << 30);
    assert!(ran.run.usage.log_dropped_bytes > (1 << 30) - (1 << 20));
    assert!(ran.log.len() < 1 << 17);
}

#[tokio::test]
async fn errors_and_exits() {
    let ran = misbehave("error", limits()).await;
    assert_eq!(
        (ran.name(), ran.failure().message.as_str(), ran.failure().stack.as_deref()),
        ("TeapotError", "short and stout", Some("kettle.rs:418"))
    );
    let ran = misbehave("exit", limits()).await;
    // The standard library of that target can tell success from failure and no more.
    assert_eq!(ran.name(), "ScriptError", "{:?}", ran.failure());
    assert!(matches!(ran.failure().exit_code, Some(1 | 3)));
}

#[tokio::test]
async fn nothing_of_the_host_is_visible() {
    let environment: Value =
        serde_json::from_str(misbehave("env", limits()).await.result()).unwrap();
    assert_eq!(environment, json!({"WM_TEST": "common", "WM_JOB": "one"}));
    let files = misbehave("files", limits()).await;
    assert!(!files.result().contains("opened"), "{}", files.result());
    let net = misbehave("net", limits()).await;
    assert!(!net.result().contains("connected"), "{}", net.result());
}

#[tokio::test]
async fn every_run_has_its_own_randomness() {
    let first = misbehave("random", limits()).await;
    assert_ne!(first.result(), misbehave("random", limits()).await.result());
}

#[tokio::test]
async fn secrets_do_not_stay() {
    for _ in 0..10 {
        assert_eq!(misbehave("secret-write", limits()).await.result(), "65536");
        assert_eq!(misbehave("secret-scan", limits()).await.result(), "0");
    }
}

#[tokio::test]
async fn memory_is_counted() {
    let ran = run_bytes(guest("misbehave.wasm"), r#"{"op":"memory","mib":20}"#, limits()).await;
    assert_eq!(ran.result(), "\"ok\"");
    assert!(
        (20 << 20..24 << 20).contains(&ran.run.usage.memory_peak_bytes),
        "{}",
        ran.run.usage.memory_peak_bytes
    );
}

fn every_value() -> Value {
    json!({"v": {
        "truth": true, "a-u8": 255, "a-u16": 65535, "a-u32": u32::MAX, "a-u64": u64::MAX,
        "a-s8": -128, "a-s16": -32768, "a-s32": i32::MIN, "a-s64": i64::MIN,
        "a-f32": 0.1, "a-f64": 1e-300, "letter": "ß", "text": "a\u{0}\"b\n", "bytes": "AAH/",
        "points": [{"x": 1, "y": -1}, {"x": 0, "y": 0}],
        "shape-empty": "nothing", "shape-full": {"polygon": [{"x": 3, "y": 4}]},
        "favourite": "dark-blue", "allowed": ["read", "take-over"],
        "maybe": null, "maybe-maybe": [null], "pair": ["x", 7], "fine": {"err": "no"}, "bare": {"ok": null}
    }})
}

#[tokio::test]
async fn every_type_goes_there_and_back() {
    let args = every_value();
    let ran = run_bytes(guest("values.wasm"), &args.to_string(), limits()).await;
    assert_eq!(serde_json::from_str::<Value>(ran.result()).unwrap(), args["v"]);
}

#[tokio::test]
async fn one_wrong_value_is_named() {
    let mut args = every_value();
    args["v"]["points"][1]["y"] = json!("low");
    let ran = run_bytes(guest("values.wasm"), &args.to_string(), limits()).await;
    assert_eq!(
        ran.failure().message,
        "argument \"v.points[1].y\": expected an integer from -2147483648 to 2147483647, got \"low\""
    );
}

#[tokio::test]
async fn hello_and_word_count() {
    let admitted = shared().admit(guest("hello.wasm")).await.unwrap();
    assert_eq!(admitted.kind, Kind::Typed);
    let schema = admitted.schema.unwrap();
    assert_eq!(
        (&schema["required"], &schema["properties"]["name"]["type"]),
        (&json!(["name"]), &json!("string"))
    );
    let ran = run_bytes(guest("hello.wasm"), r#"{"name":"Ann"}"#, limits()).await;
    assert!(
        serde_json::from_str::<Value>(ran.result()).unwrap()["greeting"]
            .as_str()
            .unwrap()
            .contains("Ann")
    );
    assert_eq!(shared().admit(guest("word-count.wasm")).await.unwrap().kind, Kind::Command);
    let ran = run_bytes(guest("word-count.wasm"), r#"{"text":"one two\nthree\n"}"#, limits()).await;
    let counts: Value = serde_json::from_str(ran.result()).unwrap();
    assert_eq!(counts["words"], 3, "{counts}");
    let ran = run_bytes(guest("word-count.wasm"), r#"{"text":1}"#, limits()).await;
    assert_eq!((ran.name(), ran.failure().exit_code), ("ScriptError", Some(2)));
}
