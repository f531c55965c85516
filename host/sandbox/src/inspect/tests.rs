//! Tables of uploads and what they are found to be.

use super::*;
use proptest::prelude::*;

fn look(wat: &str) -> Result<Inspected, Refusal> {
    inspect(&wat::parse_str(wat).unwrap(), &CompileLimits::default())
}

const TYPED: &str = r#"(component
    (core module $m (func (export "f") (result i32) i32.const 1))
    (core instance $i (instantiate $m))
    (func (export "main") (result u32) (canon lift (core func $i "f"))))"#;

#[test]
fn kinds() {
    let typed = look(TYPED).unwrap();
    assert_eq!(
        (typed.form, typed.kind, typed.entry.as_str()),
        (Form::Component, Kind::Typed, "main")
    );
    let instance =
        |name: &str| format!(r#"(component (instance $i) (export "{name}" (instance $i)))"#);
    assert_eq!(look(&instance("wasmill:script/entry@0.1.7")).unwrap().kind, Kind::Dynamic);
    assert_eq!(look(&instance("wasi:cli/run@0.2.6")).unwrap().kind, Kind::Command);
    let core = look(r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))) (func (export "_start")))"#).unwrap();
    assert_eq!((core.form, core.kind), (Form::Core, Kind::Command));
    assert_eq!(core.imports, ["wasi_snapshot_preview1#proc_exit"]);
}

#[test]
fn typed_wins_over_dynamic_over_command() {
    let both = |first: &str, second: &str| {
        format!(
            r#"(component (instance $i) (export "{first}" (instance $i)) (export "{second}" (instance $i)))"#
        )
    };
    assert_eq!(
        look(&both("wasi:cli/run@0.2.0", "wasmill:script/entry@0.1.0")).unwrap().kind,
        Kind::Dynamic
    );
}

#[test]
fn refused_with_a_list() {
    for (wat, code, parts) in [
        (
            r#"(component (instance $i) (export "wasi:cli/run@0.3.0" (instance $i)))"#,
            RefusalCode::NothingToCall,
            ["it exports \"wasi:cli/run@0.3.0\"", "Accepted are"],
        ),
        (
            r#"(component (instance $i) (export "main" (instance $i)))"#,
            RefusalCode::NothingToCall,
            ["this component exports nothing", "\"main\""],
        ),
        (r#"(component)"#, RefusalCode::NothingToCall, ["it exports nothing.", "_start"]),
        (
            r#"(module (func (export "run")))"#,
            RefusalCode::NothingToCall,
            ["this core module exports nothing", "it exports \"run\""],
        ),
        (
            r#"(module (import "env" "a" (func)) (import "env" "b" (func)) (func (export "_start")))"#,
            RefusalCode::ForbiddenImport,
            ["\"env#a\", \"env#b\"", "wasi_snapshot_preview1"],
        ),
        (
            r#"(component (import "wasi:http/outgoing-handler@0.2.0" (instance)) (import "run-me" (func)) (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#,
            RefusalCode::ForbiddenImport,
            ["\"wasi:http/outgoing-handler@0.2.0\", \"run-me\"", "wasi:clocks"],
        ),
        (
            r#"(component (import "wasi:cli/stdout@0.3.0" (instance)) (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#,
            RefusalCode::ForbiddenImport,
            ["wasi:cli/stdout@0.3.0", "version 0.2"],
        ),
    ] {
        let refusal = look(wat).unwrap_err();
        assert_eq!(refusal.code, code, "{wat}: {refusal}");
        for part in parts {
            assert!(refusal.message.contains(part), "{wat}: {refusal}");
        }
    }
}

#[test]
fn what_is_no_wasm() {
    for (bytes, part) in [
        (&b""[..], "empty"),
        (b"\x7fELF\x02\x01\x01", "precompiled"),
        (b"\x1f\x8b\x08", "compressed"),
        (b"PK\x03\x04", "compressed"),
        (b"  (module)", "text form"),
        (b"(component)", "text form"),
        (b"export function main() {}", "00 61 73 6d"),
        (b"\0asm\x02\0\0\0", "unknown version"),
        (b"\0asm", "unknown version"),
        (b"\0as", "00 61 73 6d"),
    ] {
        let refusal = inspect(bytes, &CompileLimits::default()).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::NotWasm, "{refusal}");
        assert!(refusal.message.contains(part), "{refusal}");
    }
}

#[test]
fn own_type_interfaces_pass() {
    let wat = r#"(component
        (import "my:shapes/types@1.0.0" (instance (type (record (field "x" u32)))))
        (core module $m (func (export "f") (result i32) i32.const 1))
        (core instance $i (instantiate $m))
        (func (export "main") (result u32) (canon lift (core func $i "f"))))"#;
    assert!(look(wat).is_ok());
}

#[test]
fn schema_sections() {
    let with = |section: &str| {
        look(&format!(r#"(component (core module (@custom "wasmill:schema" "{section}")) (instance $i) (export "wasmill:script/entry@0.1.0" (instance $i)))"#)).unwrap().schema
    };
    assert_eq!(with(r#"{\"type\":\"object\"}"#), Some(serde_json::json!({"type": "object"})));
    assert_eq!(with("not json"), None);
    assert_eq!(with("7"), None);
    assert_eq!(with(&format!(r#"{{\"x\":\"{}\"}}"#, "x".repeat(70_000))), None);
}

#[test]
fn counts_are_limited() {
    let limits = CompileLimits {
        functions: 3,
        modules: 2,
        section_items: 4,
        nesting: 3,
        ..CompileLimits::default()
    };
    let nested = |n: usize| format!("{}{}", "(component ".repeat(n), ")".repeat(n));
    for (wat, what) in [
        (format!("(module {})", "(func)".repeat(4)), "3 functions"),
        (format!("(component {})", "(core module (func) (func))".repeat(2)), "3 functions"),
        (format!("(component {})", "(core module)".repeat(3)), "2 core modules"),
        (format!("(module {})", "(global i32 (i32.const 0))".repeat(5)), "4 globals"),
        (format!("(component {})", "(type (list u8)) (core module)".repeat(5)), "more than"),
        (nested(4), "deeper than 3"),
    ] {
        let refusal = inspect(&wat::parse_str(&wat).unwrap(), &limits).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::TooComplex, "{refusal}");
        assert!(refusal.message.contains(what), "{refusal}");
    }
}

#[test]
fn huge_numbers_in_few_bytes() {
    // A type section that says it has four billion entries.
    let mut wasm = b"\0asm\x01\0\0\0".to_vec();
    wasm.extend([1, 5, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    assert_eq!(
        inspect(&wasm, &CompileLimits::default()).unwrap_err().code,
        RefusalCode::TooComplex
    );
}

#[test]
fn names_are_shortened_and_tamed() {
    let refusal =
        look(&format!(r#"(module (func (export "a\1b[2J{}")))"#, "x".repeat(5000))).unwrap_err();
    assert!(!refusal.message.contains('\x1b') && refusal.message.len() < 700, "{refusal}");
}

proptest! {
    #[test]
    fn bytes_never_panic(bytes: Vec<u8>, core: bool) {
        let mut wasm = if core { b"\0asm\x01\0\0\0".to_vec() } else { b"\0asm\x0d\0\x01\0".to_vec() };
        wasm.extend(bytes);
        let _ = inspect(&wasm, &CompileLimits::default());
    }

    #[test]
    fn mutations_never_panic(at in 8usize..80, byte: u8) {
        let mut wasm = wat::parse_str(TYPED).unwrap();
        let at = at.min(wasm.len() - 1);
        wasm[at] = byte;
        let _ = inspect(&wasm, &CompileLimits::default());
    }
}
