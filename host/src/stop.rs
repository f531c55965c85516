//! Stopping in two phases: first nothing new is taken, then, after a grace period, what still runs
//! is cancelled.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The two signals that every part of the host listens to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    /// Phase one: take nothing new, finish what was begun.
    pub(crate) draining: CancellationToken,
    /// Phase two: end what still runs.
    pub(crate) ending: CancellationToken,
}

/// The process's signals to end. From the moment they are listened to, none is missed.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens from now on; before, a signal ends the process at once.
    ///
    /// # Errors
    /// When signal handlers cannot be installed.
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Resolves at the next SIGTERM or SIGINT.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
