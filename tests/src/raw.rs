//! HTTP by hand over a socket: for requests that no decent client sends.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A connection.
pub struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer read by hand.
#[derive(Debug)]
pub struct RawAnswer {
    /// The status.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// The body, by its `Content-Length`.
    pub body: Vec<u8>,
}

impl Wire {
    /// Connects.
    pub fn open(address: SocketAddr) -> Self {
        Self::try_open(address).expect("the host listens")
    }

    /// Connects, if somebody listens.
    pub fn try_open(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout can be set");
        Some(Self { stream, read: Vec::new() })
    }

    /// Sends bytes; false when the other side has closed.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Reads one answer, or `None` when the connection ends without one.
    pub fn answer(&mut self, within: u64) -> Option<RawAnswer> {
        let end = Instant::now() + Duration::from_secs(within);
        loop {
            if let Some(answer) = self.take() {
                return Some(answer);
            }
            match self.more() {
                Some(0) => return None,
                Some(_) => {}
                None => {
                    assert!(
                        Instant::now() < end,
                        "no answer within {within} s; read so far: {:?}",
                        String::from_utf8_lossy(&self.read)
                    )
                }
            }
        }
    }

    /// Reads until a text has come, and returns all that has come so far.
    pub fn read_until(&mut self, text: &str, within: u64) -> String {
        let end = Instant::now() + Duration::from_secs(within);
        loop {
            let read = String::from_utf8_lossy(&self.read);
            if read.contains(text) {
                return read.into_owned();
            }
            assert!(Instant::now() < end, "no {text:?} within {within} s; read so far: {read:?}");
            assert_ne!(self.more(), Some(0), "the connection ended without {text:?}");
        }
    }

    /// Waits until the other side closes, and tells how long that took.
    pub fn closed(&mut self, within: u64) -> Duration {
        let begun = Instant::now();
        while self.more() != Some(0) {
            assert!(
                begun.elapsed() < Duration::from_secs(within),
                "the connection is still open after {within} s"
            );
        }
        begun.elapsed()
    }

    /// How many bytes have come that no answer was read from.
    pub fn arrived(&mut self) -> usize {
        self.more();
        self.read.len()
    }

    /// Says that nothing more will be sent, and goes on listening.
    pub fn finish(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Hangs up.
    pub fn hang_up(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Reads what is there: the number of bytes, 0 at the end, `None` when there is nothing yet.
    fn more(&mut self) -> Option<usize> {
        let mut piece = [0; 4096];
        match self.stream.read(&mut piece) {
            Ok(count) => {
                self.read.extend_from_slice(&piece[..count]);
                Some(count)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                None
            }
            Err(_) => Some(0),
        }
    }

    fn take(&mut self) -> Option<RawAnswer> {
        let end = self.read.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length:")
                .map(|text| text.trim().parse::<usize>().expect("a length"))
        });
        let body_end = end + length.unwrap_or(0);
        if self.read.len() < body_end {
            return None;
        }
        let body = self.read[end..body_end].to_vec();
        self.read.drain(..body_end);
        Some(RawAnswer { status, head, body })
    }
}
