//! Uploads that are not taken, each with its code and a sentence for its author.

use crate::support::*;
use bytes::Bytes;
use std::time::{Duration, Instant};
use wasmill_sandbox::{Refusal, RefusalCode, Sandbox};

async fn refused(wat: &str) -> Refusal {
    admit(wat).await.unwrap_err()
}

#[tokio::test]
async fn each_reason() {
    let resource = r#"(component
        (type $r (resource (rep i32)))
        (export $re "thing" (type $r))
        (core module $m (func (export "f") (param i32)))
        (core instance $i (instantiate $m))
        (func (export "main") (param "it" (own $re)) (canon lift (core func $i "f"))))"#;
    let import = r#"(component (import "my:own/thing@1.0.0" (instance (export "f" (func)))) (import "wasi:cli/stdout@0.2.0" (instance))
        (core module $m (func (export "f"))) (core instance $i (instantiate $m)) (func (export "main") (canon lift (core func $i "f"))))"#;
    let missing = r#"(component (import "wasi:cli/stdout@0.2.0" (instance (export "no-such-thing" (func))))
        (core module $m (func (export "f"))) (core instance $i (instantiate $m)) (func (export "main") (canon lift (core func $i "f"))))"#;
    let entry = r#"(component (core module $m (func (export "f"))) (core instance $i (instantiate $m)) (func $f (canon lift (core func $i "f")))
        (instance $e (export "main" (func $f))) (export "wasmill:script/entry@0.1.0" (instance $e)))"#;
    let memories = format!(
        r#"(component (core module $m (memory 1) (func (export "f"))) {} (func (export "main") (canon lift (core func $i0 "f"))))"#,
        (0..20).map(|n| format!("(core instance $i{n} (instantiate $m))")).collect::<String>()
    );
    for (wat, code, part) in [
        (resource, RefusalCode::Unsupported, "the parameter \"it\" of main has the type resource"),
        (import, RefusalCode::ForbiddenImport, "\"my:own/thing@1.0.0\", which is not offered"),
        (missing, RefusalCode::ForbiddenImport, "no-such-thing"),
        (entry, RefusalCode::NothingToCall, "another signature than that interface"),
        (&memories, RefusalCode::TooComplex, "more than a run may have"),
        (
            r#"(module (import "wasi_snapshot_preview1" "no_such" (func)) (func (export "_start")))"#,
            RefusalCode::ForbiddenImport,
            "wasi_snapshot_preview1#no_such",
        ),
        (
            r#"(module (func (export "_start") (param i32)))"#,
            RefusalCode::NothingToCall,
            "without parameters",
        ),
        (r#"(module (memory i64 1) (func (export "_start")))"#, RefusalCode::Malformed, "memory64"),
        (
            r#"(module (memory 1 1 shared) (func (export "_start")))"#,
            RefusalCode::Malformed,
            "threads",
        ),
        (
            r#"(module (memory 1) (memory 1) (func (export "_start")))"#,
            RefusalCode::TooComplex,
            "memories count of 2 exceeds",
        ),
        (r#"(module (type (array i8)) (func (export "_start")))"#, RefusalCode::Malformed, "gc"),
        (r#"(module (tag) (func (export "_start")))"#, RefusalCode::Malformed, "exceptions"),
        (
            r#"(module (func (export "_start") (param externref)))"#,
            RefusalCode::Malformed,
            "does not compile",
        ),
    ] {
        let refusal = refused(wat).await;
        assert_eq!(refusal.code, code, "{refusal}");
        assert!(refusal.message.contains(part), "{part}: {refusal}");
        assert!(!refusal.message.contains(['\n', '\x1b']), "{refusal}");
    }
}

#[tokio::test]
async fn invalid_code() {
    // The function's body leaves nothing on the stack, but a number is due.
    let mut bytes =
        wat::parse_str(r#"(module (func (export "_start")) (func (result i32) (i32.const 1)))"#)
            .unwrap();
    let at = bytes.windows(2).rposition(|pair| pair == [0x41, 1]).unwrap();
    bytes[at..at + 2].copy_from_slice(&[1, 1]);
    let refusal = shared().admit(bytes.into()).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Malformed, "{refusal}");
    assert!(refusal.message.contains("type mismatch"), "{refusal}");
}

#[tokio::test]
async fn type_only_imports_are_fine() {
    let wat = r#"(component
        (import "my:shapes/types@1.0.0" (instance $t (type $p' (record (field "x" u32))) (export "point" (type $p (eq $p')))))
        (alias export $t "point" (type $point))
        (core module $m (func (export "f") (param i32) (result i32) (local.get 0)))
        (core instance $i (instantiate $m))
        (func (export "main") (param "p" $point) (result $point) (canon lift (core func $i "f"))))"#;
    assert_eq!(run(wat, r#"{"p":{"x":5}}"#).await.result(), r#"{"x":5}"#);
}

#[tokio::test]
async fn exploding_signature() {
    // Each tuple holds the one before it three times: a few hundred bytes stand for half a million
    // types.
    let mut types = String::from("(type $t0 (tuple u8 u8 u8))");
    for level in 1..12 {
        let below = level - 1;
        types += &format!("(type $t{level} (tuple $t{below} $t{below} $t{below}))");
    }
    let wat = format!(
        r#"(component {types}
            (core module $m (memory (export "memory") 1) (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0)) (func (export "f") (param i32)))
            (core instance $i (instantiate $m))
            (func (export "main") (param "p" $t11) (canon lift (core func $i "f") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#
    );
    let refusal = refused(&wat).await;
    assert_eq!(refusal.code, RefusalCode::TooComplex, "{refusal}");
    assert!(refusal.message.contains("signature of main"), "{refusal}");
}

#[tokio::test]
async fn too_large() {
    let (sandbox, _directory) = sandbox_with(|config| config.limits.module_bytes = 100);
    let refusal = sandbox.admit(Bytes::from(vec![0; 101])).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::TooLarge);
}

/// A function with variables that are all alive through a loop: what a register allocator suffers
/// from most.
fn bomb(functions: usize, locals: usize) -> Bytes {
    let mut body = format!("(local {})", "i64 ".repeat(locals));
    for local in 0..locals {
        body += &format!("(local.set {local} (i64.load offset={} (i32.const 0)))", local * 8);
    }
    body += "(loop $l ";
    for local in 0..locals {
        let (one, two) = ((local * 7 + 3) % locals, (local * 13 + 5) % locals);
        body += &format!(
            "(if (i64.eqz (local.get {one})) (then (local.set {local} (i64.add (local.get {local}) (local.get {two})))))"
        );
    }
    body += "(br_if $l (i64.eqz (local.get 0))))";
    wasm(&format!(
        r#"(module (memory (export "memory") 1) (func (export "_start")) {})"#,
        format!("(func {body})").repeat(functions)
    ))
}

async fn costs_too_much(sandbox: &Sandbox, wasm: Bytes, part: &str) {
    let start = Instant::now();
    let refusal = sandbox.admit(wasm.clone()).await.expect_err(part);
    assert_eq!(refusal.code, RefusalCode::TooCostlyToCompile, "{refusal}");
    assert!(refusal.message.contains(part), "{refusal}");
    assert!(start.elapsed() < Duration::from_secs(120));
    let again = Instant::now();
    assert_eq!(sandbox.admit(wasm).await.unwrap_err(), refusal);
    assert!(again.elapsed() < Duration::from_secs(5), "the refusal is remembered");
}

#[tokio::test]
async fn compile_bombs() {
    let (sandbox, _directory) =
        sandbox_with(|config| config.limits.compile.cpu = Duration::from_secs(1));
    costs_too_much(&sandbox, bomb(2, 3000), "1 s of processor time").await;
    let (sandbox, _directory) =
        sandbox_with(|config| config.limits.compile.wall = Duration::from_millis(200));
    costs_too_much(&sandbox, bomb(2, 3000), "not done after 0 s").await;
    let (sandbox, _directory) =
        sandbox_with(|config| config.limits.compile.address_space_bytes = 96 << 20);
    costs_too_much(&sandbox, bomb(2, 3000), "96 MiB").await;
}

#[tokio::test]
async fn child_without_limits_does_not_work() {
    // An address space that is too small to start in: the child fails, closed.
    let (sandbox, _directory) =
        sandbox_with(|config| config.limits.compile.address_space_bytes = 1 << 20);
    assert!(sandbox.admit(wasm(&printing("1", ""))).await.is_err());
    let (sandbox, _directory) = sandbox_with(|config| config.compiler = "/no/such/program".into());
    assert_eq!(
        sandbox.admit(wasm(&printing("1", ""))).await.unwrap_err().code,
        RefusalCode::Internal
    );
    let (sandbox, _directory) = sandbox_with(|config| config.compiler = "/bin/true".into());
    assert_eq!(
        sandbox.admit(wasm(&printing("1", ""))).await.unwrap_err().code,
        RefusalCode::Internal
    );
}

#[tokio::test]
async fn deep_types() {
    // list<list<..>>, 90,000 deep: has ended whole processes.
    let mut types = Vec::new();
    let leb = |mut n: u32, out: &mut Vec<u8>| loop {
        let byte = (n & 0x7f) as u8;
        n >>= 7;
        out.push(if n == 0 { byte } else { byte | 0x80 });
        if n == 0 {
            break;
        }
    };
    leb(90_000, &mut types);
    types.extend([0x70, 0x7d]);
    for index in 0..89_999u32 {
        types.push(0x70);
        leb(index, &mut types);
    }
    let base = wat::parse_str(r#"(component (core module $m (func (export "f"))) (core instance $i (instantiate $m)) (func (export "main") (canon lift (core func $i "f"))))"#).unwrap();
    let mut bytes = base[..8].to_vec();
    bytes.push(7);
    leb(types.len() as u32, &mut bytes);
    bytes.extend(types);
    // The other sections' type indices now mean other types; either way it must be refused, and
    // nothing may fall over.
    bytes.extend(&base[8..]);
    let refusal = shared().admit(bytes.into()).await.unwrap_err();
    assert!(
        matches!(refusal.code, RefusalCode::Malformed | RefusalCode::TooCostlyToCompile),
        "{refusal}"
    );
}
