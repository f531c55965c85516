//! A limit on how long a connection may stay silent before its first request.
//!
//! The protocol of a connection is found out from its first bytes, and the timers of either
//! protocol begin to count only then. Without this, a peer that connects and says nothing would
//! keep its place for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// What an HTTP/2 client says first (RFC 9113, 3.4). Anything that differs from it is HTTP/1.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection that has to show its protocol in time. Afterwards it is passed through.
pub(crate) struct Greeting<S> {
    stream: S,
    /// What has not been seen yet of the preface; empty once the protocol is known.
    expected: &'static [u8],
    patience: Pin<Box<Sleep>>,
}

impl<S> Greeting<S> {
    /// Waits at most so long for the first bytes.
    pub(crate) fn new(stream: S, within: Duration) -> Self {
        Self { stream, expected: PREFACE, patience: Box::pin(tokio::time::sleep(within)) }
    }

    fn saw(&mut self, bytes: &[u8]) {
        let rest = self.expected.get(bytes.len()..).unwrap_or_default();
        self.expected = if self.expected.starts_with(bytes) { rest } else { &[] };
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeting<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if !this.expected.is_empty() {
            this.saw(buffer.filled().get(before..).unwrap_or_default());
            if read.is_pending() && this.patience.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeting<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn read_after(said: &[&[u8]]) -> io::Result<usize> {
        let (mut client, server) = tokio::io::duplex(64);
        let mut server = Greeting::new(server, Duration::from_millis(30));
        for part in said {
            client.write_all(part).await.unwrap();
            server.read_exact(&mut vec![0; part.len()]).await.unwrap();
        }
        // A connection that was let through is silent for longer than a greeting may be.
        tokio::time::timeout(Duration::from_millis(120), server.read(&mut [0; 8]))
            .await
            .unwrap_or(Ok(usize::MAX))
    }

    #[tokio::test]
    async fn silence_ends_and_speech_does_not() {
        let parts: [(&[&[u8]], bool); 6] = [
            (&[], true),
            (&[b"P"], true),
            (&[b"PRI * HT", b"TP/2.0"], true),
            (&[b"PO"], false),
            (&[b"GET / HTTP/1.1"], false),
            (&[b"PRI * HTTP/2.0\r\n\r\n", b"SM\r\n\r\n\0\0"], false),
        ];
        for (said, ends) in parts {
            let read = read_after(said).await;
            assert_eq!(read.is_err(), ends, "{said:?}: {read:?}");
        }
    }
}
