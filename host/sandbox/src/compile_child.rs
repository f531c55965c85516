//! The other side of compiling: `wasmill compile`, a process that turns one script into machine
//! code and ends.
//!
//! Valid WebAssembly of half a megabyte can hold the compiler for minutes, a few megabytes can take
//! gigabytes, and running out of stack in it can't be caught. So the compiler gets a process with
//! hard limits of its own, which it sets before it reads a byte of the script, and it ends if they
//! can't be set.
//!
//! It reads [`Order`] and the wasm bytes from standard input, and writes the code to standard
//! output. It ends with 0 and the code, with 1 and a message on standard error when the script is
//! at fault, and with anything else, a signal included, when it was too much.

use crate::engine;
use crate::inspect::Form;
use crate::merge;
use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use wasmill_core::limits::CompileLimits;
use wasmparser::Validator;
use wasmtime::Engine;

/// Begins what the parent sends: the two must be of the same build.
const MAGIC: [u8; 8] = *b"wmcomp-1";

/// The script is at fault; its message is on standard error.
pub(crate) const REFUSED: u8 = 1;
/// The child was called wrongly, or its limits could not be set.
pub(crate) const UNABLE: u8 = 70;

/// What the parent asks for: a head of fixed length before the wasm bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) form: Form,
    pub(crate) cpu_seconds: u64,
    pub(crate) address_space: u64,
    pub(crate) length: u64,
}

/// Bytes of an [`Order`].
const ORDER_BYTES: usize = 40;

impl Order {
    pub(crate) fn new(form: Form, limits: &CompileLimits, length: usize) -> Self {
        Self {
            form,
            cpu_seconds: limits.cpu.as_secs().max(1),
            address_space: limits.address_space_bytes,
            length: length as u64,
        }
    }

    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let form = u64::from(self.form == Form::Core);
        let mut bytes = MAGIC.to_vec();
        for number in [form, self.cpu_seconds, self.address_space, self.length] {
            bytes.extend(number.to_le_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; ORDER_BYTES]) -> Option<Self> {
        let numbers = bytes.strip_prefix(&MAGIC)?;
        let mut numbers = numbers.as_chunks::<8>().0.iter().map(|chunk| u64::from_le_bytes(*chunk));
        let form = if numbers.next()? == 0 { Form::Component } else { Form::Core };
        Some(Self {
            form,
            cpu_seconds: numbers.next()?,
            address_space: numbers.next()?,
            length: numbers.next()?,
        })
    }
}

/// What the hidden command `compile` does: reads one order and a script from standard input, writes
/// the code to standard output. Must run before any thread is started and any runtime is set up,
/// because its limits hold for the process.
pub fn compile_child() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, message)) => {
            let _ = io::stderr().write_all(message.as_bytes());
            ExitCode::from(code)
        }
    }
}

fn serve() -> Result<(), (u8, String)> {
    let unable =
        |error: &dyn std::fmt::Display| (UNABLE, format!("the compile child can't work: {error}"));
    let mut input = io::stdin().lock();
    let mut head = [0; ORDER_BYTES];
    input.read_exact(&mut head).map_err(|error| unable(&error))?;
    let order =
        Order::from_bytes(&head).ok_or_else(|| unable(&"it is called by the host, not by hand"))?;
    confine(&order).map_err(|error| unable(&error))?;
    let mut wasm = Vec::new();
    input.take(order.length).read_to_end(&mut wasm).map_err(|error| unable(&error))?;
    if wasm.len() as u64 != order.length {
        return Err(unable(&"the script's bytes ended early"));
    }
    let engine = engine::compiler().map_err(|error| unable(&error))?;
    let code = match order.form {
        Form::Component => component(&engine, &wasm),
        Form::Core => engine.precompile_module(&wasm),
    };
    let code = code.map_err(|error| (REFUSED, format!("{error:#}")))?;
    io::stdout().lock().write_all(&code).map_err(|error| unable(&error))
}

/// Compiles a component as one that starts faster, or as it is: errors are about what was uploaded.
fn component(engine: &Engine, wasm: &[u8]) -> Result<Vec<u8>, wasmtime::Error> {
    // Asked of the upload too: modules whose imports and exports do not fit together may well fit
    // in one.
    let valid =
        |wasm| Validator::new_with_features(engine.get_wasm_features()).validate_all(wasm).is_ok();
    let merged = merge::merged(wasm).ok().filter(|_| valid(wasm));
    let code = merged.and_then(|merged| engine.precompile_component(&merged).ok());
    code.map_or_else(|| engine.precompile_component(wasm), Ok)
}

/// Sets the limits of this process. All of them, or it must not go on.
fn confine(order: &Order) -> io::Result<()> {
    let set = |resource, soft: u64, hard: u64| {
        setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) })
    };
    // The host may be killed without a chance to end its children.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    set(Resource::Core, 0, 0)?;
    set(Resource::As, order.address_space, order.address_space)?;
    // The soft limit ends the process with a signal that tells why; the hard one is for a process
    // that ignores it.
    set(Resource::Cpu, order.cpu_seconds, order.cpu_seconds + 1)?;
    // No file is written: standard output is a pipe, which this does not concern.
    set(Resource::Fsize, 0, 0)?;
    set(Resource::Nofile, 64, 64)?;
    // Scripts that run now go before scripts that may run later. Not being nicer is no reason to
    // fail.
    let _ = rustix::process::nice(10);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_survive() {
        for form in [Form::Component, Form::Core] {
            let order = Order { form, cpu_seconds: 7, address_space: u64::MAX, length: 1 << 40 };
            let bytes: [u8; ORDER_BYTES] = order.to_bytes().try_into().unwrap();
            assert_eq!(Order::from_bytes(&bytes), Some(order));
        }
        assert_eq!(Order::from_bytes(&[0; ORDER_BYTES]), None);
    }

    #[test]
    fn what_does_not_fit_together_is_refused_though_it_would_fit_in_one_module() {
        let component = |mutable: &str| {
            let text = format!(
                r#"(component
                    (core module $a (global (export "g") {mutable} (i32.const 1)))
                    (core module $b (import "a" "g" (global i32)) (func (export "f") (result i32) (global.get 0)))
                    (core instance $a (instantiate $a))
                    (core instance (instantiate $b (with "a" (instance $a)))))"#
            );
            let wasm = wat::parse_str(&text).unwrap();
            assert!(merge::merged(&wasm).is_ok());
            super::component(&engine::compiler().unwrap(), &wasm).map(|code| code.len())
        };
        assert!(component("i32").is_ok());
        assert!(format!("{:#}", component("(mut i32)").unwrap_err()).contains("mutability"));
    }
}
