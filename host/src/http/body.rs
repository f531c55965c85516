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
use wasmill_core::limits::{DRAINED_BODY_BYTES, DRAINED_BODY_TIME};
use wasmill_core::problem::Code;

/// The body of a request, which may be dropped unread.
///
/// A sender that is still sending when its connection is closed sees a broken connection and not
/// the answer. So the rest of a dropped body is read, within bounds, while the answer goes out;
/// then the connection is good for the next request.
pub(crate) struct Incoming {
    body: Option<hyper::body::Incoming>,
    /// Whether reading on makes sense: not for whoever waits for a `100 Continue` and has sent
    /// nothing yet.
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

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
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
            tokio::spawn(timeout(DRAINED_BODY_TIME, drain(body)));
        }
    }
}

async fn drain(mut body: hyper::body::Incoming) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > DRAINED_BODY_BYTES {
            break;
        }
    }
}

/// Reads a whole body.
///
/// # Errors
/// 413 above `limit` bytes, 408 when it takes longer than `within`, 415 when it is compressed, 400
/// when it breaks off.
pub(crate) async fn read(
    headers: &HeaderMap,
    mut body: Incoming,
    limit: u64,
    within: Duration,
) -> Result<Bytes, Problem> {
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(Problem::new(
            Code::UnsupportedMedia,
            "Compressed bodies are not accepted; send it without Content-Encoding",
        ));
    }
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|announced| announced > limit) {
        return Err(too_large(limit));
    }
    match patience::within(within, whole(&mut body, limit)).await {
        Ok(read) => read,
        Err(_) => {
            body.give_up();
            Err(Problem::new(
                Code::RequestTimeout,
                format!("The body did not arrive within {} s", within.as_secs()),
            ))
        }
    }
}

/// All of a body.
async fn whole(body: &mut Incoming, limit: u64) -> Result<Bytes, Problem> {
    let mut gathered = Gathered::default();
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await else { break };
        let frame =
            frame.map_err(|error| Problem::bad_request(format!("The body broke off: {error}")))?;
        // Trailers are nothing to a script.
        let Ok(piece) = frame.into_data() else { continue };
        gathered.add(piece);
        if gathered.length as u64 > limit {
            return Err(too_large(limit));
        }
    }
    Ok(gathered.join())
}

/// Bytes of a piece that is worth keeping as it is.
const WORTH: usize = 4 << 10;
/// Bytes of small pieces that are put together.
const TOGETHER: usize = 64 << 10;

/// The pieces of a body. Most have one, which is never copied. Small ones are put together as they
/// come: each would take more memory to keep than it has bytes.
#[derive(Default)]
struct Gathered {
    pieces: Vec<Bytes>,
    small: Vec<u8>,
    length: usize,
}

impl Gathered {
    fn add(&mut self, piece: Bytes) {
        self.length += piece.len();
        if !self.pieces.is_empty() && piece.len() < WORTH {
            self.small.extend_from_slice(&piece);
            if self.small.len() >= TOGETHER {
                self.put_small();
            }
        } else if !piece.is_empty() {
            self.put_small();
            self.pieces.push(piece);
        }
    }

    fn put_small(&mut self) {
        if !self.small.is_empty() {
            self.pieces.push(std::mem::take(&mut self.small).into());
        }
    }

    fn join(mut self) -> Bytes {
        self.put_small();
        if self.pieces.len() < 2 {
            return self.pieces.pop().unwrap_or_default();
        }
        let mut joined = Vec::with_capacity(self.length);
        // Each is given back as soon as it is copied.
        self.pieces.drain(..).for_each(|piece| joined.extend_from_slice(&piece));
        joined.into()
    }
}

fn too_large(limit: u64) -> Problem {
    Problem::new(Code::TooLarge, format!("The body is larger than the allowed {limit} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_all_sizes_are_joined() {
        for sizes in [
            &[][..],
            &[0],
            &[5],
            &[0, 5],
            &[5, 0],
            &[5, 1, 1],
            &[5_000, 1, 5_000, 4_096, 4_095, 1],
            &[1; 100_000],
            &[70_000, 70_000],
        ] {
            let (mut gathered, mut whole) = (Gathered::default(), Vec::new());
            for (number, size) in sizes.iter().enumerate() {
                let piece = vec![number as u8; *size];
                whole.extend_from_slice(&piece);
                gathered.add(piece.into());
            }
            assert_eq!(gathered.length, whole.len());
            assert!(
                gathered.pieces.len() <= 1 + whole.len() / 1_000,
                "{} pieces of {sizes:?}",
                gathered.pieces.len()
            );
            assert!(gathered.join() == whole, "{} pieces", sizes.len());
        }
    }

    #[test]
    fn one_piece_is_not_copied() {
        let piece = Bytes::from(vec![7; 100]);
        let mut gathered = Gathered::default();
        gathered.add(piece.clone());
        assert_eq!(gathered.join().as_ptr(), piece.as_ptr());
    }
}
