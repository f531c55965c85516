//! The child's side of compiling: the command `wasmill compile`, a process that compiles one script
//! and exits.
//!
//! Valid WebAssembly of half a megabyte can keep the compiler busy for minutes, a few megabytes can
//! make it use gigabytes, and a stack overflow of the compiler cannot be caught. So the compiler
//! runs in a process with limits of its own. The process sets these limits before it reads a byte
//! of the script, and exits when it cannot set them.
//!
//! The process reads a [`CompileRequest`] and the wasm bytes from standard input, and writes the
//! machine code to standard output. Its exit code is 0 when it has compiled the script, and 1 with
//! a message on standard error when the script is invalid. Any other exit code or a signal means
//! that the limits were reached or that the child failed.

use crate::engine;
use crate::inspect::Form;
use crate::merge;
use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use wasmill_core::limits::CompileLimits;
use wasmparser::Validator;
use wasmtime::Engine;

/// The first bytes of a request. Parent and child must be of the same build.
const MAGIC: [u8; 8] = *b"wmcomp-1";

/// Exit code: the script is invalid. Standard error has the message.
pub(crate) const REFUSED: u8 = 1;
/// Exit code: the child was called in a wrong way, or could not set its limits.
pub(crate) const UNABLE: u8 = 70;

/// What the parent asks the child to do: a header of fixed length before the wasm bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CompileRequest {
    pub(crate) form: Form,
    pub(crate) cpu_seconds: u64,
    pub(crate) address_space: u64,
    pub(crate) length: u64,
}

/// Bytes of a [`CompileRequest`].
const REQUEST_BYTES: usize = 40;

impl CompileRequest {
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

    fn from_bytes(bytes: &[u8; REQUEST_BYTES]) -> Option<Self> {
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

/// The hidden command `compile`: reads one request and a script from standard input, writes the
/// machine code to standard output. Must be called before the process starts a thread or a runtime,
/// because the limits of the request apply to the whole process.
pub fn compile_child() -> ExitCode {
    match compile_from_stdin() {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, message)) => {
            let _ = io::stderr().write_all(message.as_bytes());
            ExitCode::from(code)
        }
    }
}

fn compile_from_stdin() -> Result<(), (u8, String)> {
    let unable =
        |error: &dyn std::fmt::Display| (UNABLE, format!("the compile child can't work: {error}"));
    let mut input = io::stdin().lock();
    let mut head = [0; REQUEST_BYTES];
    input.read_exact(&mut head).map_err(|error| unable(&error))?;
    let request = CompileRequest::from_bytes(&head)
        .ok_or_else(|| unable(&"it is called by the host, not by hand"))?;
    apply_limits(&request).map_err(|error| unable(&error))?;
    let mut wasm = Vec::new();
    input.take(request.length).read_to_end(&mut wasm).map_err(|error| unable(&error))?;
    if wasm.len() as u64 != request.length {
        return Err(unable(&"the script's bytes ended early"));
    }
    let engine = engine::compiler().map_err(|error| unable(&error))?;
    let code = match request.form {
        Form::Component => component(&engine, &wasm),
        Form::Core => engine.precompile_module(&wasm),
    };
    let code = code.map_err(|error| (REFUSED, format!("{error:#}")))?;
    io::stdout().lock().write_all(&code).map_err(|error| unable(&error))
}

/// Compiles a component after its modules were merged. When the merged component does not compile,
/// compiles the component as it is, so that error messages are about what was uploaded.
fn component(engine: &Engine, wasm: &[u8]) -> Result<Vec<u8>, wasmtime::Error> {
    // The upload is validated too. Modules whose imports and exports do not fit together may be
    // valid once they are merged.
    let valid =
        |wasm| Validator::new_with_features(engine.get_wasm_features()).validate_all(wasm).is_ok();
    let merged = merge::merged(wasm).ok().filter(|_| valid(wasm));
    let code = merged.and_then(|merged| engine.precompile_component(&merged).ok());
    code.map_or_else(|| engine.precompile_component(wasm), Ok)
}

/// Sets all limits of this process. When one cannot be set, the process must not go on.
fn apply_limits(request: &CompileRequest) -> io::Result<()> {
    let set = |resource, soft: u64, hard: u64| {
        setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) })
    };
    // The host may be killed before it can end its children.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    set(Resource::Core, 0, 0)?;
    set(Resource::As, request.address_space, request.address_space)?;
    // At the soft limit the process gets SIGXCPU, which tells the parent the reason. The hard limit
    // kills a process that ignores that signal.
    set(Resource::Cpu, request.cpu_seconds, request.cpu_seconds + 1)?;
    // The child writes no file. This limit does not apply to standard output, which is a pipe.
    set(Resource::Fsize, 0, 0)?;
    set(Resource::Nofile, 64, 64)?;
    // Running scripts matter more than compiling one. It is no error when the priority cannot be
    // lowered.
    let _ = rustix::process::nice(10);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_survive() {
        for form in [Form::Component, Form::Core] {
            let request =
                CompileRequest { form, cpu_seconds: 7, address_space: u64::MAX, length: 1 << 40 };
            let bytes: [u8; REQUEST_BYTES] = request.to_bytes().try_into().unwrap();
            assert_eq!(CompileRequest::from_bytes(&bytes), Some(request));
        }
        assert_eq!(CompileRequest::from_bytes(&[0; REQUEST_BYTES]), None);
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
