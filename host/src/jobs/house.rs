//! What is done now and then: tokens' last uses are written, expired idempotency keys deleted, and payloads erased whose
//! time has come.

use crate::clock;
use crate::host::Host;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Between two looks for what may wait.
const PERIOD: Duration = Duration::from_secs(30);
/// Between two looks for payloads to erase: what a script asks for in seconds is done to a second.
const ERASE_PERIOD: Duration = Duration::from_secs(1);
/// Expired idempotency keys deleted at once: few enough that nothing waits for it.
const PURGED_KEYS: u32 = 10_000;
/// Payloads erased at once, for the same reason.
const ERASED: u32 = 500;

/// Keeps house until it is dropped.
pub(crate) async fn keep(host: Arc<Host>) {
    tokio::join!(tidy(&host), erase(&host));
}

async fn tidy(host: &Host) {
    loop {
        sleep(PERIOD).await;
        write_uses(host).await;
        if let Err(error) = host.store.purge_idempotency(clock::now(), PURGED_KEYS).await {
            tracing::warn!(%error, "expired idempotency keys could not be deleted");
        }
    }
}

async fn erase(host: &Host) {
    loop {
        match host.store.erase_due(clock::now(), ERASED).await {
            // There may be more.
            Ok(erased) if erased == u64::from(ERASED) => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "arguments, results and logs whose time has come could not be erased"),
        }
        sleep(ERASE_PERIOD).await;
    }
}

/// Writes down when tokens were last used.
pub(crate) async fn write_uses(host: &Host) {
    let uses = host.tokens.take_uses();
    if uses.is_empty() {
        return;
    }
    if let Err(error) = host.store.touch_tokens(&uses).await {
        tracing::warn!(%error, "last uses of tokens could not be noted");
    }
}
