//! What a script sees of the world: its streams, its environment, a coarse clock, fresh randomness,
//! and nothing else.
//!
//! No directory is opened and every socket operation is refused. The interfaces for both are there
//! all the same, because standard libraries import them.

use crate::invoke::Environment;
use crate::limiter::Exceeded;
use crate::log::{Lines, LogBuffer};
use async_trait::async_trait;
use bytes::Bytes;
use std::cell::LazyCell;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};
use tokio::io::AsyncWrite;
use wasmill_core::RunLimits;
use wasmill_core::limits::ARGS_VARIABLE_BYTES;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiView as _};

/// Bytes that a guest may write in one call; the rest of it comes with the next. The host holds
/// that much at a time.
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
        Arc::new(Self {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            content: Mutex::default(),
        })
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
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.put(bytes).map(|()| bytes.len()).map_err(io::Error::other))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Clocks of 1 ms: coarse enough to make timing the processor's caches hard, fine enough for
/// scripts.
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
pub(crate) struct World {
    /// Variables of all runs.
    pub(crate) common: Arc<[(String, String)]>,
    /// Variables of this one.
    pub(crate) environment: Environment,
    /// The arguments of a command: its standard input, and a variable unless they are long.
    pub(crate) arguments: Option<Arc<str>>,
    pub(crate) stdout: Sink,
    pub(crate) stderr: Sink,
    pub(crate) limits: RunLimits,
    /// When the run began.
    pub(crate) start: Instant,
}

impl World {
    /// The context for the engine's WASI, within the run's limits.
    fn build(self) -> WasiP1Ctx {
        let Self { common, environment, arguments, stdout, stderr, limits, start } = self;
        let mut builder = WasiCtx::builder();
        builder.stdout(stdout).stderr(stderr);
        builder.envs(&common).envs(&environment.variables());
        if let Some(arguments) = arguments {
            if arguments.len() <= ARGS_VARIABLE_BYTES {
                builder.env("WM_ARGS", &arguments);
            }
            builder.stdin(MemoryInputPipe::new(Bytes::from_owner(Text(arguments))));
            builder.arg("script");
        }
        builder.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
        builder.max_random_size(limits.random_bytes);
        // The seed of quick random numbers is a fresh one by default, not a constant: hash tables
        // differ from run to run.
        builder.monotonic_clock(CoarseClock { start }).wall_clock(CoarseClock { start });
        let mut context = builder.build_p1();
        // The engine's own bounds are opt-in: without this one a guest could make the host hold
        // what it likes.
        context.ctx().table.set_max_capacity(limits.handles as usize);
        context
    }
}

/// A run's WASI, made when the script first asks for anything: many never do, and it would be a
/// tenth of such a call.
pub(crate) struct Wasi {
    made: LazyCell<WasiP1Ctx, Box<dyn FnOnce() -> WasiP1Ctx + Send>>,
}

impl Wasi {
    pub(crate) fn of(world: World) -> Self {
        Self { made: LazyCell::new(Box::new(|| world.build())) }
    }

    /// For a store that nothing is run in.
    pub(crate) fn none() -> Self {
        Self { made: LazyCell::new(Box::new(|| WasiCtx::builder().build_p1())) }
    }

    pub(crate) fn context(&mut self) -> &mut WasiP1Ctx {
        LazyCell::force_mut(&mut self.made)
    }
}
