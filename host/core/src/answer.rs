//! The answer to a synchronous call, made from the outcome of the run: status, headers and body. An
//! answer that cannot be sent becomes a problem.
//!
//! Usually the result is the body. A result that is an object with control keys decides about the
//! answer: `windmill_status_code`, `windmill_content_type` and `windmill_headers`, each also as
//! `wm_...`. The body is then its `result`.
//!
//! A failure is answered in the same way. Without control keys beside its error (see
//! [`crate::outcome`]) its whole result is the body. With control keys the body is `result`, or
//! `{"error": ...}` when `result` is absent or null. Unless the control keys set another status,
//! the answer has the status of failures. A *successful* result that has an `error` beside control
//! keys is answered like any other.

use crate::header::{is_token, is_value};
use crate::json::holds_word;
use crate::limits::QUOTED_CHARS;
use crate::outcome::Outcome;
use crate::problem::{Code, Problem};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The name or value of a header. Names and values of the host are constants, so they are not
/// allocated.
pub type Text = Cow<'static, str>;

/// An answer that is ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 200 to 599.
    pub status: u16,
    /// Names in lower case, and values without control characters.
    pub headers: Vec<(Text, Text)>,
    /// Empty when the status allows no body.
    pub body: Vec<u8>,
}

/// The settings of the operator about answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The status of a failed run. Default 200, by the webhook contract.
    pub failure_status: u16,
    /// Whether webhooks have an origin of their own, and do not share the origin of the web page. A
    /// script may then set cookies, HSTS and the content security policy.
    pub own_origin: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { failure_status: 200, own_origin: false }
    }
}

const JSON: &str = "application/json";

/// Headers that a script may not set. They belong to the connection (RFC 9110, 7.6.1) or to the
/// host.
const REFUSED: &[&str] = &[
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-content-type-options",
];

/// Headers that affect the whole origin. A script may set them only when the origin is not shared.
const REFUSED_ON_SHARED_ORIGIN: &[&str] =
    &["set-cookie", "strict-transport-security", "clear-site-data", "service-worker-allowed"];

/// The answer to a synchronous call.
///
/// # Errors
/// `Code::InvalidAnswer` when the control keys ask for an answer that cannot be sent.
pub fn answer(outcome: &Outcome, policy: &Policy) -> Result<Answer, Problem> {
    finished(
        match outcome {
            Outcome::Success(result) => steered(result, None, policy)?,
            Outcome::Failure(failure) => {
                steered(&failure.to_result(), Some(&failure.to_envelope()), policy)?
            }
        },
        policy,
    )
}

/// The answer to a call whose run ended on another node: made from the stored result, and whether
/// the run failed.
///
/// # Errors
/// As of [`answer`].
pub fn answer_stored(result: &RawValue, failed: bool, policy: &Policy) -> Result<Answer, Problem> {
    let error = failed.then(|| match crate::json::part(result, "error") {
        Some(error) => RawValue::from_string(format!("{{\"error\":{}}}", error.get()))
            .unwrap_or_else(|_| result.to_owned()),
        None => result.to_owned(),
    });
    finished(steered(result, error.as_deref(), policy)?, policy)
}

fn finished(mut answer: Answer, policy: &Policy) -> Result<Answer, Problem> {
    if matches!(answer.status, 204 | 205 | 304) {
        answer.body.clear();
    }
    harden(&mut answer, policy);
    Ok(answer)
}

/// The answer with the control keys of a result applied. `error` is the body of a failure without a
/// `result`.
fn steered(
    result: &RawValue,
    error: Option<&RawValue>,
    policy: &Policy,
) -> Result<Answer, Problem> {
    if let Some(control) = Control::read(result)? {
        return control.answer(error, policy);
    }
    let status = if error.is_some() { policy.failure_status } else { 200 };
    Ok(Answer {
        status,
        headers: vec![("content-type".into(), JSON.into())],
        body: result.get().as_bytes().to_vec(),
    })
}

/// Adds the headers that keep a script's answer from acting with the rights of the page's origin.
fn harden(answer: &mut Answer, policy: &Policy) {
    answer.headers.push(("x-content-type-options".into(), "nosniff".into()));
    if !answer.headers.iter().any(|(name, _)| name == "cache-control") {
        answer.headers.push(("cache-control".into(), "no-store".into()));
    }
    if !policy.own_origin {
        // Beside a policy of the script's own: browsers enforce both.
        answer.headers.push(("content-security-policy".into(), "sandbox".into()));
    }
}

/// The control keys of a result, not checked yet.
#[derive(Debug, Default, Deserialize)]
struct Control<'a> {
    #[serde(borrow, default, alias = "wm_status_code")]
    windmill_status_code: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "wm_content_type")]
    windmill_content_type: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "wm_headers")]
    windmill_headers: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "wm_content_transfer_encoding")]
    windmill_content_transfer_encoding: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
}

fn refuse<T>(detail: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::new(Code::InvalidAnswer, detail))
}

impl<'a> Control<'a> {
    fn read(result: &'a RawValue) -> Result<Option<Self>, Problem> {
        let text = result.get();
        // Most results hold none of the words: they are not parsed at all.
        if !text.starts_with('{') || !holds_word(text, &["windmill_", "wm_"]) {
            return Ok(None);
        }
        match serde_json::from_str::<Control<'a>>(text) {
            Ok(control)
                if control.windmill_status_code.is_some()
                    || control.windmill_content_type.is_some()
                    || control.windmill_headers.is_some() =>
            {
                Ok(Some(control))
            }
            Ok(_) => Ok(None),
            // A key and its alias together, or a key twice.
            Err(error) => {
                refuse(format!("The script's control keys contradict each other: {error}"))
            }
        }
    }

    fn answer(&self, error: Option<&RawValue>, policy: &Policy) -> Result<Answer, Problem> {
        let result = self.result.filter(|result| result.get() != "null").or(error);
        let status = match self.windmill_status_code {
            None if error.is_some() => policy.failure_status,
            None if result.is_none() => 204,
            None => 200,
            Some(code) => match code.get().parse::<u16>() {
                Ok(code @ 200..=599) => code,
                _ => {
                    return refuse(format!(
                        "The script set windmill_status_code to {}; it must be a whole number from 200 to 599",
                        shorten(code.get())
                    ));
                }
            },
        };
        let mut headers = self.headers(policy)?;
        let content_type = match self.windmill_content_type.filter(|value| value.get() != "null") {
            None => None,
            Some(value) => match serde_json::from_str::<String>(value.get()) {
                Ok(text) if is_value(&text) => Some(text),
                _ => {
                    return refuse(format!(
                        "The script set windmill_content_type to {}; it must be a string such as \"text/csv\"",
                        shorten(value.get())
                    ));
                }
            },
        };
        let body = self.body(result, content_type.is_some())?;
        if content_type.is_some() || !headers.iter().any(|(name, _)| name == "content-type") {
            headers.retain(|(name, _)| name != "content-type");
            headers
                .insert(0, ("content-type".into(), content_type.map_or(JSON.into(), Text::from)));
        }
        Ok(Answer { status, headers, body })
    }

    fn headers(&self, policy: &Policy) -> Result<Vec<(Text, Text)>, Problem> {
        let Some(given) = self.windmill_headers.filter(|value| value.get() != "null") else {
            return Ok(Vec::new());
        };
        let Ok(given) = serde_json::from_str::<BTreeMap<String, String>>(given.get()) else {
            return refuse(format!(
                "The script set windmill_headers to {}; it must be an object of strings",
                shorten(given.get())
            ));
        };
        let mut headers = Vec::with_capacity(given.len());
        for (name, value) in given {
            let name = name.to_ascii_lowercase();
            if !is_token(&name) {
                return refuse(format!(
                    "The script set a header with the name {name:?}, which is not a header name"
                ));
            }
            if !is_value(&value) {
                return refuse(format!(
                    "The script set the header {name} to a value with line breaks or control characters"
                ));
            }
            if REFUSED.contains(&name.as_str()) || name.starts_with("x-wasmill-") {
                return refuse(format!(
                    "The script set the header {name}, which belongs to the connection or the host; leave it out"
                ));
            }
            if !policy.own_origin && REFUSED_ON_SHARED_ORIGIN.contains(&name.as_str()) {
                return refuse(format!(
                    "The script set the header {name}, which acts on the whole origin, and this one is shared with other scripts"
                ));
            }
            headers.push((name.into(), value.into()));
        }
        Ok(headers)
    }

    fn body(&self, result: Option<&RawValue>, typed: bool) -> Result<Vec<u8>, Problem> {
        let text = result.and_then(|result| serde_json::from_str::<String>(result.get()).ok());
        match self
            .windmill_content_transfer_encoding
            .filter(|value| value.get() != "null")
            .map(RawValue::get)
        {
            None => {}
            Some("\"base64\"") => {
                return match text.as_deref().map(|text| STANDARD.decode(text)) {
                    Some(Ok(bytes)) => Ok(bytes),
                    Some(Err(error)) => refuse(format!(
                        "The script set windmill_content_transfer_encoding to base64, but its result is not base64: {error}"
                    )),
                    None => refuse(
                        "The script set windmill_content_transfer_encoding to base64, but its result is not a string",
                    ),
                };
            }
            Some(other) => {
                return refuse(format!(
                    "The script set windmill_content_transfer_encoding to {}; only \"base64\" is known",
                    shorten(other)
                ));
            }
        }
        Ok(match (text, result) {
            // With a content type of its own a string is sent as it is, without quotes.
            (Some(text), _) if typed => text.into_bytes(),
            (_, Some(result)) => result.get().as_bytes().to_vec(),
            (_, None) if typed => Vec::new(),
            (_, None) => b"null".to_vec(),
        })
    }
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= QUOTED_CHARS {
        text.to_owned()
    } else {
        text.chars().take(QUOTED_CHARS).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests;
