//! What a script sees of the system: its streams, its environment variables, a coarse clock and
//! random numbers.
//!
//! No directory is opened, and every socket operation is refused. The interfaces of both are
//! offered because standard libraries import them.

use crate::limiter::LimitExceeded;
use crate::log::{Lines, LogBuffer};
use async_trait::async_trait;
use bytes::Bytes;
use std::cell::LazyCell;
use std::fmt;
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

/// Bytes that a guest may write in one call. A guest writes more in several calls. The host holds
/// that much at a time.
const WRITE_PERMIT: usize = 64 << 10;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these locks protect is valid after every single step, also when a thread panics.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the output of a guest goes: to the log, or into memory when it is the result of a command.
#[derive(Clone)]
pub(crate) enum Sink {
    Log { log: Arc<LogBuffer>, lines: Arc<Mutex<Lines>> },
    Capture(Arc<Capture>),
}

/// The standard output of a command, up to the size of a result.
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

    /// Takes the bytes that were written. The flag is true when the guest wrote more than the
    /// limit.
    pub(crate) fn take(&self) -> (Vec<u8>, bool) {
        std::mem::take(&mut *lock(&self.content))
    }
}

impl Sink {
    pub(crate) fn log(log: &Arc<LogBuffer>) -> Self {
        Sink::Log { log: log.clone(), lines: Arc::default() }
    }

    fn put(&self, bytes: &[u8]) -> Result<(), LimitExceeded> {
        match self {
            Sink::Log { log, lines } => lock(lines).write(log, bytes),
            Sink::Capture(capture) => {
                let mut content = lock(&capture.content);
                if content.0.len().saturating_add(bytes.len()) > capture.limit {
                    content.1 = true;
                    return Err(LimitExceeded::Result);
                }
                content.0.extend_from_slice(bytes);
            }
        }
        Ok(())
    }

    /// Appends the incomplete line to the log. Returns the end of all that was written to the log.
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

/// Clocks with a resolution of 1 ms. A finer clock would help a guest to measure the caches of the
/// processor; scripts do not need one.
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
        // When the clock of the machine is before 1970, scripts see 1970.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Duration::from_millis(now.as_millis() as u64)
    }
}

/// The bytes of the arguments for standard input, shared and not copied.
struct Text(Arc<str>);

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Environment variables, made when a script first calls WASI. Many scripts never do.
#[derive(Clone)]
pub struct Environment(Arc<dyn Fn() -> Vec<(String, String)> + Send + Sync>);

impl Environment {
    /// The variables that `variables` returns. It is called at most once in a run.
    pub fn new(variables: impl Fn() -> Vec<(String, String)> + Send + Sync + 'static) -> Self {
        Self(Arc::new(variables))
    }

    fn variables(&self) -> Vec<(String, String)> {
        (self.0)()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

/// What the WASI context of one run is made from.
pub(crate) struct WasiConfig {
    /// Environment variables of all runs.
    pub(crate) common: Arc<[(String, String)]>,
    /// Environment variables of this run.
    pub(crate) environment: Environment,
    /// The arguments of a command. They become its standard input, and a variable when they are
    /// short.
    pub(crate) arguments: Option<Arc<str>>,
    pub(crate) stdout: Sink,
    pub(crate) stderr: Sink,
    pub(crate) limits: RunLimits,
    /// When the run started.
    pub(crate) start: Instant,
}

impl WasiConfig {
    /// The WASI context of the engine, within the limits of the run.
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
        // The seed of the fast random numbers is random by default, so that hash tables differ from
        // run to run.
        builder.monotonic_clock(CoarseClock { start }).wall_clock(CoarseClock { start });
        let mut context = builder.build_p1();
        // The engine has no limit on handles by default. Without one a guest could fill the memory
        // of the host.
        context.ctx().table.set_max_capacity(limits.handles as usize);
        context
    }
}

/// The WASI context of a run, made when the guest calls WASI for the first time. Many scripts never
/// do, and making the context takes a tenth of a small call.
pub(crate) struct LazyWasi {
    made: LazyCell<WasiP1Ctx, Box<dyn FnOnce() -> WasiP1Ctx + Send>>,
}

impl LazyWasi {
    pub(crate) fn of(config: WasiConfig) -> Self {
        Self { made: LazyCell::new(Box::new(|| config.build())) }
    }

    /// For a store in which nothing runs.
    pub(crate) fn none() -> Self {
        Self { made: LazyCell::new(Box::new(|| WasiCtx::builder().build_p1())) }
    }

    pub(crate) fn context(&mut self) -> &mut WasiP1Ctx {
        LazyCell::force_mut(&mut self.made)
    }
}
