//! Errors that are no run's result, as callers see them: `application/problem+json` (RFC 9457).
//!
//! The status of every such error is decided here and nowhere else. `detail` is written for the
//! caller; what only the operator may know goes to the log, never into a problem.

use crate::wire::ProblemBody;
use std::borrow::Cow;
use std::fmt;

/// A refusal or a fault, ready to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which kind, with its status and title.
    pub code: Code,
    /// What went wrong with this request, and what to do.
    pub detail: String,
    /// Seconds after which trying again makes sense, as `Retry-After`.
    pub retry_after: Option<u32>,
    /// Methods for `Allow`, with `MethodNotAllowed`.
    pub allow: Option<Cow<'static, str>>,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:literal, $slug:literal, $title:literal;)*) => {
        /// The closed list of public errors.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code, for documentation and tests.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// The HTTP status, 400 to 599.
            pub fn status(self) -> u16 {
                match self { $(Code::$name => $status,)* }
            }

            /// The last part of the problem's `type`, and the name of the page about it.
            pub fn slug(self) -> &'static str {
                match self { $(Code::$name => $slug,)* }
            }

            /// The same for every problem of this code.
            pub fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }

            /// The code of a slug.
            pub fn of_slug(slug: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.slug() == slug)
            }
        }
    };
}

codes! {
    /// The request itself is wrong.
    BadRequest = 400, "bad-request", "The request cannot be understood";
    /// An uploaded module is not acceptable.
    InvalidScript = 400, "invalid-script", "The upload is not a script that can run here";
    /// No usable token.
    Unauthorized = 401, "unauthorized", "A valid token is needed";
    /// The token lacks a right.
    Forbidden = 403, "forbidden", "The token does not allow this";
    /// Nothing is there, or nothing that the caller may know of.
    NotFound = 404, "not-found", "There is nothing at this address";
    /// The address exists, the method does not.
    MethodNotAllowed = 405, "method-not-allowed", "This method is not allowed here";
    /// The request did not arrive in time.
    RequestTimeout = 408, "request-timeout", "The request took too long to arrive";
    /// It is there already, or not in the state for this.
    Conflict = 409, "conflict", "This does not fit what is there";
    /// It was there and was deleted.
    Gone = 410, "gone", "This was deleted";
    /// More bytes than allowed.
    TooLarge = 413, "too-large", "The body is too large";
    /// A body of a kind that is not understood.
    UnsupportedMedia = 415, "unsupported-media-type", "A body of this kind is not understood";
    /// An idempotency key was used before, for something else.
    KeyReused = 422, "idempotency-key-reused", "This idempotency key was used for another body";
    /// Compiling would cost too much.
    TooCostly = 422, "too-costly", "The script is too costly to compile";
    /// The caller asks too often or has too much in flight.
    TooMany = 429, "too-many-requests", "Too many requests";
    /// The host's own fault.
    Internal = 500, "internal", "The host failed";
    /// A script's answer cannot be sent.
    InvalidAnswer = 500, "invalid-answer", "The script's answer cannot be sent";
    /// Too much is running, or the host is stopping.
    Unavailable = 503, "unavailable", "The host cannot take this now";
    /// A synchronous call waited too long.
    GatewayTimeout = 504, "timeout", "The run did not end in time";
    /// The storage is full.
    StorageFull = 503, "storage-full", "The host's storage is full";
}

impl Problem {
    /// A problem of a code with its detail.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), retry_after: None, allow: None }
    }

    /// The request is wrong in the way that `detail` says.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, detail)
    }

    /// Nothing is there.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(Code::NotFound, detail)
    }

    /// The host's own fault. The text is always the same: what happened is in the log.
    pub fn internal() -> Self {
        Self::new(
            Code::Internal,
            "Something failed inside the host; its log tells what. Trying again is safe for synchronous calls.",
        )
    }

    /// Trying again after so many seconds makes sense.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The body, `application/problem+json`. Its `type` is a reference to the page about the code
    /// (RFC 9457, 3.1.1: a relative one is resolved against the address of the request), which the
    /// host itself serves.
    pub fn to_json(&self) -> String {
        let body = ProblemBody {
            r#type: format!("/api/problems/{}", self.code.slug()),
            title: self.code.title(),
            status: self.code.status(),
            detail: &self.detail,
        };
        serde_json::to_string(&body).unwrap_or_default()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.title(), self.detail)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_and_statuses() {
        let problem = Problem::bad_request("a \"quoted\" reason");
        assert_eq!(
            problem.to_json(),
            r#"{"type":"/api/problems/bad-request","title":"The request cannot be understood","status":400,"detail":"a \"quoted\" reason"}"#
        );
        for code in Code::ALL {
            assert!((400..600).contains(&code.status()), "{code:?}");
            assert_eq!(Code::of_slug(code.slug()), Some(*code), "a slug of its own");
        }
    }
}
