//! What a node does because others may share its store: it hears what they tell, looks whether what
//! it remembers still holds, and waits for the ends of jobs that others run.
//!
//! Signals are hints. All that they tell of is also looked for now and then, so that a lost one
//! costs time and nothing else.

pub(crate) mod waiters;

use crate::host::Host;
use crate::jobs::lease;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep_until};
use wasmill_store::Signal;

/// Between two looks whether scripts or tokens have changed: within a second every node knows.
const LOOK: Duration = Duration::from_millis(400);
/// Between two looks for cancelled jobs that run here.
const CANCELED: Duration = Duration::from_secs(2);

/// Hears what other nodes tell, until it is dropped.
pub(crate) async fn listen(host: Arc<Host>) {
    tokio::join!(hear(&host), waiters::look(&host));
}

async fn hear(host: &Arc<Host>) {
    if !host.shared {
        // Whatever happens to the store happens in this process, which needs no telling.
        return;
    }
    let mut signals = host.store.signals();
    let mut generation: Option<i64> = None;
    let (mut look, mut canceled) = (Instant::now(), Instant::now() + CANCELED);
    loop {
        tokio::select! {
            signal = signals.recv() => match signal {
                Ok(Signal::Queued) => host.queued.notify_one(),
                Ok(Signal::Ended(ids)) => host.waiters.ended(&ids),
                Ok(Signal::Canceled) => canceled = Instant::now(),
                Ok(Signal::Changed) => look = Instant::now(),
                // The store itself passes that on.
                Ok(Signal::Outbox) => {}
                Err(RecvError::Lagged(_)) => host.queued.notify_one(),
                Err(RecvError::Closed) => return,
            },
            () = sleep_until(look) => {
                look = Instant::now() + LOOK;
                forget_what_changed(host, &mut generation).await;
            }
            () = sleep_until(canceled) => {
                canceled = Instant::now() + CANCELED;
                lease::stop_canceled(host).await;
            }
        }
    }
}

/// Forgets scripts and tokens when the store's generation is another one than before.
async fn forget_what_changed(host: &Host, generation: &mut Option<i64>) {
    match host.store.generation().await {
        Ok(now) if *generation == Some(now) => {}
        Ok(now) => {
            *generation = Some(now);
            host.resolver.forget();
            host.tokens.forget_all();
        }
        // What was remembered stays good to run; nobody can change it while the store is away.
        Err(error) => {
            tracing::warn!(%error, "whether scripts or tokens have changed cannot be seen")
        }
    }
}
