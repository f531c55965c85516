//! How a run ended.
//!
//! A script can declare its own run failed in two ways: it returns an error, or it returns an
//! object with a text under the key `wm_failure` (or `windmill_failure`). The run then fails with
//! the name `ManualFailure` and that text as its message. The other keys of the object stay in the
//! result, beside `error`. Control keys may be among them, so a failing script can choose its
//! status:
//!
//! `{"wm_failure": "sold out", "wm_status_code": 409, "sku": 7}` is recorded as
//! `{"wm_status_code": 409, "sku": 7, "error": {"name": "ManualFailure", "message": "sold out"}}`.

use crate::json::{Members, Writer, holds_word};
use crate::limits::FAILURE_TEXT_BYTES;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt;
use std::time::Duration;

/// The end of a run.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The result of the script: one JSON value as the script wrote it.
    Success(Box<RawValue>),
    /// A failure. Its name is from a closed list, or is chosen by the script.
    Failure(Failure),
}

impl Outcome {
    /// True for a result.
    pub fn is_success(&self) -> bool {
        matches!(self, Outcome::Success(_))
    }

    /// The outcome after a failure that the script declares: a result with a text under
    /// `wm_failure` or `windmill_failure` becomes a failure; any other outcome stays as it is. Must
    /// be called once after every run, before the outcome is recorded or answered.
    ///
    /// Only a text declares a failure: `null` and `false` mean that there is none, and other values
    /// have no message. The last one of several keys counts. An `error` in the object is replaced.
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

/// The keys with which a script declares its run failed.
const FAILURE_KEYS: [&str; 2] = ["wm_failure", "windmill_failure"];

/// The name of a failure that a script declares with such a key.
const DECLARED: &str = "ManualFailure";

fn declared_failure(result: &RawValue) -> Option<Failure> {
    let text = result.get();
    // Nearly all results hold neither word: they are not parsed.
    if !text.starts_with('{') || !holds_word(text, &["wm_failure\"", "windmill_failure\""]) {
        return None;
    }
    let Members(members) = Members::read(text).ok()?.deduplicated();
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

/// The keys beside `error` in the result of a failure: the text of one JSON object with at least
/// one key. No key is `error`, and no key is there twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Siblings(String);

/// The names of failures: a closed list of the host, and names that scripts choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureName {
    /// The error of the script, with the name that the script gave or `ScriptError`.
    Script(String),
    /// A trap: an unreachable instruction, an invalid memory access and similar.
    Trap,
    /// The run needed more memory than its limit.
    OutOfMemory,
    /// The stack overflowed.
    StackOverflow,
    /// The run took longer than its limit.
    Timeout,
    /// A user cancelled the run, or its caller disconnected.
    Canceled,
    /// The text of the result is larger than the limit.
    ResultTooLarge,
    /// The result is not JSON, or has no JSON form.
    InvalidResult,
    /// The arguments do not fit the signature of the script. Nothing was started.
    InvalidArguments,
    /// The script asked for something without having the right to it.
    PermissionDenied,
    /// An error of the host.
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
    /// The name of the failure.
    pub name: FailureName,
    /// What happened: a sentence that tells a person what to do.
    pub message: String,
    /// The backtrace (names of functions, innermost first), or the stack text of the script.
    pub stack: Option<String>,
    /// The exit code of a command.
    pub exit_code: Option<i32>,
    /// What the script returned beside its failure, with control keys.
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
    /// Time from the instantiation to the end of the call.
    pub wall: Duration,
    /// Ticks of the epoch clock at which the guest was computing. A tick takes 5 ms.
    pub busy_ticks: u64,
    /// The largest sum of linear memory and tables, in bytes.
    pub memory_peak_bytes: u64,
    /// Bytes of the log that were dropped at the limit.
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
