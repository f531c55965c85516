//! Request bodies: bounded in bytes and in time, refused early when they announce too much.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use std::time::Duration;
use tokio::time::timeout;
use wasmill_core::Problem;
use wasmill_core::problem::Code;

/// How much of a refused body is still read, so that its sender gets to read the answer instead of a reset.
const DRAINED_BYTES: usize = 256 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// Reads a whole body.
///
/// # Errors
/// 413 above `limit` bytes, 408 when it takes longer than `within`, 415 when it is compressed, 400 when it breaks off.
pub(crate) async fn read(headers: &HeaderMap, body: Incoming, limit: u64, within: Duration) -> Result<Bytes, Problem> {
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        drain(body);
        return Err(Problem::new(Code::UnsupportedMedia, "Compressed bodies are not accepted; send it without Content-Encoding"));
    }
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()).and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|announced| announced > limit) {
        drain(body);
        return Err(too_large(limit));
    }
    let mut limited = Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX));
    match timeout(within, (&mut limited).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            drain(limited);
            Err(too_large(limit))
        }
        Ok(Err(error)) => Err(Problem::bad_request(format!("The body broke off: {error}"))),
        Err(_) => Err(Problem::new(Code::RequestTimeout, format!("The body did not arrive within {} s", within.as_secs()))),
    }
}

fn too_large(limit: u64) -> Problem {
    Problem::new(Code::TooLarge, format!("The body is larger than the allowed {limit} bytes"))
}

fn drain<B>(mut body: B)
where
    B: hyper::body::Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Send,
{
    tokio::spawn(timeout(DRAIN_TIME, async move {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > DRAINED_BYTES {
                break;
            }
        }
    }));
}
