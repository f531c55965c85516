//! Answers on the wire: the only place that builds HTTP responses.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use serde::Serialize;
use std::borrow::Cow;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use wasmill_core::Problem;
use wasmill_core::answer::Answer;
use wasmill_core::problem::Code;

/// What the front end answers.
pub(crate) type Reply = Response<Body>;

/// An answer's body: whole, or as it comes.
pub(crate) enum Body {
    /// All of it, until it is sent.
    Whole(Option<Bytes>),
    /// Pieces from a task that ends when nobody reads them any more.
    Stream(mpsc::Receiver<Bytes>),
}

impl Body {
    fn whole(bytes: impl Into<Bytes>) -> Self {
        Body::Whole(Some(bytes.into()).filter(|bytes| !bytes.is_empty()))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Body::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Body::Stream(pieces) => {
                pieces.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Body::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Body::Stream(_) => SizeHint::default(),
        }
    }
}

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
    let mut reply = Response::new(Body::whole(body));
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
    if let Some(allow) =
        problem.allow.as_deref().and_then(|allow| HeaderValue::from_str(allow).ok())
    {
        headers.insert(ALLOW, allow);
    }
    if let Some(seconds) = problem.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    reply
}

/// A run's answer. Its headers were checked when it was built; one that the HTTP library refuses
/// all the same makes it a problem.
pub(crate) fn answer(answer: Answer) -> Reply {
    let mut reply = Response::new(Body::whole(answer.body));
    *reply.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // Those of the answer, those that every run's answer carries, and the two of the connection.
    reply.headers_mut().reserve(answer.headers.len() + 8);
    for (name, value) in answer.headers {
        let value = match value {
            Cow::Borrowed(value) => {
                HeaderValue::from_maybe_shared(Bytes::from_static(value.as_bytes()))
            }
            Cow::Owned(value) => HeaderValue::try_from(value),
        };
        match (HeaderName::from_bytes(name.as_bytes()), value) {
            (Ok(name), Ok(value)) => {
                reply.headers_mut().append(name, value);
            }
            _ => {
                return problem(&Problem::new(
                    Code::InvalidAnswer,
                    format!("The script set the header {name:?}, which cannot be sent"),
                ));
            }
        }
    }
    reply
}

/// Server-sent events (WHATWG HTML, section 9.2), as they come.
pub(crate) fn events(pieces: mpsc::Receiver<Bytes>) -> Reply {
    let mut reply = bytes(200, "text/event-stream", "");
    *reply.body_mut() = Body::Stream(pieces);
    // Proxies would otherwise gather what is meant to arrive at once.
    with(&mut reply, "x-accel-buffering", "no");
    with(&mut reply, "cache-control", "no-cache");
    reply
}

/// Adds a header whose value the host made itself.
pub(crate) fn with(reply: &mut Reply, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        reply.headers_mut().insert(HeaderName::from_static(name), value);
    }
}
