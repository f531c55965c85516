//! Turns an error of the engine into a failure: which limit, which trap, whose fault, and the
//! message.

use crate::limiter::{LimitExceeded, mib};
use crate::sanitize;
use serde_json::value::RawValue;
use std::fmt::Write as _;
use wasmill_core::limits::{
    BACKTRACE_FRAMES, BACKTRACE_NAME_BYTES, FAILURE_NAME_BYTES, FAILURE_TEXT_BYTES,
    TRAP_DETAIL_BYTES,
};
use wasmill_core::{Failure, FailureName, Outcome, RunLimits};
use wasmtime::component::ResourceTableError;
use wasmtime::{Error, PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// A full backtrace with at most this many different functions is a recursion.
const RECURSION_FUNCTIONS: usize = 8;

/// How the guest's part of a run ended.
pub(super) enum GuestEnd {
    Success(Box<RawValue>),
    Failure(Failure),
    /// A command exited with this code. Its output decides about the result.
    Exit(i32),
    /// Nothing was started, because all instances of the pool were in use.
    Saturated,
}

impl GuestEnd {
    pub(super) fn failure(name: FailureName, message: impl Into<String>) -> Self {
        GuestEnd::Failure(Failure::new(name, message))
    }
}

/// The failure of a result that is too large.
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

pub(super) fn result_too_large(limit: u64) -> GuestEnd {
    GuestEnd::Failure(too_large(limit).0)
}

pub(super) fn timeout(limits: &RunLimits) -> GuestEnd {
    GuestEnd::failure(
        FailureName::Timeout,
        format!("the script did not end within {} s", limits.wall.as_secs_f64()),
    )
}

/// A failure in the words of the script, cut to a size that can be shown.
pub(super) fn script_error(name: &str, message: &str, stack: Option<&str>) -> Failure {
    let mut failure = Failure::new(
        FailureName::Script(sanitize::escaped(name, FAILURE_NAME_BYTES)),
        sanitize::escaped(message, FAILURE_TEXT_BYTES),
    );
    failure.stack = stack.map(|stack| sanitize::escaped(stack, FAILURE_TEXT_BYTES));
    failure
}

/// The end that an error of the engine stands for. `errors` is the end of what the guest wrote to
/// standard error. `entered` is true when the instance was made and its function was called.
pub(super) fn error(error: &Error, entered: bool, errors: &str, limits: &RunLimits) -> GuestEnd {
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return GuestEnd::Exit(*code);
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return GuestEnd::Saturated;
    }
    let trace = error.downcast_ref::<WasmBacktrace>();
    let failure = |name, message: String| {
        let mut failure = Failure::new(name, message);
        failure.stack = trace.and_then(stack);
        GuestEnd::Failure(failure)
    };
    if let Some(exceeded) = error.downcast_ref::<LimitExceeded>() {
        return match exceeded {
            LimitExceeded::Memory { .. } | LimitExceeded::TableElements { .. } => {
                failure(FailureName::OutOfMemory, exceeded.to_string())
            }
            LimitExceeded::Deadline => timeout(limits),
            LimitExceeded::Result => result_too_large(limits.result_bytes),
        };
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return match trap {
            Trap::StackOverflow => failure(
                FailureName::StackOverflow,
                "the script ran out of stack: recursion without an end, or too deep".into(),
            ),
            // A compiler that keeps a stack in linear memory reaches the end of that memory before
            // the engine's stack overflows.
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
    // What is left: the guest broke a rule of the component model, or a host function refused
    // something. A result that breaks a rule is found after the guest has returned, so there is no
    // backtrace.
    let detail = sanitize::escaped(&error.root_cause().to_string(), TRAP_DETAIL_BYTES);
    if entered || trace.is_some_and(|trace| !trace.frames().is_empty()) || is_bound(&detail) {
        return failure(FailureName::Trap, detail);
    }
    tracing::error!(error = %format_args!("{error:#}"), "a run failed in a way that is not the script's doing");
    GuestEnd::failure(
        FailureName::Internal,
        "the host failed to run the script; this is not the script's fault",
    )
}

/// True for a limit on the instances of a run. The engine reports it by its message only.
fn is_bound(detail: &str) -> bool {
    detail.contains("resource limit exceeded")
}

fn trap_message(trap: Trap, errors: &str) -> String {
    match (trap, last_words(errors)) {
        // Languages write a message to standard error and then abort by this instruction.
        (Trap::UnreachableCodeReached, Some(words)) => format!("the script aborted: {words}"),
        (Trap::UnreachableCodeReached, None) => {
            "the script aborted: it ran into an `unreachable` instruction".into()
        }
        (trap, _) => {
            format!("the script trapped: {}", trap.to_string().trim_start_matches("wasm trap: "))
        }
    }
}

/// The last message that a guest wrote to standard error: the message of a panic, or the last line.
pub(super) fn last_words(errors: &str) -> Option<String> {
    if let Some((_, panic)) = errors.rsplit_once("panicked at ") {
        let lines: Vec<&str> = panic
            .lines()
            .map(str::trim)
            .take_while(|line| !line.starts_with("note: "))
            .filter(|line| !line.is_empty())
            .collect();
        if !lines.is_empty() {
            return Some(sanitize::escaped(
                &format!("panicked at {}", lines.join(" ")),
                FAILURE_TEXT_BYTES,
            ));
        }
    }
    let line = errors.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    Some(sanitize::escaped(line, FAILURE_TEXT_BYTES))
}

/// The names of the functions, innermost first, one in each line.
fn stack(trace: &WasmBacktrace) -> Option<String> {
    let mut out = String::new();
    for frame in trace.frames() {
        if !out.is_empty() {
            out.push('\n');
        }
        match frame.func_name() {
            // The short form leaves out the hash that distinguishes equal names of different
            // crates.
            Some(name) => out.push_str(&sanitize::escaped(
                &format!("{:#}", rustc_demangle::demangle(name)),
                BACKTRACE_NAME_BYTES,
            )),
            None => drop(write!(out, "<function {}>", frame.func_index())),
        }
    }
    if out.is_empty() {
        None
    } else {
        Some(sanitize::truncated(&out, FAILURE_TEXT_BYTES).to_owned())
    }
}

/// True when the backtrace is full, and full of the same few functions.
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
