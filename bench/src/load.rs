//! The load: a number of connections that are kept alive, on each of them one request after the
//! other.
//!
//! It runs on one thread and does next to nothing for a request, so that it is the server that is
//! measured: the request is bytes that were put together once, and of an answer only what says
//! where it ends is understood. Every answer is read whole and compared with what is expected: a
//! server that fails fast must not win.

use crate::figures::{self, Times};
use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::{Method, StatusCode};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Headers of an answer at most.
const MAX_HEADERS: usize = 64;

/// One request, sent again and again.
#[derive(Debug, Clone)]
pub(crate) struct Shot {
    /// Its method.
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: String,
    /// Value of the header `Authorization`.
    pub(crate) token: Option<String>,
    /// Value of the header `Content-Type`.
    pub(crate) content_type: &'static str,
    /// Its body.
    pub(crate) body: Bytes,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its body.
    pub(crate) body: Bytes,
}

/// What a round of requests came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Volley {
    /// Answers.
    pub(crate) requests: u64,
    /// Answers in a second.
    pub(crate) rate: f64,
    /// How long they took.
    pub(crate) times: Times,
}

impl Shot {
    /// The request as HTTP/1.1.
    fn bytes(&self, address: SocketAddr) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: {address}\r\n", self.method, self.path);
        if let Some(token) = &self.token {
            let _ = write!(head, "authorization: {token}\r\n");
        }
        if !self.body.is_empty() {
            let _ = write!(head, "content-type: {}\r\n", self.content_type);
        }
        if !self.body.is_empty() || self.method == Method::POST {
            let _ = write!(head, "content-length: {}\r\n", self.body.len());
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }
}

/// Where an answer's body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// After so many bytes.
    Length(usize),
    /// After the last chunk.
    Chunks,
}

/// The beginning of an answer.
#[derive(Debug, Clone, Copy)]
struct Head {
    status: u16,
    /// Bytes of it.
    length: usize,
    framing: Framing,
}

impl Head {
    /// `None`: there is more of it to come.
    fn parse(bytes: &[u8], method: &Method) -> Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = response.parse(bytes)? else {
            return Ok(None);
        };
        let status = response.code.context("an answer without a status")?;
        let value = |name: &str| {
            response
                .headers
                .iter()
                .find(|header| header.name.eq_ignore_ascii_case(name))
                .map(|header| header.value)
        };
        let framing = match (value("content-length"), value("transfer-encoding")) {
            _ if *method == Method::HEAD || status == 204 => Framing::Length(0),
            (Some(length), _) => Framing::Length(std::str::from_utf8(length)?.trim().parse()?),
            (None, Some(_)) => Framing::Chunks,
            (None, None) => bail!("an answer whose end is not told"),
        };
        Ok(Some(Self { status, length, framing }))
    }
}

/// The pieces of a body in chunks and its length with all that is around them. `None`: there is
/// more of it to come.
fn chunks(bytes: &[u8]) -> Result<Option<(Vec<Range<usize>>, usize)>> {
    let (mut pieces, mut at) = (Vec::new(), 0);
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let (line, size) = match httparse::parse_chunk_size(rest)
            .map_err(|_| anyhow::anyhow!("a chunk without a size"))?
        {
            httparse::Status::Complete((line, size)) => (line, usize::try_from(size)?),
            httparse::Status::Partial => return Ok(None),
        };
        let end = at + line + size + 2;
        if bytes.len() < end {
            return Ok(None);
        }
        if size == 0 {
            return Ok(Some((pieces, end)));
        }
        pieces.push(at + line..at + line + size);
        at = end;
    }
}

/// A connection that is kept alive.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("the server cannot be reached")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 << 10) })
    }

    /// Sends a request and reads its answer: the beginning, and the body as it came, chunks and
    /// all.
    async fn ask(&mut self, request: &[u8], method: &Method) -> Result<(Head, &[u8])> {
        self.buffer.clear();
        self.stream.write_all(request).await?;
        let mut head = None;
        loop {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the server hung up");
            if head.is_none() {
                head = Head::parse(&self.buffer, method)?;
            }
            let Some(head) = head else { continue };
            let body = self.buffer.get(head.length..).unwrap_or_default();
            let length = match head.framing {
                Framing::Length(length) => (body.len() >= length).then_some(length),
                Framing::Chunks => chunks(body)?.map(|(_, length)| length),
            };
            if let Some(length) = length {
                ensure!(body.len() == length, "there is more after the end of an answer");
                return Ok((head, self.buffer.get(head.length..).unwrap_or_default()));
            }
        }
    }
}

/// An answer out of what came.
fn answer(head: Head, body: &[u8]) -> Result<Answer> {
    let body = match head.framing {
        Framing::Length(_) => Bytes::copy_from_slice(body),
        Framing::Chunks => {
            let (pieces, _) = chunks(body)?.context("a body that breaks off")?;
            pieces
                .into_iter()
                .filter_map(|piece| body.get(piece))
                .collect::<Vec<_>>()
                .concat()
                .into()
        }
    };
    Ok(Answer { status: StatusCode::from_u16(head.status)?, body })
}

/// Sends one request on a connection of its own.
pub(crate) async fn once(address: SocketAddr, shot: &Shot) -> Result<Answer> {
    let mut connection = Connection::open(address).await?;
    let (head, body) = connection.ask(&shot.bytes(address), &shot.method).await?;
    answer(head, body)
}

/// Which answers are right.
#[derive(Debug, Clone)]
pub(crate) enum Expect {
    /// This status and this body.
    Exactly(Answer),
    /// This status; the body holds an id.
    Status(StatusCode),
}

impl Expect {
    fn met_by(&self, head: Head, body: &[u8]) -> Result<bool> {
        Ok(match (self, head.framing) {
            (Self::Status(status), _) => head.status == *status,
            (Self::Exactly(expected), Framing::Length(_)) => {
                head.status == expected.status && body == expected.body
            }
            (Self::Exactly(expected), Framing::Chunks) => answer(head, body)? == *expected,
        })
    }
}

/// Sends a request so often on one connection, the next one when the answer is there.
pub(crate) async fn repeat(
    address: SocketAddr,
    shot: &Shot,
    expect: &Expect,
    times: u64,
) -> Result<()> {
    let mut connection = Connection::open(address).await?;
    let request = shot.bytes(address);
    for _ in 0..times {
        let (head, body) = connection.ask(&request, &shot.method).await?;
        if !expect.met_by(head, body)? {
            bail!("unexpected answer {} {}", head.status, String::from_utf8_lossy(body));
        }
    }
    Ok(())
}

/// Sends requests on `connections` connections for `duration`.
pub(crate) async fn fire(
    address: SocketAddr,
    shot: &Shot,
    expect: &Expect,
    connections: usize,
    duration: Duration,
) -> Result<Volley> {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(address).await?);
    }
    let request: Bytes = shot.bytes(address).into();
    let begun = Instant::now();
    let end = begun + duration;
    let mut tasks = JoinSet::new();
    for mut connection in open {
        let (request, expect, method) = (request.clone(), expect.clone(), shot.method.clone());
        tasks.spawn(async move {
            let mut nanos = Vec::with_capacity(1 << 14);
            let mut before = Instant::now();
            while before < end {
                let (head, body) = connection.ask(&request, &method).await?;
                if !expect.met_by(head, body)? {
                    bail!("unexpected answer {} {}", head.status, String::from_utf8_lossy(body));
                }
                let now = Instant::now();
                nanos.push((now - before).as_nanos() as u64);
                before = now;
            }
            Ok(nanos)
        });
    }
    let mut nanos = Vec::new();
    while let Some(task) = tasks.join_next().await {
        nanos.extend(task??);
    }
    let elapsed = begun.elapsed();
    Ok(Volley {
        requests: nanos.len() as u64,
        rate: nanos.len() as f64 / elapsed.as_secs_f64(),
        times: figures::times(&mut nanos),
    })
}
