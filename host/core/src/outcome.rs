//! How a run ended, told apart as callers need it.
//!
//! A script can call its own run failed in two ways. It returns an error, or it returns an object
//! that has the key
//! `wm_failure` (or `windmill_failure`) with a text: the run then counts as failed, under the name
//! `ManualFailure` and with that text as its message, and the object's other keys stay in its
//! result, beside `error`. Control keys are among what can stand there, so that this is also how a
//! failing script chooses its status:
//!
//! `{"wm_failure": "sold out", "wm_status_code": 409, "sku": 7}` is recorded as
//! `{"wm_status_code": 409, "sku": 7, "error": {"name": "ManualFailure", "message": "sold out"}}`.

use crate::json::{Members, Writer, holds_word};
use crate::limits::FAILURE_TEXT_BYTES;
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

    /// The outcome once a script's own word is heard: a result with a text under `wm_failure` or
    /// `windmill_failure` becomes a failure, anything else stays as it is. To be called once after
    /// every run, before it is recorded or answered.
    ///
    /// Only a text counts: `null` and `false` say that there is no failure, and other values have
    /// no message. Of several the last counts. An `error` that the script returns beside it gives
    /// way to the one made here.
    pub fn or_declared_failure(self) -> Self {
        match self {
            Outcome::Success(result) => match declared_failure(&result) {
                Some(failure) => Outcome::Failure(failure),
                None => Outcome::Success(result),
            },
            failure @ Outcome::Failure(_) => failure,
        }
    }
}

/// The keys by which a script declares its run failed.
const FAILURE_KEYS: [&str; 2] = ["wm_failure", "windmill_failure"];

/// The name of such a failure.
const DECLARED: &str = "ManualFailure";

fn declared_failure(result: &RawValue) -> Option<Failure> {
    let text = result.get();
    // Nearly all results hold neither word: they are not parsed.
    if !text.starts_with('{') || !holds_word(text, &["wm_failure\"", "windmill_failure\""]) {
        return None;
    }
    let Members(members) = Members::read(text).ok()?.last_of_equal();
    let is_failure_key = |key: &str| FAILURE_KEYS.contains(&key);
    let messages = members.iter().rev().filter(|(key, _)| is_failure_key(key));
    let mut message: String =
        messages.filter_map(|(_, value)| serde_json::from_str(value.get()).ok()).next()?;
    message.truncate(message.floor_char_boundary(FAILURE_TEXT_BYTES));

    let mut failure = Failure::new(FailureName::Script(DECLARED.into()), message);
    let mut siblings = Writer::new(text.len());
    let mut any = false;
    for (key, value) in members.iter().filter(|(key, _)| !is_failure_key(key) && key != "error") {
        siblings.member(key, value.get());
        any = true;
    }
    failure.siblings = any.then(|| Siblings(siblings.finish()));
    Some(failure)
}

/// What stands beside `error` in the result of a failure: the text of one JSON object with at least
/// one key, none of them
/// `error` or equal to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Siblings(String);

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
    /// What the script returned beside its failure, control keys included.
    pub siblings: Option<Siblings>,
}

impl Failure {
    /// A failure with a name and a message.
    pub fn new(name: FailureName, message: impl Into<String>) -> Self {
        Self { name, message: message.into(), stack: None, exit_code: None, siblings: None }
    }

    /// The JSON text that is stored: the siblings, then
    /// `"error":{"name","message","stack"?,"exit_code"?}`.
    pub fn to_result(&self) -> Box<RawValue> {
        let envelope = self.to_envelope();
        let Some(Siblings(siblings)) = &self.siblings else { return envelope };
        let joined = siblings.strip_suffix('}').zip(envelope.get().strip_prefix('{'));
        // Two objects, of which the first is not empty, joined by a comma are an object.
        joined
            .and_then(|(siblings, error)| RawValue::from_string(format!("{siblings},{error}")).ok())
            .unwrap_or(envelope)
    }

    /// The error alone: `{"error":{...}}`.
    pub(crate) fn to_envelope(&self) -> Box<RawValue> {
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
        let body = Body {
            name: self.name.as_str(),
            message: &self.message,
            stack: self.stack.as_deref(),
            exit_code: self.exit_code,
        };
        // Strings and a number always serialise; the fallback keeps the type honest without a
        // panic.
        serde_json::value::to_raw_value(&Envelope { error: body })
            .unwrap_or_else(|_| RawValue::NULL.to_owned())
    }
}

/// What a run used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// From instantiation to the end of the call.
    pub wall: Duration,
    /// Epoch ticks during which the guest was computing; a tick is 5 ms.
    pub busy_ticks: u64,
    /// Largest sum of linear memory and table bytes.
    pub memory_peak_bytes: u64,
    /// Log bytes dropped because the limit was reached.
    pub log_dropped_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn failure_shape() {
        let mut failure =
            Failure::new(FailureName::Script("TeapotError".into()), "short and \"stout\"");
        assert_eq!(
            failure.to_result().get(),
            r#"{"error":{"name":"TeapotError","message":"short and \"stout\""}}"#
        );
        failure.name = FailureName::Script(String::new());
        failure.exit_code = Some(3);
        failure.stack = Some("main".into());
        assert_eq!(
            failure.to_result().get(),
            r#"{"error":{"name":"ScriptError","message":"short and \"stout\"","stack":"main","exit_code":3}}"#
        );
    }

    fn ended(result: &str) -> Outcome {
        Outcome::Success(RawValue::from_string(result.to_owned()).unwrap()).or_declared_failure()
    }

    #[test]
    fn declared_failures() {
        for (result, stored) in [
            (
                r#"{"wm_failure":"no tea"}"#,
                r#"{"error":{"name":"ManualFailure","message":"no tea"}}"#,
            ),
            (
                r#"{"windmill_failure":"no tea"}"#,
                r#"{"error":{"name":"ManualFailure","message":"no tea"}}"#,
            ),
            (r#"{"wm_failure":""}"#, r#"{"error":{"name":"ManualFailure","message":""}}"#),
            (
                r#" {"b" : 1.10,"wm_failure":"q\"uote","a":{"x" : [1E+400]}} "#,
                r#"{"b":1.10,"a":{"x" : [1E+400]},"error":{"name":"ManualFailure","message":"q\"uote"}}"#,
            ),
            (
                r#"{"wm_status_code":409,"wm_failure":"sold out","result":{"sku":7}}"#,
                r#"{"wm_status_code":409,"result":{"sku":7},"error":{"name":"ManualFailure","message":"sold out"}}"#,
            ),
            // Of several the last; equal keys are not kept twice.
            (
                r#"{"wm_failure":"a","windmill_failure":"b","k":1,"wm_failure":null,"k":2}"#,
                r#"{"k":2,"error":{"name":"ManualFailure","message":"b"}}"#,
            ),
            (
                r#"{"error":{"name":"Mine"},"wm_failure":"host's"}"#,
                r#"{"error":{"name":"ManualFailure","message":"host's"}}"#,
            ),
        ] {
            let Outcome::Failure(failure) = ended(result) else { panic!("{result}") };
            assert_eq!(failure.to_result().get(), stored, "{result}");
            assert_eq!(failure.name, FailureName::Script("ManualFailure".into()));
        }
    }

    #[test]
    fn results_that_declare_no_failure() {
        for result in [
            "null",
            "\"wm_failure\"",
            r#"["wm_failure","windmill_failure"]"#,
            r#"{"wm_failure":null}"#,
            r#"{"wm_failure":false,"a":1}"#,
            r#"{"wm_failure":{"message":"no text"}}"#,
            r#"{"a":{"wm_failure":"deeper"}}"#,
            r#"{"a":"\"wm_failure\""}"#,
            r#"{"error":{"name":"X","message":"y"},"wm_status_code":418}"#,
        ] {
            let Outcome::Success(same) = ended(result) else { panic!("{result}") };
            assert_eq!(same.get(), result);
        }
        let failure = Failure::new(FailureName::Timeout, "late");
        let Outcome::Failure(same) = Outcome::Failure(failure.clone()).or_declared_failure() else {
            panic!("no longer a failure")
        };
        assert_eq!(same, failure);
    }

    #[test]
    fn declared_messages_are_cut() {
        let Outcome::Failure(failure) =
            ended(&format!("{{\"wm_failure\":\"{}\"}}", "é".repeat(FAILURE_TEXT_BYTES)))
        else {
            panic!()
        };
        assert_eq!(failure.message.len(), FAILURE_TEXT_BYTES);
    }

    #[test]
    fn the_closed_list_of_names() {
        let names = [
            (FailureName::Script(String::new()), "ScriptError"),
            (FailureName::Script("TeapotError".into()), "TeapotError"),
            (FailureName::Trap, "Trap"),
            (FailureName::OutOfMemory, "OutOfMemory"),
            (FailureName::StackOverflow, "StackOverflow"),
            (FailureName::Timeout, "Timeout"),
            (FailureName::Canceled, "Canceled"),
            (FailureName::ResultTooLarge, "ResultTooLarge"),
            (FailureName::InvalidResult, "InvalidResult"),
            (FailureName::InvalidArguments, "InvalidArguments"),
            (FailureName::PermissionDenied, "PermissionDenied"),
            (FailureName::Internal, "Internal"),
        ];
        for (name, text) in names {
            assert_eq!(name.to_string(), text);
        }
    }

    proptest! {
        /// Whatever stands beside it, a declared failure is stored as an object with `error` and
        /// without the word itself.
        #[test]
        fn declared_failures_are_objects(message in ".{0,20}", key in "[a-z_]{1,12}", number: i64) {
            let object = serde_json::json!({ key.clone(): number, "wm_failure": message.clone() });
            let Outcome::Failure(failure) = ended(&object.to_string()) else { return Err(TestCaseError::fail("a success")) };
            let stored: serde_json::Value = serde_json::from_str(failure.to_result().get()).unwrap();
            prop_assert_eq!(stored["error"]["message"].as_str(), Some(message.as_str()));
            prop_assert!(stored.get("wm_failure").is_none());
            if key != "error" && !FAILURE_KEYS.contains(&key.as_str()) {
                prop_assert_eq!(stored[&key].as_i64(), Some(number));
            }
        }
    }
}
