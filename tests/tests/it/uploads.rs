//! Uploads that must be refused, each with its reason, and without harm to what is there.

use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use wasmill_tests::{
    Bomb, Host, Wire, command, component, guest, many_functions, many_locals, shared, typed,
};

/// The detail of the refusal; the host must be as good as before.
fn refused(path: &str, wasm: &[u8], status: u16) -> String {
    let host = shared();
    let detail = host.upload(path, wasm).problem(status);
    assert_eq!(
        host.get(&format!("/api/w/main/scripts/exists/p/{path}")).json(),
        json!(false),
        "{path} is there all the same"
    );
    host.still_serves();
    detail
}

fn says(detail: &str, words: &[&str]) {
    for word in words {
        assert!(detail.contains(word), "{word:?} is not in: {detail}");
    }
}

#[test]
fn not_wasm() {
    says(&refused("u/uploads/text", b"#!/bin/sh\necho hello\n", 400), &["not a WebAssembly file"]);
    says(&refused("u/uploads/empty", b"", 400), &["empty"]);
    says(
        &refused("u/uploads/elf", b"\x7fELF\x02\x01\x01", 400),
        &["machine code", "compiled here"],
    );
    says(&refused("u/uploads/gzip", b"\x1f\x8b\x08\0", 400), &["compressed"]);
    says(&refused("u/uploads/wat", b"(module)", 400), &["text form"]);
}

#[test]
fn truncated() {
    let wasm = guest("hello");
    for length in [5, 8, 100, wasm.len() / 2, wasm.len() - 1] {
        let detail = refused("u/uploads/truncated", &wasm[..length], 400);
        assert!(
            ["damaged", "unknown version", "does not compile", "nothing that can be called"]
                .iter()
                .any(|words| detail.contains(words)),
            "{length}: {detail}"
        );
    }
}

#[test]
fn invalid_code() {
    let mut wasm =
        command(r#"(func (export "_start") (drop (i32.add (i32.const 1) (i32.const 2))))"#);
    // The addition becomes one of 64 bits, whose operands these are not.
    let at = wasm.windows(2).rposition(|two| two == [0x6a, 0x1a]).expect("the addition");
    wasm[at] = 0x7c;
    says(&refused("u/uploads/invalid", &wasm, 400), &["does not compile", "type mismatch"]);
}

#[test]
fn core_module_with_unknown_imports() {
    let wasm = command(
        r#"(import "env" "launch" (func)) (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))) (func (export "_start"))"#,
    );
    says(
        &refused("u/uploads/imports", &wasm, 400),
        &["env#launch", "not offered", "wasi_snapshot_preview1"],
    );
    let wasm = command(
        r#"(import "wasi_snapshot_preview1" "path_remote_open" (func)) (func (export "_start"))"#,
    );
    says(&refused("u/uploads/imports", &wasm, 400), &["path_remote_open", "not offered"]);
}

#[test]
fn component_with_nothing_to_call() {
    let wasm = component(
        r#"(core module $m (func (export "f"))) (core instance $i (instantiate $m)) (func (export "other") (canon lift (core func $i "f")))"#,
    );
    says(
        &refused("u/uploads/nothing", &wasm, 400),
        &["nothing that can be called", "other", "\"main\"", "wasmill:script/entry"],
    );
    says(
        &refused("u/uploads/nothing", &command(r#"(func (export "run"))"#), 400),
        &["nothing that can be called", "run", "_start"],
    );
}

#[test]
fn component_with_an_import_that_is_not_offered() {
    for import in ["wasi:http/outgoing-handler@0.2.0", "acme:secrets/store@1.0.0"] {
        let wasm = component(&format!(
            r#"(import "{import}" (instance (export "get" (func))))
               (core module $m (func (export "f")))
               (core instance $i (instantiate $m))
               (func (export "main") (canon lift (core func $i "f")))"#
        ));
        says(&refused("u/uploads/foreign", &wasm, 400), &[import, "not offered"]);
    }
}

#[test]
fn signature_without_a_json_form() {
    let wasm = component(
        r#"(type $r (resource (rep i32)))
           (core module $m (func (export "f") (param i32)))
           (core instance $i (instantiate $m))
           (export $named "handle" (type $r))
           (func $f (param "it" (own $named)) (canon lift (core func $i "f")))
           (export "main" (func $f))"#,
    );
    says(&refused("u/uploads/resource", &wasm, 400), &["\"it\"", "resource"]);
}

#[test]
fn a_huge_upload_is_not_held_in_memory() {
    const BYTES: usize = 200 << 20;
    let host = Host::start(&[]);
    let before = host.resident_kib();
    let piece = vec![0x55_u8; 1 << 20];
    let head = |framing: &str| {
        format!(
            "POST /api/w/main/scripts/upload/p/u/uploads/huge HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n{framing}\r\n\r\n",
            host.token
        )
    };
    let mut peak = 0;

    // Announced: refused before it is read.
    let mut wire = Wire::open(host.address);
    wire.send(head(&format!("content-length: {BYTES}")));
    for _ in 0..BYTES / piece.len() {
        if !wire.send(&piece) {
            break;
        }
        peak = peak.max(host.resident_kib());
    }
    let answer = wire.answer(20).expect("an answer and no reset");
    assert_eq!(answer.status, 413, "{answer:?}");
    says(&String::from_utf8_lossy(&answer.body), &["larger than"]);

    // Unannounced: refused at the first byte too many.
    let mut wire = Wire::open(host.address);
    wire.send(head("transfer-encoding: chunked"));
    let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat();
    for _ in 0..BYTES / piece.len() {
        if !wire.send(&chunk) {
            break;
        }
        peak = peak.max(host.resident_kib());
    }
    let answer = wire.answer(20).expect("an answer and no reset");
    assert_eq!(answer.status, 413, "{answer:?}");

    // 64 MiB may be held before the limit is known to be passed, and once more while buffers grow.
    let grown = peak.saturating_sub(before) / 1024;
    assert!(grown < 160, "{grown} MiB more while 200 MiB were sent");
    assert_eq!(host.get("/api/health/status").status, 200);
}

#[test]
fn more_functions_than_allowed() {
    let begun = Instant::now();
    says(
        &refused("u/uploads/functions", &many_functions(900_000), 422),
        &["too complex", "functions"],
    );
    // Counted, not compiled: that would take a minute and gigabytes.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

/// A small file that would hold a compiler for minutes. Others must not feel it.
#[test]
fn compile_bomb() {
    let bomb = many_locals(Bomb { locals: 12_000, operations: 60_000 });
    let host = Host::start(&["--compile-cpu", "4"]);
    host.push("u/tests/hello", &guest("hello"));
    let timed = || {
        let begun = Instant::now();
        host.still_serves();
        assert_eq!(host.get("/api/health/status").status, 200);
        begun.elapsed()
    };
    timed();
    let calm: Duration = (0..20).map(|_| timed()).max().unwrap_or_default();
    let before = host.resident_kib();
    let over = AtomicBool::new(false);
    let (answer, slowest, calls) = std::thread::scope(|scope| {
        let upload = scope.spawn(|| {
            let answer = host.upload("u/uploads/bomb", &bomb);
            over.store(true, Ordering::SeqCst);
            answer
        });
        let (mut slowest, mut calls) = (Duration::ZERO, 0);
        while !over.load(Ordering::SeqCst) {
            slowest = slowest.max(timed());
            calls += 1;
        }
        (upload.join().expect("an answer"), slowest, calls)
    });
    says(&answer.problem(422), &["too costly to compile", "4 s of processor time"]);
    assert!(calls > 20, "only {calls} calls were answered meanwhile");
    let bound = (calm * 50).max(Duration::from_secs(2));
    assert!(slowest < bound, "a call took {slowest:?} during the compilation, {calm:?} before");
    let grown = host.resident_kib().saturating_sub(before) / 1024;
    assert!(grown < 100, "the host itself has grown by {grown} MiB");
    // Remembered: the same bytes cost no second attempt.
    let begun = Instant::now();
    host.upload("u/uploads/bomb", &bomb).problem(422);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    host.still_serves();
}

/// What was pushed and queued before a series of hostile uploads and runs is there after it, and
/// after a crash on top.
#[test]
fn attacks_leave_everything_as_it_was() {
    let host = Host::start(&["--workers", "0"]);
    let before = host.push("u/tests/hello", &guest("hello"));
    let id = host.queue("u/tests/hello", &json!({"name": "Ann"}));
    for (wasm, status) in [
        (&b"no wasm"[..], 400),
        (&typed("(func (export \"main\"))")[..9], 400),
        (&many_functions(300_000), 422),
    ] {
        host.upload("u/tests/hello", wasm).problem(status);
    }
    host.push("u/tests/misbehave?timeout_s=1", &guest("misbehave"));
    for op in ["spin", "grow", "recurse", "sleep", "panic", "result", "exit", "no-such-thing"] {
        host.call("u/tests/misbehave", &json!({"op": op})).failure();
    }
    let history = host.get("/api/w/main/scripts/history/p/u/tests/hello").json();
    assert_eq!(history.as_array().map(Vec::len), Some(1), "{history}");
    assert_eq!(history[0]["script_hash"], before.hash);
    assert_eq!(host.job(&id)["type"], "QueuedJob");
    host.still_serves();
    let host = host.kill().start(&[]);
    assert_eq!(host.wait(&id, 20)["result"]["greeting"], "Hello Ann!");
    assert_eq!(
        host.call_hash(&before.hash, &json!({"name": "Ann"})).json()["greeting"],
        "Hello Ann!"
    );
    assert!(host.get("/api/w/main/scripts/raw/p/u/tests/hello").body == guest("hello"));
}
