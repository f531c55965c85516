//! What a script sees of the world: its streams, its environment, a coarse clock, fresh randomness, and nothing else.
//!
//! No directory is opened and every socket operation is refused. The interfaces for both are there all the same, because
//! standard libraries import them.

use crate::limiter::Exceeded;
use crate::log::{Lines, LogBuffer};
use async_trait::async_trait;
use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};
use tokio::io::AsyncWrite;
use wasmill_core::RunLimits;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx};

/// Bytes that a guest may write in one call; the rest of it comes with the next. The host holds that much at a time.
const WRITE_PERMIT: usize = 64 << 10;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is valid after every single step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a guest's output goes: the log, or the memory that a command's result is read from.
#[derive(Clone)]
pub(crate) enum Sink {
    Log { log: Arc<LogBuffer>, lines: Arc<Mutex<Lines>> },
    Capture(Arc<Capture>),
}

/// Standard output of a command, up to the size of a result.
pub(crate) struct Capture {
    limit: usize,
    content: Mutex<(Vec<u8>, bool)>,
}

impl Capture {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit: usize::try_from(limit).unwrap_or(usize::MAX), content: Mutex::default() })
    }

    /// What was written, leaving nothing; and whether it was more than the limit.
    pub(crate) fn take(&self) -> (Vec<u8>, bool) {
        std::mem::take(&mut *lock(&self.content))
    }
}

impl Sink {
    pub(crate) fn log(log: &Arc<LogBuffer>) -> Self {
        Sink::Log { log: log.clone(), lines: Arc::default() }
    }

    fn put(&self, bytes: &[u8]) -> Result<(), Exceeded> {
        match self {
            Sink::Log { log, lines } => lock(lines).write(log, bytes),
            Sink::Capture(capture) => {
                let mut content = lock(&capture.content);
                if content.0.len().saturating_add(bytes.len()) > capture.limit {
                    content.1 = true;
                    return Err(Exceeded::Result);
                }
                content.0.extend_from_slice(bytes);
            }
        }
        Ok(())
    }

    /// Sends an unfinished line on to the log and returns the end of all that was written to it.
    pub(crate) fn close(&self) -> String {
        match self {
            Sink::Log { log, lines } => {
                let mut lines = lock(lines);
                lines.flush(log);
                lines.tail()
            }
            Sink::Capture(_) => String::new(),
        }
    }
}

impl IsTerminal for Sink {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Sink {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Sink {
    async fn ready(&mut self) {}
}

impl OutputStream for Sink {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        self.put(&bytes).map_err(|error| StreamError::Trap(error.into()))
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(WRITE_PERMIT)
    }
}

impl AsyncWrite for Sink {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.put(bytes).map(|()| bytes.len()).map_err(io::Error::other))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Clocks of 1 ms: coarse enough to make timing the processor's caches hard, fine enough for scripts.
struct CoarseClock {
    start: Instant,
}

const CLOCK_RESOLUTION: Duration = Duration::from_millis(1);

impl HostMonotonicClock for CoarseClock {
    fn resolution(&self) -> u64 {
        CLOCK_RESOLUTION.as_nanos() as u64
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64 * HostMonotonicClock::resolution(self)
    }
}

impl HostWallClock for CoarseClock {
    fn resolution(&self) -> Duration {
        CLOCK_RESOLUTION
    }

    fn now(&self) -> Duration {
        // A machine whose clock is before 1970 shows scripts 1970.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Duration::from_millis(now.as_millis() as u64)
    }
}

/// The arguments on standard input: shared, not copied.
struct Text(Arc<str>);

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// What one run is given.
pub(crate) struct World<'a> {
    pub(crate) environment: [&'a [(String, String)]; 2],
    pub(crate) stdin: Option<Arc<str>>,
    pub(crate) extra: Option<(&'a str, &'a str)>,
    pub(crate) stdout: Sink,
    pub(crate) stderr: Sink,
}

impl World<'_> {
    /// The context for the engine's WASI, within the run's limits.
    pub(crate) fn build(self, limits: &RunLimits) -> WasiP1Ctx {
        let mut builder = WasiCtx::builder();
        builder.stdout(self.stdout).stderr(self.stderr);
        if let Some(args) = self.stdin {
            builder.stdin(MemoryInputPipe::new(Bytes::from_owner(Text(args))));
            builder.arg("script");
        }
        for part in self.environment {
            builder.envs(part);
        }
        if let Some((name, value)) = self.extra {
            builder.env(name, value);
        }
        builder.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
        builder.max_random_size(limits.random_bytes);
        // The seed of quick random numbers is a fresh one by default, not a constant: hash tables differ from run to run.
        let start = Instant::now();
        builder.monotonic_clock(CoarseClock { start }).wall_clock(CoarseClock { start });
        builder.build_p1()
    }
}
