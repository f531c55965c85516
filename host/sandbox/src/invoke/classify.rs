//! What an error out of the engine means: which limit, which trap, whose fault, and in what words.

use crate::limiter::{Exceeded, mib};
use crate::text;
use serde_json::value::RawValue;
use std::fmt::Write as _;
use wasmill_core::limits::{BACKTRACE_FRAMES, FAILURE_TEXT_BYTES};
use wasmill_core::{Failure, FailureName, Outcome, RunLimits};
use wasmtime::component::ResourceTableError;
use wasmtime::{Error, PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// Bytes of a name that a script gives to its error.
const NAME_BYTES: usize = 100;
/// Bytes of one function's name in a backtrace. Generic functions have names of any length.
const FUNCTION_BYTES: usize = 200;
/// Different functions in a full backtrace up to which it is taken for a recursion.
const RECURSION_FUNCTIONS: usize = 8;

/// How the guest's side of a run ended.
pub(super) enum Ended {
    Success(Box<RawValue>),
    Failure(Failure),
    /// A command ended with this code; its output decides the rest.
    Exit(i32),
    /// Nothing was started: no place was free.
    Saturated,
}

impl Ended {
    pub(super) fn failure(name: FailureName, message: impl Into<String>) -> Self {
        Ended::Failure(Failure::new(name, message))
    }
}

/// A failure about the size of the result.
pub(super) struct TooLarge(Failure);

impl TooLarge {
    pub(super) fn into_outcome(self) -> Outcome {
        Outcome::Failure(self.0)
    }
}

pub(super) fn too_large(limit: u64) -> TooLarge {
    TooLarge(Failure::new(
        FailureName::ResultTooLarge,
        format!("the script's result is larger than {}", mib(limit)),
    ))
}

pub(super) fn result_too_large(limit: u64) -> Ended {
    Ended::Failure(too_large(limit).0)
}

pub(super) fn timeout(limits: &RunLimits) -> Ended {
    Ended::failure(
        FailureName::Timeout,
        format!("the script did not end within {} s", limits.wall.as_secs_f64()),
    )
}

/// A failure in the script's own words, cut to a size that can be shown.
pub(super) fn script_error(name: &str, message: &str, stack: Option<&str>) -> Failure {
    let mut failure = Failure::new(
        FailureName::Script(text::tamed(name, NAME_BYTES)),
        text::tamed(message, FAILURE_TEXT_BYTES),
    );
    failure.stack = stack.map(|stack| text::tamed(stack, FAILURE_TEXT_BYTES));
    failure
}

/// Reads an error. `errors` is the end of what the guest wrote to standard error; `entered` tells
/// that its instance was there and its function was called.
pub(super) fn error(error: &Error, entered: bool, errors: &str, limits: &RunLimits) -> Ended {
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return Ended::Exit(*code);
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Ended::Saturated;
    }
    let trace = error.downcast_ref::<WasmBacktrace>();
    let failure = |name, message: String| {
        let mut failure = Failure::new(name, message);
        failure.stack = trace.and_then(stack);
        Ended::Failure(failure)
    };
    if let Some(exceeded) = error.downcast_ref::<Exceeded>() {
        return match exceeded {
            Exceeded::Memory { .. } | Exceeded::TableElements { .. } => {
                failure(FailureName::OutOfMemory, exceeded.to_string())
            }
            Exceeded::Deadline => timeout(limits),
            Exceeded::Result => result_too_large(limits.result_bytes),
        };
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return match trap {
            Trap::StackOverflow => failure(
                FailureName::StackOverflow,
                "the script ran out of stack: recursion without an end, or too deep".into(),
            ),
            // Compilers that keep a stack of their own in memory run into its end there, and not
            // into the engine's.
            Trap::MemoryOutOfBounds if trace.is_some_and(is_recursion) => failure(
                FailureName::StackOverflow,
                "the script ran out of stack: recursion without an end, or too deep".into(),
            ),
            Trap::Interrupt => timeout(limits),
            Trap::AllocationTooLarge => {
                failure(FailureName::OutOfMemory, "the script asked for too much at once".into())
            }
            trap => failure(FailureName::Trap, trap_message(*trap, errors)),
        };
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        return failure(
            FailureName::Trap,
            format!(
                "the script holds more than {} streams, pollables and the like at once",
                limits.handles
            ),
        );
    }
    // What is left are rules of the component model broken by the guest, and refusals by host
    // functions. A result that breaks the rules is found after the guest has returned, and so has
    // no backtrace.
    let detail = text::tamed(&error.root_cause().to_string(), 500);
    if entered || trace.is_some_and(|trace| !trace.frames().is_empty()) || is_bound(&detail) {
        return failure(FailureName::Trap, detail);
    }
    tracing::error!(error = %format_args!("{error:#}"), "a run failed in a way that is not the script's doing");
    Ended::failure(
        FailureName::Internal,
        "the host failed to run the script; this is not the script's fault",
    )
}

/// Bounds on the instances of a run, which the engine tells of in words alone.
fn is_bound(detail: &str) -> bool {
    detail.contains("resource limit exceeded")
}

fn trap_message(trap: Trap, errors: &str) -> String {
    match (trap, last_words(errors)) {
        // Languages abort by this instruction, after saying why.
        (Trap::UnreachableCodeReached, Some(words)) => format!("the script aborted: {words}"),
        (Trap::UnreachableCodeReached, None) => {
            "the script aborted: it ran into an `unreachable` instruction".into()
        }
        (trap, _) => {
            format!("the script trapped: {}", trap.to_string().trim_start_matches("wasm trap: "))
        }
    }
}

/// What a guest said last on standard error: the message of a panic, else the last line.
pub(super) fn last_words(errors: &str) -> Option<String> {
    if let Some((_, panic)) = errors.rsplit_once("panicked at ") {
        let lines: Vec<&str> = panic
            .lines()
            .map(str::trim)
            .take_while(|line| !line.starts_with("note: "))
            .filter(|line| !line.is_empty())
            .collect();
        if !lines.is_empty() {
            return Some(text::tamed(
                &format!("panicked at {}", lines.join(" ")),
                FAILURE_TEXT_BYTES,
            ));
        }
    }
    let line = errors.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    Some(text::tamed(line, FAILURE_TEXT_BYTES))
}

/// Function names, innermost first, one per line.
fn stack(trace: &WasmBacktrace) -> Option<String> {
    let mut out = String::new();
    for frame in trace.frames() {
        if !out.is_empty() {
            out.push('\n');
        }
        match frame.func_name() {
            // The short form, without the hash that tells equal names of different crates apart.
            Some(name) => out.push_str(&text::tamed(
                &format!("{:#}", rustc_demangle::demangle(name)),
                FUNCTION_BYTES,
            )),
            None => drop(write!(out, "<function {}>", frame.func_index())),
        }
    }
    if out.is_empty() { None } else { Some(text::cut(&out, FAILURE_TEXT_BYTES).to_owned()) }
}

/// A backtrace that is full, and full of the same few functions.
fn is_recursion(trace: &WasmBacktrace) -> bool {
    let frames = trace.frames();
    let mut functions: Vec<u32> = frames.iter().map(wasmtime::FrameInfo::func_index).collect();
    functions.sort_unstable();
    functions.dedup();
    frames.len() >= BACKTRACE_FRAMES && functions.len() <= RECURSION_FUNCTIONS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_of_languages() {
        for (errors, expected) in [
            ("", None),
            ("\n \n", None),
            ("a\nb\n\n", Some("b")),
            (
                "warming up\n\nthread '<unnamed>' panicked at src/lib.rs:7:5:\nno tea\nnote: run with `RUST_BACKTRACE=1`\n",
                Some("panicked at src/lib.rs:7:5: no tea"),
            ),
            ("Traceback:\n  File \"x\"\nValueError: no tea\n", Some("ValueError: no tea")),
            ("evil \x1b[2J line", Some("evil \\u{1b}[2J line")),
        ] {
            assert_eq!(last_words(errors).as_deref(), expected, "{errors:?}");
        }
    }
}
