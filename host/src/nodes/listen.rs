//! Hears what other nodes tell, and looks whether what this node remembers still holds.

use super::notifier::Notifier;
use crate::auth::Tokens;
use crate::resolve::Resolver;
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::sync::broadcast::error::RecvError;
use wasmill_store::{Signal, Store};

/// Passes the signals of other nodes on to who waits for them here, until it is dropped.
pub(crate) async fn listen(store: Arc<dyn Store>, notifier: Arc<Notifier>) {
    if !notifier.shared {
        // Whatever happens to the store happens in this process, which needs no telling.
        return;
    }
    let mut signals = store.signals();
    loop {
        match signals.recv().await {
            Ok(Signal::Queued) | Err(RecvError::Lagged(_)) => notifier.queued.notify_one(),
            Ok(Signal::Ended(ids)) => notifier.waiters.ended(&ids),
            Ok(Signal::Canceled) => notifier.canceled.notify_one(),
            Ok(Signal::Changed) => notifier.changed.notify_one(),
            // The store itself passes that on.
            Ok(Signal::Outbox) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

/// What this node remembers of scripts and tokens, which other nodes may change.
pub(crate) struct Remembered {
    store: Arc<dyn Store>,
    resolver: Arc<Resolver>,
    tokens: Arc<Tokens>,
    /// The store's generation when this was looked at last.
    generation: Mutex<Option<i64>>,
}

impl Remembered {
    /// Not looked at yet.
    pub(crate) fn new(store: Arc<dyn Store>, resolver: Arc<Resolver>, tokens: Arc<Tokens>) -> Self {
        Self { store, resolver, tokens, generation: Mutex::default() }
    }

    /// Forgets scripts and tokens when the store's generation is another one than before.
    pub(crate) async fn forget_what_changed(&self) {
        let mut generation = self.generation.lock().await;
        match self.store.generation().await {
            Ok(now) if *generation == Some(now) => {}
            Ok(now) => {
                *generation = Some(now);
                self.resolver.forget();
                self.tokens.forget_all();
            }
            // What was remembered stays good to run; nobody can change it while the store is away.
            Err(error) => {
                tracing::warn!(%error, "whether scripts or tokens have changed cannot be seen");
            }
        }
    }
}
