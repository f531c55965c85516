//! A receiver of webhook deliveries: notes every request and answers each as the test wants it.

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::eventually;

/// A request that arrived.
#[derive(Debug, Clone)]
pub struct Told {
    /// When.
    pub at: Instant,
    /// The first line.
    pub line: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

/// What a receiver does with a request.
#[derive(Debug, Clone)]
pub enum Reaction {
    /// Answers with this status.
    Status(u16),
    /// Answers with this status and a header.
    With(u16, &'static str, String),
    /// Keeps the connection open and says nothing.
    Silence,
}

/// A receiver; it ends when this value is dropped.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the n-th request is answered with.
type React = dyn Fn(usize, &Told) -> Reaction + Send + Sync;

struct Shared {
    told: Mutex<Vec<Told>>,
    ended: AtomicBool,
    react: Box<React>,
}

impl Told {
    /// A header, or an empty text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }
}

impl Receiver {
    /// One that answers the n-th request, counted from 0, by this function.
    pub fn start(react: impl Fn(usize, &Told) -> Reaction + Send + Sync + 'static) -> Self {
        Self::start_on("127.0.0.1:0".parse().expect("an address"), react)
    }

    /// One that takes everything.
    pub fn agreeing() -> Self {
        Self::start(|_, _| Reaction::Status(200))
    }

    /// One on an address that was free a moment ago.
    pub fn start_on(
        address: SocketAddr,
        react: impl Fn(usize, &Told) -> Reaction + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).expect("a port to listen on");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            told: Mutex::default(),
            ended: AtomicBool::new(false),
            react: Box::new(react),
        });
        let its = shared.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if its.ended.load(Ordering::Acquire) {
                    return;
                }
                let its = its.clone();
                // What a host that is killed leaves half sent is of no concern.
                std::thread::spawn(move || stream.map(|stream| its.serve(stream)));
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT/hook`
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// What has arrived.
    pub fn told(&self) -> Vec<Told> {
        self.shared.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many requests have arrived, and returns all there are.
    pub fn wait(&self, count: usize, within: u64) -> Vec<Told> {
        eventually(&format!("{count} deliveries"), within, || {
            Some(self.told()).filter(|told| told.len() >= count)
        })
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        let told = read(&stream)?;
        let number = {
            let mut all = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(told.clone());
            all.len() - 1
        };
        let (status, header) = match (self.react)(number, &told) {
            Reaction::Status(status) => (status, String::new()),
            Reaction::With(status, name, value) => (status, format!("{name}: {value}\r\n")),
            Reaction::Silence => {
                // Until the other side hangs up.
                let _ = stream.read(&mut [0; 1]);
                return None;
            }
        };
        let body = if status == 204 { "" } else { "noted" };
        let answer = format!(
            "HTTP/1.1 {status} As Told\r\n{header}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).ok()
    }
}

fn read(stream: &TcpStream) -> Option<Told> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        let before = headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        assert!(before.is_none(), "{name} came twice");
    }
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Told {
        at: Instant::now(),
        line: line.trim_end().to_owned(),
        headers,
        body: String::from_utf8(body).ok()?,
    })
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        // Wakes the thread, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
