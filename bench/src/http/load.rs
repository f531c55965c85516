//! The load: a number of connections that are kept alive, on each of them one request after the other.
//!
//! It runs on one thread. Every answer is read whole and compared with what is expected: a server that fails fast must not
//! win.

use crate::figures::{self, Times};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

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

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await.context("the server cannot be reached")?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

impl Shot {
    fn request(&self, address: SocketAddr) -> Result<Request<Full<Bytes>>> {
        let mut request =
            Request::builder().method(&self.method).uri(&self.path).header(HOST, address.to_string()).body(Full::new(self.body.clone()))?;
        let headers = request.headers_mut();
        if let Some(token) = &self.token {
            headers.insert(AUTHORIZATION, token.parse()?);
        }
        if !self.body.is_empty() {
            headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(self.content_type));
        }
        Ok(request)
    }
}

async fn send(sender: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> Result<Answer> {
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    Ok(Answer { status, body: response.into_body().collect().await?.to_bytes() })
}

/// Sends one request on a connection of its own.
pub(crate) async fn once(address: SocketAddr, shot: &Shot) -> Result<Answer> {
    send(&mut connect(address).await?, shot.request(address)?).await
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
    fn met_by(&self, answer: &Answer) -> bool {
        match self {
            Self::Exactly(expected) => answer == expected,
            Self::Status(status) => answer.status == *status,
        }
    }
}

/// Sends requests on `connections` connections for `duration`.
pub(crate) async fn fire(address: SocketAddr, shot: &Shot, expect: &Expect, connections: usize, duration: Duration) -> Result<Volley> {
    let mut senders = Vec::new();
    for _ in 0..connections {
        senders.push(connect(address).await?);
    }
    let request = shot.request(address)?;
    let begun = Instant::now();
    let end = begun + duration;
    let mut tasks = JoinSet::new();
    for mut sender in senders {
        let (request, expect) = (request.clone(), expect.clone());
        tasks.spawn(async move {
            let mut nanos = Vec::with_capacity(1 << 14);
            let mut before = Instant::now();
            while before < end {
                let answer = send(&mut sender, request.clone()).await?;
                ensure!(expect.met_by(&answer), "unexpected answer {} {}", answer.status, String::from_utf8_lossy(&answer.body));
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
    Ok(Volley { requests: nanos.len() as u64, rate: nanos.len() as f64 / elapsed.as_secs_f64(), times: figures::times(&mut nanos) })
}
