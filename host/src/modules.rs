//! The bytes of modules: kept before a version names them, and collected when none does any more.
//!
//! A module may be deployed by another request, or by another node, at the very moment when its
//! last version is deleted. So it is reserved before it is put, and held by who collects it; the
//! store decides between the two.

use crate::clock::{self, micros};
use crate::resolve::Deployment;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use wasmill_core::problem::Code;
use wasmill_core::{Digest, Problem, Runnable};
use wasmill_sandbox::{Prepared, Sandbox};
use wasmill_store::blobs::Blobs;
use wasmill_store::{Micros, Store, StoreError};

/// For how long a module is reserved. Half of it is for the bytes; should they take longer, they
/// are put again under a longer one. The rest is for the row that names them.
const RESERVED: Duration = Duration::from_secs(10);
/// For how long a module can be held by who collects it.
const COLLECTING: Duration = Duration::from_secs(60);
/// How long a deployment waits for a module that is just being collected.
const BUSY: Duration = Duration::from_secs(10);
/// Younger ones are not looked at by who looks for modules that nothing needs: most are about to be
/// needed.
const LEFT_ALONE: Duration = Duration::from_secs(3_600);
/// Between two looks whether it still is.
const AGAIN: Duration = Duration::from_millis(50);

fn from_now(time: Duration) -> Micros {
    clock::now().saturating_add(micros(time))
}

/// The modules of all workspaces: their bytes, and what they are compiled to.
pub(crate) struct Modules {
    store: Arc<dyn Store>,
    blobs: Blobs,
    sandbox: Arc<Sandbox>,
}

impl Modules {
    /// Those whose bytes are in `blobs`, and which `sandbox` compiles.
    pub(crate) fn new(store: Arc<dyn Store>, blobs: Blobs, sandbox: Arc<Sandbox>) -> Self {
        Self { store, blobs, sandbox }
    }

    /// A version's compiled script, from memory when it is warm.
    ///
    /// # Errors
    /// A problem for the caller: 503 when the module cannot be read now, else it is missing or no
    /// longer compiles; the log tells more.
    pub(crate) async fn prepared(&self, deployment: &Deployment) -> Result<Arc<Prepared>, Problem> {
        let Runnable::Module { module, .. } = &deployment.runnable;
        match self.sandbox.prepared(module) {
            Some(ready) => Ok(ready),
            None => Box::pin(self.prepare(deployment)).await,
        }
    }

    async fn prepare(&self, deployment: &Deployment) -> Result<Arc<Prepared>, Problem> {
        let Runnable::Module { module: digest, kind } = deployment.runnable;
        let (blobs, away) = (self.blobs.clone(), Arc::new(AtomicBool::new(false)));
        let seen = away.clone();
        let fetch = move || async move {
            match blobs.get(digest).await {
                Ok(Some(bytes)) => Ok(bytes),
                Ok(None) => Err(format!("module {digest} is missing from the module store")),
                Err(error) => {
                    seen.store(matches!(error, StoreError::Unavailable(_)), Ordering::Relaxed);
                    Err(error.to_string())
                }
            }
        };
        let prepared = self.sandbox.prepare(digest, kind, fetch).await;
        prepared.map_err(|error| {
            let Deployment { path, hash, .. } = deployment;
            tracing::error!(%path, %hash, %error, "script cannot be made ready");
            if away.load(Ordering::Relaxed) {
                let detail =
                    "The script's module cannot be read at the moment; nothing was started";
                Problem::new(Code::Unavailable, detail).retry_after(5)
            } else {
                Problem::internal()
            }
        })
    }

    /// Keeps a module's bytes, and keeps them from being collected until the version that names them is
    /// written: at once, by the caller.
    ///
    /// # Errors
    /// `Unavailable` when it is being collected and that does not end; else what the stores say.
    pub(crate) async fn keep(&self, module: Digest, bytes: Bytes) -> Result<(), StoreError> {
        let mut time = RESERVED;
        loop {
            let begun = Instant::now();
            self.reserve(&module, time).await?;
            self.blobs.put(module, bytes.clone()).await?;
            if begun.elapsed() < time / 2 {
                return Ok(());
            }
            time = time.saturating_mul(2);
        }
    }

    async fn reserve(&self, module: &Digest, time: Duration) -> Result<(), StoreError> {
        let begun = Instant::now();
        loop {
            match self.store.reserve_module(module, clock::now(), from_now(time)).await {
                Err(StoreError::Conflict(_)) if begun.elapsed() < BUSY => sleep(AGAIN).await,
                Err(StoreError::Conflict(why)) => return Err(StoreError::Unavailable(why)),
                done => return done,
            }
        }
    }

    /// Deletes a module's bytes when no version needs them; to be called after a version that did was
    /// deleted. Those that were deployed a moment ago are reserved, and looked at again a moment later.
    ///
    /// # Errors
    /// What the stores say. The bytes are then left, to be found by who looks for such.
    pub(crate) async fn release(self: &Arc<Self>, module: Digest) -> Result<(), StoreError> {
        if self.collect(module).await? || self.store.module_in_use(&module).await? {
            return Ok(());
        }
        let modules = self.clone();
        tokio::spawn(async move {
            sleep(RESERVED).await;
            if let Err(error) = modules.collect(module).await {
                tracing::warn!(%error, %module, "a module that nothing needs could not be deleted");
            }
        });
        Ok(())
    }

    /// Deletes a module's bytes, unless a version needs them or is about to. True when they are gone.
    ///
    /// # Errors
    /// What the stores say.
    async fn collect(&self, module: Digest) -> Result<bool, StoreError> {
        if !self.store.collect_module(&module, clock::now(), from_now(COLLECTING)).await? {
            return Ok(false);
        }
        self.sandbox.forget(module).await;
        // Whoever puts it again must come after the deletion. One that failed may still be on its way,
        // and keeps the module held until its time is over.
        let deletion = timeout(COLLECTING / 2, self.blobs.delete(module)).await;
        deletion.map_err(|_| {
            StoreError::Unavailable(format!("deleting the module {module} took too long"))
        })??;
        self.store.module_collected(&module).await?;
        tracing::debug!(%module, "module deleted");
        Ok(true)
    }

    /// Deletes what was put and never became a version, because the host was killed in between, or what
    /// could not be deleted with its last version. Returns how many modules that were.
    ///
    /// # Errors
    /// What the stores say.
    pub(crate) async fn sweep(&self) -> Result<u64, StoreError> {
        let mut deleted = 0;
        let age = micros(LEFT_ALONE);
        for module in self.blobs.put_before(clock::now().saturating_sub(age)).await? {
            // Reading first: all but a few are in use, and holding one is a write.
            if !self.store.module_in_use(&module).await? && self.collect(module).await? {
                deleted += 1;
            }
        }
        Ok(deleted)
    }
}
