//! Request bodies: bounded in bytes and in time, refused early when they announce too much.

use crate::patience;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT};
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;
use wasmill_core::Problem;
use wasmill_core::problem::Code;

/// How much of a body that nobody wants is still read.
const DRAINED_BYTES: usize = 256 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// The body of a request, which may be dropped unread.
///
/// A sender that is still sending when its connection is closed sees a broken connection and not the answer. So the rest of
/// a dropped body is read, within bounds, while the answer goes out; then the connection is good for the next request.
pub(crate) struct Incoming {
    body: Option<hyper::body::Incoming>,
    /// Whether reading on makes sense: not for whoever waits for a `100 Continue` and has sent nothing yet.
    drained: bool,
}

impl Incoming {
    /// The request with its body as one of these.
    pub(crate) fn of(request: Request<hyper::body::Incoming>) -> Request<Self> {
        let drained = !request.headers().contains_key(EXPECT);
        request.map(|body| Self { body: Some(body), drained })
    }

    /// Drops it without reading on: its sender had its time.
    fn give_up(mut self) {
        self.body = None;
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| self.drained && !body.is_end_stream()) {
            tokio::spawn(timeout(DRAIN_TIME, drain(body)));
        }
    }
}

async fn drain(mut body: hyper::body::Incoming) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > DRAINED_BYTES {
            break;
        }
    }
}

/// Reads a whole body.
///
/// # Errors
/// 413 above `limit` bytes, 408 when it takes longer than `within`, 415 when it is compressed, 400 when it breaks off.
pub(crate) async fn read(headers: &HeaderMap, mut body: Incoming, limit: u64, within: Duration) -> Result<Bytes, Problem> {
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Problem::new(Code::UnsupportedMedia, "Compressed bodies are not accepted; send it without Content-Encoding"));
    }
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()).and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|announced| announced > limit) {
        return Err(too_large(limit));
    }
    match patience::within(within, whole(&mut body, limit)).await {
        Ok(read) => read,
        Err(_) => {
            body.give_up();
            Err(Problem::new(Code::RequestTimeout, format!("The body did not arrive within {} s", within.as_secs())))
        }
    }
}

/// All of a body. Most have one piece, which is then not copied.
async fn whole(body: &mut Incoming, limit: u64) -> Result<Bytes, Problem> {
    let (mut first, mut more) = (Bytes::new(), Vec::new());
    let mut length = 0u64;
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await else { break };
        let frame = frame.map_err(|error| Problem::bad_request(format!("The body broke off: {error}")))?;
        // Trailers are nothing to a script.
        let Ok(piece) = frame.into_data() else { continue };
        length = length.saturating_add(piece.len() as u64);
        if length > limit {
            return Err(too_large(limit));
        }
        if first.is_empty() {
            first = piece;
        } else {
            more.push(piece);
        }
    }
    if more.is_empty() {
        return Ok(first);
    }
    let mut joined = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    joined.extend_from_slice(&first);
    // Each piece is given back as soon as it is copied.
    more.drain(..).for_each(|piece| joined.extend_from_slice(&piece));
    Ok(joined.into())
}

fn too_large(limit: u64) -> Problem {
    Problem::new(Code::TooLarge, format!("The body is larger than the allowed {limit} bytes"))
}
