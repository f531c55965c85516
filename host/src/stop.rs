//! Stopping in two phases: first nothing new is taken, then, after a grace period, what still runs is cancelled.

use tokio_util::sync::CancellationToken;

/// The two signals that every part of the host listens to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    /// Phase one: take nothing new, finish what was begun.
    pub(crate) draining: CancellationToken,
    /// Phase two: end what still runs.
    pub(crate) ending: CancellationToken,
}

/// Resolves at the first SIGTERM or SIGINT.
///
/// # Errors
/// When signal handlers cannot be installed.
pub(crate) async fn signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
