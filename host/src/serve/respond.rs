//! Answers on the wire: the only place that builds HTTP responses.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;
use wasmill_core::Problem;
use wasmill_core::answer::Answer;
use wasmill_core::problem::Code;

/// What the front end answers.
pub(crate) type Reply = Response<Full<Bytes>>;

/// A text, `text/plain`.
pub(crate) fn text(status: u16, text: impl Into<Bytes>) -> Reply {
    bytes(status, "text/plain; charset=utf-8", text)
}

/// A value as JSON.
pub(crate) fn json<T: Serialize>(status: u16, value: &T) -> Reply {
    match serde_json::to_vec(value) {
        Ok(body) => bytes(status, "application/json", body),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            problem(&Problem::internal())
        }
    }
}

/// Bytes of a content type. Everything the host itself answers is private and not to be sniffed.
pub(crate) fn bytes(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("cache-control", HeaderValue::from_static("no-store"));
    reply
}

/// A problem, `application/problem+json`.
pub(crate) fn problem(problem: &Problem) -> Reply {
    let mut reply = bytes(problem.code.status(), "application/problem+json", problem.to_json());
    let headers = reply.headers_mut();
    if problem.code == Code::Unauthorized {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(allow) = problem.allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    if let Some(seconds) = problem.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    reply
}

/// A run's answer. Its headers were checked when it was built; one that the HTTP library refuses all the same makes it a problem.
pub(crate) fn answer(answer: Answer) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(answer.body)));
    *reply.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        match (HeaderName::try_from(&name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => {
                reply.headers_mut().append(name, value);
            }
            _ => return problem(&Problem::new(Code::InvalidAnswer, format!("The script set the header {name:?}, which cannot be sent"))),
        }
    }
    reply
}

/// Adds a header whose value the host made itself.
pub(crate) fn with(reply: &mut Reply, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        reply.headers_mut().insert(HeaderName::from_static(name), value);
    }
}
