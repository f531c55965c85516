//! Merged components do what they did before; those that might not are left alone.

use super::{Unmerged, merged};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use wasmparser::{ElementKind, Instance, Operator, Parser, Payload};
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store, Trap};

fn engine() -> Engine {
    crate::engine::compiler().unwrap()
}

fn parse(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What a call gives; of traps, which.
type Outcome = Result<u32, Option<Trap>>;

/// What `main` gives for each of the arguments, one after the other in the same instance; one error
/// if there is no instance.
fn outcomes(engine: &Engine, wasm: &[u8], arguments: &[u32]) -> Vec<Outcome> {
    let trap = |error: wasmtime::Error| error.downcast_ref::<Trap>().copied();
    let component = Component::new(engine, wasm).unwrap();
    let mut store = Store::new(engine, ());
    store.set_epoch_deadline(1);
    let instance = match Linker::new(engine).instantiate(&mut store, &component) {
        Ok(instance) => instance,
        Err(error) => return vec![Err(trap(error))],
    };
    let main = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "main").unwrap();
    let mut outcomes = Vec::new();
    for argument in arguments {
        match main.call(&mut store, (*argument,)) {
            Ok((result,)) => outcomes.push(Ok(result)),
            // Nothing can be called after a trap.
            Err(error) => {
                outcomes.push(Err(trap(error)));
                break;
            }
        }
    }
    outcomes
}

/// How many core modules are instantiated, and how many segments of tables have to wait for the
/// value of a global.
fn shape(wasm: &[u8]) -> (usize, usize) {
    let (mut instances, mut waiting) = (0, 0);
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.unwrap() {
            Payload::InstanceSection(section) => {
                instances += section
                    .into_iter()
                    .filter(|instance| matches!(instance, Ok(Instance::Instantiate { .. })))
                    .count();
            }
            Payload::ElementSection(section) => {
                for element in section {
                    if let ElementKind::Active { offset_expr, .. } = element.unwrap().kind {
                        let first = offset_expr.get_operators_reader().read().unwrap();
                        waiting += usize::from(!matches!(first, Operator::I32Const { .. }));
                    }
                }
            }
            _ => {}
        }
    }
    (instances, waiting)
}

/// What toolchains make of linked libraries, in a component within another, as they make it too:
/// one module has table, memory and bases; libraries fill the table from a base; what is lowered
/// with the memory goes through a shim whose table is filled last.
const LINKED: &str = r#"(component
    (component $host
        (core module $m (func (export "twice") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2))))
        (core instance $i (instantiate $m))
        (func (export "twice") (param "x" u32) (result u32) (canon lift (core func $i "twice"))))
    (instance $host (instantiate $host))
    (component $linked
    (import "twice" (func $host-twice (param "x" u32) (result u32)))
    (core module $shim
        (type $f (func (param i32) (result i32)))
        (table (export "table") 1 1 funcref)
        (func (export "0") (param i32) (result i32) (call_indirect (type $f) (local.get 0) (i32.const 0))))
    (core module $main
        (import "host" "twice" (func $twice (param i32) (result i32)))
        (memory (export "memory") 1)
        (table (export "table") 8 funcref)
        (global (export "memory_base") i32 (i32.const 1024))
        (global $tables (export "table_base") i32 (i32.const 2))
        (global (export "stack") (mut i32) (i32.const 512))
        (export "again" (func $twice))
        (data (i32.const 8) "\05"))
    (core module $library
        (type $f (func (param i32) (result i32)))
        (import "env" "memory" (memory 1))
        (import "env" "table" (table 1 funcref))
        (import "env" "memory_base" (global $memory i32))
        (import "env" "table_base" (global $table i32))
        (import "env" "stack" (global $stack (mut i32)))
        (import "env" "again" (func $again (param i32) (result i32)))
        (elem (offset (i32.add (global.get $table) (i32.const 1))) func $add $double)
        (data (global.get $memory) "\07\00\00\00")
        (func $add (type $f) (i32.add (local.get 0) (i32.load (global.get $memory))))
        (func $double (type $f) (call $again (local.get 0)))
        (func (export "run") (type $f)
            (global.set $stack (i32.add (global.get $stack) (i32.const 1)))
            (i32.add
                (global.get $stack)
                (call_indirect (type $f)
                    (call_indirect (type $f) (local.get 0) (i32.add (global.get $table) (i32.const 1)))
                    (i32.add (global.get $table) (i32.const 2))))))
    (core module $script
        (import "library" "run" (func $run (param i32) (result i32)))
        (import "env" "memory" (memory 1))
        (func (export "main") (param i32) (result i32) (i32.add (call $run (local.get 0)) (i32.load8_u (i32.const 8)))))
    (core module $fixup
        (import "" "table" (table 1 1 funcref))
        (import "" "0" (func $twice (param i32) (result i32)))
        (elem (i32.const 0) func $twice))
    (core instance $shim (instantiate $shim))
    (core instance $host-core (export "twice" (func $shim "0")))
    (core instance $main (instantiate $main (with "host" (instance $host-core))))
    (core instance $library (instantiate $library (with "env" (instance $main))))
    (core instance $env (export "memory" (memory $main "memory")))
    (core instance $script (instantiate $script (with "library" (instance $library)) (with "env" (instance $env))))
    (core func $twice (canon lower (func $host-twice) (memory (core memory $main "memory"))))
    (core instance $actual (export "table" (table $shim "table")) (export "0" (func $twice)))
    (core instance (instantiate $fixup (with "" (instance $actual))))
    (func (export "main") (param "x" u32) (result u32) (canon lift (core func $script "main"))))
    (instance $linked (instantiate $linked (with "twice" (func $host "twice"))))
    (func (export "main") (alias export $linked "main")))"#;

#[test]
fn linked_libraries_become_one_module() {
    let wasm = parse(LINKED);
    let one = merged(&wasm).unwrap();
    let engine = engine();
    // ((x + 7) * 2) + the stack, which moves on with each call, + 5
    let expected = vec![Ok(2 * 10 + 513 + 5), Ok(2 * 10 + 514 + 5), Ok(2 * 7 + 515 + 5)];
    assert_eq!(outcomes(&engine, &wasm, &[3, 3, 0]), expected);
    assert_eq!(outcomes(&engine, &one, &[3, 3, 0]), expected);
    assert_eq!(shape(&wasm), (6, 1));
    assert_eq!(
        shape(&one),
        (3, 0),
        "the inner component's, the merged one, and what fills the shim's table"
    );
}

/// As Python's components are: what fills the shim's table is made before the last of the
/// libraries.
#[test]
fn instances_that_write_elsewhere_are_passed() {
    let script = "(core instance $env (export \"memory\" (memory $main \"memory\")))\n    (core instance $script (instantiate $script (with \"library\" (instance $library)) (with \"env\" (instance $env))))\n";
    let fixup = "(core instance (instantiate $fixup (with \"\" (instance $actual))))\n";
    let text = LINKED.replacen(script, "", 1).replacen(fixup, &format!("{fixup}{script}"), 1);
    assert_ne!(text, LINKED);
    let wasm = parse(&text);
    let one = merged(&wasm).unwrap();
    assert_eq!(shape(&one), (3, 0));
    assert_eq!(outcomes(&engine(), &one, &[3, 4]), [Ok(2 * 10 + 513 + 5), Ok(2 * 11 + 514 + 5)]);
}

#[test]
fn functions_keep_their_names() {
    let one = merged(&parse(LINKED)).unwrap();
    for name in ["add", "double"] {
        assert!(one.windows(name.len()).any(|window| window == name.as_bytes()), "{name}");
    }
}

#[test]
fn what_is_not_certain_is_left_alone() {
    let table = [
        ("it can't be read", LINKED, Some(40)),
        (
            "no instances can be one",
            "(component (core module $m (memory (export \"m\") 1)) (core instance (instantiate $m)))",
            None,
        ),
        (
            "no instances can be one",
            r#"(component
                (core module $a (memory (export "memory") 1) (func $f) (start $f))
                (core module $b (import "a" "memory" (memory 1)))
                (core instance $a (instantiate $a))
                (core instance (instantiate $b (with "a" (instance $a)))))"#,
            None,
        ),
        (
            "no instances can be one",
            r#"(component
                (core module $a (memory (export "memory") 1))
                (core module $b (import "a" "memory" (memory 1)) (memory 1))
                (core instance $a (instantiate $a))
                (core instance (instantiate $b (with "a" (instance $a)))))"#,
            None,
        ),
        (
            "it passes modules on",
            r#"(component
                (core module $a (memory (export "memory") 1))
                (core module $b (import "a" "memory" (memory 1)))
                (core instance $a (instantiate $a))
                (core instance (instantiate $b (with "a" (instance $a))))
                (export "b" (core module $b)))"#,
            None,
        ),
        (
            "it passes modules on",
            r#"(component
                (core module $a (memory (export "memory") 1))
                (component (alias outer 1 $a (core module $b)) (core instance (instantiate $b))))"#,
            None,
        ),
        // What is between writes to the same, though it has nothing to do with the others.
        (
            "no instances can be one",
            r#"(component
                (core module $main (memory (export "memory") 1) (func $f) (start $f))
                (core module $a (import "main" "memory" (memory 1)) (data (i32.const 0) "a") (func (export "f")))
                (core module $b (import "main" "memory" (memory 1)) (data (i32.const 0) "b"))
                (core module $c (import "a" "f" (func)))
                (core instance $main (instantiate $main))
                (core instance $a (instantiate $a (with "main" (instance $main))))
                (core instance (instantiate $b (with "main" (instance $main))))
                (core instance (instantiate $c (with "a" (instance $a)))))"#,
            None,
        ),
        (
            "a component is instantiated between its instances",
            r#"(component
                (component $other)
                (core module $a (memory (export "memory") 1))
                (core module $b (import "a" "memory" (memory 1)))
                (core instance $a (instantiate $a))
                (instance (instantiate $other))
                (core instance (instantiate $b (with "a" (instance $a)))))"#,
            None,
        ),
        (
            "a function is lifted between its instances",
            r#"(component
                (core module $a (memory (export "memory") 1) (func (export "f")))
                (core module $b (import "a" "memory" (memory 1)))
                (core instance $a (instantiate $a))
                (func (canon lift (core func $a "f")))
                (core instance (instantiate $b (with "a" (instance $a)))))"#,
            None,
        ),
    ];
    for (reason, text, cut) in table {
        let wasm = parse(text);
        let wasm = wasm.get(..wasm.len() - cut.unwrap_or(0)).unwrap();
        assert_eq!(merged(wasm), Err(Unmerged(reason)), "{text}");
    }
}

/// A library of a generated component.
#[derive(Debug, Clone)]
struct Library {
    /// Its two functions.
    functions: [Step; 2],
    /// Written to memory from the library's base, shifted by some bytes into those of the next.
    data: Vec<u8>,
    start: bool,
    /// Instantiated twice, so that it can't be merged.
    twice: bool,
    /// Whether it fills its part of the table and of the memory.
    segments: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Add(u32),
    Load(u8),
    Store(u8),
    Stack,
    /// A function of an earlier library, directly.
    Call(prop::sample::Index, bool),
    /// One through the table, which may not be there.
    Indirect(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<u32>().prop_map(Step::Add),
        any::<u8>().prop_map(Step::Load),
        any::<u8>().prop_map(Step::Store),
        Just(Step::Stack),
        any::<(prop::sample::Index, bool)>()
            .prop_map(|(library, second)| Step::Call(library, second)),
        any::<prop::sample::Index>().prop_map(Step::Indirect),
    ]
}

fn library(starts: bool) -> impl Strategy<Value = Library> {
    let data = prop::collection::vec(any::<u8>(), 0..40);
    let rare = || prop::bool::weighted(0.2);
    ([step(), step()], data, rare(), rare(), prop::bool::weighted(0.7)).prop_map(
        move |(functions, data, start, twice, segments)| Library {
            functions,
            data,
            start: starts && start,
            twice,
            segments,
        },
    )
}

/// The text of a component: one module with memory and table, the libraries, each with two
/// functions in the table, and one that calls the last and then adds up what is in memory.
fn text(libraries: &[Library]) -> String {
    let mut text = String::from(
        "(component\n(core module $main (memory (export \"memory\") 1) (table (export \"table\") 40 funcref) (global (export \"stack\") (mut i32) (i32.const 9))\n",
    );
    for number in 0..libraries.len() {
        let _ = writeln!(
            text,
            "(global (export \"m{number}\") i32 (i32.const {})) (global (export \"t{number}\") i32 (i32.const {}))",
            number * 16,
            number * 2 + 1
        );
    }
    text.push_str("(data (i32.const 40) \"abc\"))\n(core instance $main (instantiate $main))\n");
    for (number, library) in libraries.iter().enumerate() {
        let mut imports = String::new();
        let mut arguments = String::new();
        let called = library.functions.iter().filter_map(|step| match step {
            Step::Call(of, _) if number > 0 => Some(of.index(number)),
            _ => None,
        });
        for earlier in called.collect::<BTreeSet<usize>>() {
            for function in 0..2 {
                let _ = writeln!(
                    imports,
                    "(import \"l{earlier}\" \"f{function}\" (func $l{earlier}f{function} (type $f)))"
                );
            }
            let _ = write!(arguments, "(with \"l{earlier}\" (instance $l{earlier}))");
        }
        let mut functions = String::new();
        for (index, step) in library.functions.iter().enumerate() {
            let body = match step {
                Step::Add(value) => format!("(i32.add (local.get 0) (i32.const {value}))"),
                Step::Load(at) => format!("(i32.xor (local.get 0) (i32.load (i32.add (global.get $m) (i32.const {at}))))"),
                Step::Store(at) => format!("(i32.store (i32.const {at}) (local.get 0)) (i32.load (i32.const {at}))"),
                Step::Stack => "(global.set $stack (i32.add (global.get $stack) (local.get 0))) (global.get $stack)".into(),
                Step::Call(of, second) if number > 0 => format!("(call $l{}f{} (local.get 0))", of.index(number), u8::from(*second)),
                Step::Indirect(of) if number > 0 => {
                    format!("(call_indirect (type $f) (local.get 0) (i32.const {}))", of.index(number * 2 + 1))
                }
                Step::Call(..) | Step::Indirect(_) => "(local.get 0)".into(),
            };
            let _ = writeln!(functions, "(func $f{index} (export \"f{index}\") (type $f) {body})");
        }
        let data: String = library.data.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let start = if library.start {
            "(func $start (drop (call $f0 (i32.const 3)))) (start $start)"
        } else {
            ""
        };
        let segments = if library.segments {
            format!("(elem (global.get $t) func $f0 $f1) (data (global.get $m) \"{data}\")")
        } else {
            String::new()
        };
        let _ = writeln!(
            text,
            "(core module $l{number} (type $f (func (param i32) (result i32)))
            (import \"env\" \"memory\" (memory 1)) (import \"env\" \"table\" (table 1 funcref)) (import \"env\" \"stack\" (global $stack (mut i32)))
            (import \"env\" \"m\" (global $m i32)) (import \"env\" \"t\" (global $t i32)) {imports}
            {segments} {functions} {start})
            (core instance $env{number} (export \"memory\" (memory $main \"memory\")) (export \"table\" (table $main \"table\"))
                (export \"stack\" (global $main \"stack\")) (export \"m\" (global $main \"m{number}\")) (export \"t\" (global $main \"t{number}\")))
            (core instance $l{number} (instantiate $l{number} (with \"env\" (instance $env{number})) {arguments}))"
        );
        if library.twice {
            let _ = writeln!(
                text,
                "(core instance (instantiate $l{number} (with \"env\" (instance $env{number})) {arguments}))"
            );
        }
    }
    let last = libraries.len() - 1;
    let _ = write!(
        text,
        r#"(core module $end
            (import "main" "memory" (memory 1))
            (import "last" "f0" (func $last (param i32) (result i32)))
            (func (export "main") (param i32) (result i32)
                (local $sum i32) (local $at i32)
                (local.set $sum (call $last (local.get 0)))
                (loop $next
                    (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31)) (i32.load8_u (local.get $at))))
                    (local.set $at (i32.add (local.get $at) (i32.const 1)))
                    (br_if $next (i32.lt_u (local.get $at) (i32.const 300))))
                (local.get $sum)))
        (core instance $end (instantiate $end (with "main" (instance $main)) (with "last" (instance $l{last}))))
        (func (export "main") (param "x" u32) (result u32) (canon lift (core func $end "main"))))"#
    );
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn nobody_can_tell_the_difference(libraries in prop::collection::vec(library(true), 1..7), arguments in prop::collection::vec(any::<u32>(), 1..4)) {
        let wasm = parse(&text(&libraries));
        if let Ok(one) = merged(&wasm) {
            let engine = engine();
            prop_assert_eq!(outcomes(&engine, &one, &arguments), outcomes(&engine, &wasm, &arguments));
        }
    }

    #[test]
    fn libraries_without_start_functions_all_become_one(libraries in prop::collection::vec(library(false), 1..7), arguments in prop::collection::vec(any::<u32>(), 1..4)) {
        let libraries: Vec<Library> = libraries.into_iter().map(|library| Library { twice: false, ..library }).collect();
        let wasm = parse(&text(&libraries));
        let one = merged(&wasm).unwrap();
        prop_assert_eq!(shape(&one), (1, 0));
        let engine = engine();
        prop_assert_eq!(outcomes(&engine, &one, &arguments), outcomes(&engine, &wasm, &arguments));
    }

    #[test]
    fn damaged_components_are_only_refused(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut wasm = parse(LINKED);
        let at = at.index(wasm.len());
        wasm[at] = byte;
        let _ = merged(&wasm);
    }
}
