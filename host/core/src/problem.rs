//! Errors of the API that are not the result of a run: `application/problem+json` (RFC 9457).
//!
//! The status of every such error is decided here. `detail` is for the caller. What only the
//! operator may know goes to the log and never into a problem.

use crate::wire::ProblemBody;
use std::borrow::Cow;
use std::fmt;

/// An error, ready to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The code, which has a status and a title.
    pub code: Code,
    /// What is wrong with the request, and what to do.
    pub detail: String,
    /// Seconds for the header `Retry-After`.
    pub retry_after: Option<u32>,
    /// The methods for the header `Allow`, with `MethodNotAllowed`.
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

            /// The last part of the `type` of the problem, and the name of its documentation page.
            pub fn slug(self) -> &'static str {
                match self { $(Code::$name => $slug,)* }
            }

            /// The title. It is the same for every problem of this code.
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
    /// The request is wrong.
    BadRequest = 400, "bad-request", "The request cannot be understood";
    /// An uploaded module is not accepted.
    InvalidScript = 400, "invalid-script", "The upload is not a script that can run here";
    /// The request has no valid token.
    Unauthorized = 401, "unauthorized", "A valid token is needed";
    /// The token lacks a right.
    Forbidden = 403, "forbidden", "The token does not allow this";
    /// Nothing is at this address, or nothing that the caller may know of.
    NotFound = 404, "not-found", "There is nothing at this address";
    /// The address exists, but not with this method.
    MethodNotAllowed = 405, "method-not-allowed", "This method is not allowed here";
    /// The request did not arrive in time.
    RequestTimeout = 408, "request-timeout", "The request took too long to arrive";
    /// What was to be made exists, or is in a state that does not allow the request.
    Conflict = 409, "conflict", "This does not fit what is there";
    /// What was asked for was deleted.
    Gone = 410, "gone", "This was deleted";
    /// The request has more bytes than allowed.
    TooLarge = 413, "too-large", "The body is too large";
    /// The content type of the body is not supported.
    UnsupportedMedia = 415, "unsupported-media-type", "A body of this kind is not understood";
    /// The idempotency key was used before, for another request.
    KeyReused = 422, "idempotency-key-reused", "This idempotency key was used for another body";
    /// Compiling the module would cost too much.
    TooCostly = 422, "too-costly", "The script is too costly to compile";
    /// The caller sends too many requests, or has too many in progress.
    TooMany = 429, "too-many-requests", "Too many requests";
    /// An error of the host.
    Internal = 500, "internal", "The host failed";
    /// The answer of a script cannot be sent.
    InvalidAnswer = 500, "invalid-answer", "The script's answer cannot be sent";
    /// Too many runs are in progress, or the host is stopping.
    Unavailable = 503, "unavailable", "The host cannot take this now";
    /// A synchronous call waited too long.
    GatewayTimeout = 504, "timeout", "The run did not end in time";
    /// The storage is full.
    StorageFull = 503, "storage-full", "The host's storage is full";
}

impl Problem {
    /// A problem with a code and a detail.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), retry_after: None, allow: None }
    }

    /// The request is wrong, as `detail` tells.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, detail)
    }

    /// Nothing is at this address.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(Code::NotFound, detail)
    }

    /// An error of the host. The text is always the same; the log tells what happened.
    pub fn internal() -> Self {
        Self::new(
            Code::Internal,
            "Something failed inside the host; its log tells what. Trying again is safe for synchronous calls.",
        )
    }

    /// Sets the seconds after which the caller may try again.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The body, `application/problem+json`. `type` is a relative reference to the page about the
    /// code, which the host serves. By RFC 9457, 3.1.1, it is resolved against the address of the
    /// request.
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
