//! How a host ends.

use crate::cli::stores::OpenStore;
use crate::host::Host;
use crate::stop::Signals;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Waits for a signal or the store's death, then stops in two phases. A second signal ends the
/// process at once.
pub(super) async fn wait_for_end(
    host: &Arc<Host>,
    store: &OpenStore,
    mut signals: Signals,
    tasks: Vec<JoinHandle<()>>,
) -> ExitCode {
    let code = tokio::select! {
        () = signals.next() => ExitCode::SUCCESS,
        reason = store.failed() => {
            tracing::error!(reason, "the store has failed; the host stops, for nothing more can be kept");
            ExitCode::FAILURE
        }
    };
    tracing::info!(
        grace_seconds = host.settings.limits.stop_grace.as_secs(),
        "stopping: nothing new is taken"
    );
    host.stop.draining.cancel();
    let ending = host.clone();
    let grace = tokio::spawn(async move {
        tokio::select! {
            () = tokio::time::sleep(ending.settings.limits.stop_grace) => tracing::warn!("the grace period is over; what still runs is cut off"),
            () = signals.next() => std::process::exit(1),
        }
        ending.stop.ending.cancel();
    });
    // They end by themselves: at the latest when `ending` tells them to.
    for task in tasks {
        let _ = task.await;
    }
    // Runs that outlasted their callers are given back by now, or are about to be.
    host.runner.detached.close();
    host.runner.detached.wait().await;
    grace.abort();
    code
}
