//! What is done now and then: tokens' last uses are written, expired idempotency keys deleted,
//! payloads erased and finished jobs forgotten whose time has come, modules that nothing needs
//! deleted, and the store is given time for its own upkeep. Of the nodes that share a store one
//! does it, except for what each knows by itself.

use super::lead::Lead;
use super::retention;
use crate::clock;
use crate::host::Host;
use crate::modules;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Between two looks for what may wait.
const PERIOD: Duration = Duration::from_secs(30);
/// Between two looks for payloads to erase: what a script asks for in seconds is done to a second.
const ERASE_PERIOD: Duration = Duration::from_secs(1);
/// Between two times of the store's own upkeep, `PERIOD` apart from it.
const UPKEEP: Duration = Duration::from_secs(600);
/// Between two looks for modules that nothing needs, and before the first one.
const SWEEP: (Duration, Duration) = (Duration::from_secs(3_600), Duration::from_secs(5));
/// Expired idempotency keys deleted at once: few enough that nothing waits for it.
const PURGED_KEYS: u32 = 10_000;
/// Payloads erased at once, for the same reason.
const ERASED: u32 = 500;

/// The task by which the nodes know who keeps house.
pub(crate) fn lead() -> Lead {
    Lead::of("house")
}

/// Whether this node is to do what is done once.
pub(super) async fn is_ours(host: &Host) -> bool {
    host.house.is_ours(host).await
}

/// Keeps house until it is dropped.
pub(crate) async fn keep(host: Arc<Host>) {
    tokio::join!(tidy(&host), erase(&host), retention::keep(&host), upkeep(&host), sweep(&host));
}

/// Ends it: what this process knows is written, and the house is left to others. To be called once
/// nothing keeps it any more.
pub(crate) async fn close(host: &Host) {
    write_uses(host).await;
    host.house.leave(host).await;
}

async fn tidy(host: &Host) {
    loop {
        sleep(PERIOD).await;
        write_uses(host).await;
        if is_ours(host).await
            && let Err(error) = host.store.purge_idempotency(clock::now(), PURGED_KEYS).await
        {
            tracing::warn!(%error, "expired idempotency keys could not be deleted");
        }
    }
}

async fn erase(host: &Host) {
    loop {
        if is_ours(host).await {
            match host.store.erase_due(clock::now(), ERASED).await {
                // There may be more.
                Ok(erased) if erased == u64::from(ERASED) => continue,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "arguments, results and logs whose time has come could not be erased")
                }
            }
        }
        sleep(ERASE_PERIOD).await;
    }
}

async fn upkeep(host: &Host) {
    loop {
        sleep(PERIOD).await;
        if !is_ours(host).await {
            continue;
        }
        if let Err(error) = host.store.maintain(clock::now(), host.settings.limits.keep_runs).await
        {
            tracing::warn!(%error, "the store's upkeep could not be done");
        }
        sleep(UPKEEP).await;
    }
}

async fn sweep(host: &Host) {
    sleep(SWEEP.1).await;
    loop {
        if !is_ours(host).await {
            sleep(PERIOD).await;
            continue;
        }
        match modules::sweep(host).await {
            Ok(0) => {}
            Ok(deleted) => tracing::info!(deleted, "modules that nothing needs were deleted"),
            Err(error) => {
                tracing::warn!(%error, "modules that nothing needs could not be looked for")
            }
        }
        sleep(SWEEP.0).await;
    }
}

/// Writes down when tokens were last used.
async fn write_uses(host: &Host) {
    let uses = host.tokens.take_uses();
    if uses.is_empty() {
        return;
    }
    if let Err(error) = host.store.touch_tokens(&uses).await {
        tracing::warn!(%error, "last uses of tokens could not be noted");
    }
}
