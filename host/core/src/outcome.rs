//! How a run ended, told apart as callers need it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt;
use std::time::Duration;

/// What a run ended with.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The script's result, one JSON value as the script wrote it.
    Success(Box<RawValue>),
    /// Anything else, with a name from a closed list unless the script chose its own.
    Failure(Failure),
}

impl Outcome {
    /// True for a result.
    pub fn is_success(&self) -> bool {
        matches!(self, Outcome::Success(_))
    }
}

/// The closed list of names the host itself gives to failures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureName {
    /// The script's own error, under the name it gave or `ScriptError`.
    Script(String),
    /// An unreachable instruction, a bad memory access and the like.
    Trap,
    /// The run asked for more memory than it may have.
    OutOfMemory,
    /// Recursion without an end.
    StackOverflow,
    /// The wall clock ran out.
    Timeout,
    /// Somebody cancelled it, or its caller hung up.
    Canceled,
    /// The result's text is larger than allowed.
    ResultTooLarge,
    /// The result is not JSON, or has no JSON form.
    InvalidResult,
    /// The arguments don't fit the script's signature; nothing was started.
    InvalidArguments,
    /// The script asked for something that it has no right to.
    PermissionDenied,
    /// The host's own fault.
    Internal,
}

impl FailureName {
    /// The text in `error.name`.
    pub fn as_str(&self) -> &str {
        match self {
            FailureName::Script(name) if name.is_empty() => "ScriptError",
            FailureName::Script(name) => name,
            FailureName::Trap => "Trap",
            FailureName::OutOfMemory => "OutOfMemory",
            FailureName::StackOverflow => "StackOverflow",
            FailureName::Timeout => "Timeout",
            FailureName::Canceled => "Canceled",
            FailureName::ResultTooLarge => "ResultTooLarge",
            FailureName::InvalidResult => "InvalidResult",
            FailureName::InvalidArguments => "InvalidArguments",
            FailureName::PermissionDenied => "PermissionDenied",
            FailureName::Internal => "Internal",
        }
    }
}

impl fmt::Display for FailureName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failed run, as its caller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which failure.
    pub name: FailureName,
    /// What happened, in a sentence a person can act on.
    pub message: String,
    /// Where: the wasm backtrace (function names, innermost first) or the script's own stack text.
    pub stack: Option<String>,
    /// The exit code of a command script.
    pub exit_code: Option<i32>,
}

impl Failure {
    /// A failure with a name and a message.
    pub fn new(name: FailureName, message: impl Into<String>) -> Self {
        Self { name, message: message.into(), stack: None, exit_code: None }
    }

    /// The JSON text that is stored and answered: `{"error":{"name","message","stack"?,"exit_code"?}}`.
    pub fn to_result(&self) -> Box<RawValue> {
        #[derive(Serialize)]
        struct Body<'a> {
            name: &'a str,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            stack: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            exit_code: Option<i32>,
        }
        #[derive(Serialize)]
        struct Envelope<'a> {
            error: Body<'a>,
        }
        let body = Body { name: self.name.as_str(), message: &self.message, stack: self.stack.as_deref(), exit_code: self.exit_code };
        // Strings and a number always serialise; the fallback keeps the type honest without a panic.
        serde_json::value::to_raw_value(&Envelope { error: body }).unwrap_or_else(|_| RawValue::NULL.to_owned())
    }
}

/// What a run used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// From instantiation to the end of the call.
    pub wall: Duration,
    /// Epoch ticks during which the guest was computing; a tick is 10 ms.
    pub busy_ticks: u64,
    /// Largest sum of linear memory and table bytes.
    pub memory_peak_bytes: u64,
    /// Log bytes dropped because the limit was reached.
    pub log_dropped_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_shape() {
        let mut failure = Failure::new(FailureName::Script("TeapotError".into()), "short and \"stout\"");
        assert_eq!(failure.to_result().get(), r#"{"error":{"name":"TeapotError","message":"short and \"stout\""}}"#);
        failure.name = FailureName::Script(String::new());
        failure.exit_code = Some(3);
        failure.stack = Some("main".into());
        assert_eq!(
            failure.to_result().get(),
            r#"{"error":{"name":"ScriptError","message":"short and \"stout\"","stack":"main","exit_code":3}}"#
        );
    }
}
