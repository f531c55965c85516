//! Modules made for one test each: too small or too strange to be worth a guest of their own.

use std::fmt::Write as _;

fn assembled(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("the test's module is wrong: {error}"))
}

/// A typed component whose `main` takes and returns nothing. `core` are the fields of the module in
/// it, which exports a function `main`.
pub fn typed(core: &str) -> Vec<u8> {
    component(&format!(
        r#"(core module $m {core})
           (core instance $i (instantiate $m))
           (func (export "main") (canon lift (core func $i "main")))"#
    ))
}

/// A component with these fields.
pub fn component(fields: &str) -> Vec<u8> {
    assembled(&format!("(component {fields})"))
}

/// A core module with these fields.
pub fn command(fields: &str) -> Vec<u8> {
    assembled(&format!("(module {fields})"))
}

/// A dynamic script that answers every call with this text, JSON or not.
pub fn entry_answering(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).expect("a short text");
    let hex =
        |bytes: &[u8]| bytes.iter().fold(String::new(), |out, byte| out + &format!("\\{byte:02x}"));
    let (data, length) = (hex(text.as_bytes()), hex(&length.to_le_bytes()));
    component(&format!(
        r#"(core module $m
                (memory (export "memory") 2)
                ;; At 0 the result: the case ok, and where the text is.
                (data (i32.const 0) "\00\00\00\00\40\00\00\00{length}")
                (data (i32.const 64) "{data}")
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
                (func (export "main") (param i32 i32) (result i32) (i32.const 0)))
            (core instance $i (instantiate $m))
            (type $error (record (field "name" string) (field "message" string) (field "stack" (option string))))
            (component $shape
                (type $inner (record (field "name" string) (field "message" string) (field "stack" (option string))))
                (import "import-error" (type $known (eq $inner)))
                (import "import-main" (func $main (param "args" string) (result (result string (error $known)))))
                (export $named "script-error" (type $known))
                (export "main" (func $main) (func (param "args" string) (result (result string (error $named))))))
            (func $main (param "args" string) (result (result string (error $error)))
                (canon lift (core func $i "main") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
            (instance $entry (instantiate $shape (with "import-error" (type $error)) (with "import-main" (func $main))))
            (export "wasmill:script/entry@0.1.0" (instance $entry))"#
    ))
}

/// How large a bomb of [`many_locals`] is.
#[derive(Debug, Clone, Copy)]
pub struct Bomb {
    /// Values that are alive all the time.
    pub locals: u32,
    /// Operations on them.
    pub operations: u32,
}

/// A valid command with one function in which thousands of values are alive at once: small, and
/// dear for the part of a compiler that gives values to registers.
pub fn many_locals(bomb: Bomb) -> Vec<u8> {
    let Bomb { locals, operations } = bomb;
    let mut body = String::from("(memory 1) (func (export \"_start\")");
    for local in 0..locals {
        let _ = write!(body, "(local $l{local} i64)");
    }
    for local in 0..locals {
        let _ = write!(body, "(local.set $l{local} (i64.load (i32.const {})))", local * 8 % 65_000);
    }
    body.push_str("(loop $again");
    // A fixed sequence without a pattern, the same in every run.
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % locals
    };
    for _ in 0..operations {
        let (to, one, other) = (next(), next(), next());
        let _ =
            write!(body, "(local.set $l{to} (i64.add (local.get $l{one}) (local.get $l{other})))");
    }
    body.push_str("(br_if $again (i64.eqz (local.get $l0))))");
    // All of them are read at the end, so that none may be forgotten before.
    for local in 0..locals {
        let _ =
            write!(body, "(i64.store (i32.const {}) (local.get $l{local}))", local * 8 % 65_000);
    }
    body.push(')');
    command(&body)
}

/// A valid command with so many empty functions, put together byte by byte: as text it would be ten
/// times as long.
pub fn many_functions(count: u32) -> Vec<u8> {
    let mut functions = leb(count);
    functions.extend(std::iter::repeat_n(0, count as usize));
    let mut code = leb(count);
    code.extend([2, 0, 0x0b].repeat(count as usize));
    let mut wasm = b"\0asm\x01\0\0\0".to_vec();
    for (id, content) in [
        (1, vec![1, 0x60, 0, 0]),
        (3, functions),
        (7, [&[1, 6][..], b"_start", &[0, 0]].concat()),
        (10, code),
    ] {
        wasm.push(id);
        wasm.extend(leb(u32::try_from(content.len()).expect("a section")));
        wasm.extend(content);
    }
    wasm
}

fn leb(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
