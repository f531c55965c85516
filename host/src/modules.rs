//! The bytes of modules: kept before a version names them, and collected when none does any more.
//!
//! A module may be deployed by another request, or by another node, at the very moment when its
//! last version is deleted. So it is reserved before it is put, and held by who collects it; the
//! store decides between the two.

use crate::clock;
use crate::host::Host;
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use wasmill_core::Digest;
use wasmill_store::{Micros, StoreError};

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
    clock::now().saturating_add(Micros::try_from(time.as_micros()).unwrap_or(Micros::MAX))
}

/// Keeps a module's bytes, and keeps them from being collected until the version that names them is
/// written: at once, by the caller.
///
/// # Errors
/// `Unavailable` when it is being collected and that does not end; else what the stores say.
pub(crate) async fn keep(host: &Host, module: Digest, bytes: Bytes) -> Result<(), StoreError> {
    let mut time = RESERVED;
    loop {
        let begun = Instant::now();
        reserve(host, &module, time).await?;
        host.blobs.put(module, bytes.clone()).await?;
        if begun.elapsed() < time / 2 {
            return Ok(());
        }
        time = time.saturating_mul(2);
    }
}

async fn reserve(host: &Host, module: &Digest, time: Duration) -> Result<(), StoreError> {
    let begun = Instant::now();
    loop {
        match host.store.reserve_module(module, clock::now(), from_now(time)).await {
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
pub(crate) async fn release(host: &Arc<Host>, module: Digest) -> Result<(), StoreError> {
    if collect(host, module).await? || host.store.module_in_use(&module).await? {
        return Ok(());
    }
    let host = host.clone();
    tokio::spawn(async move {
        sleep(RESERVED).await;
        if let Err(error) = collect(&host, module).await {
            tracing::warn!(%error, %module, "a module that nothing needs could not be deleted");
        }
    });
    Ok(())
}

/// Deletes a module's bytes, unless a version needs them or is about to. True when they are gone.
///
/// # Errors
/// What the stores say.
async fn collect(host: &Host, module: Digest) -> Result<bool, StoreError> {
    if !host.store.collect_module(&module, clock::now(), from_now(COLLECTING)).await? {
        return Ok(false);
    }
    host.sandbox.forget(module).await;
    // Whoever puts it again must come after the deletion. One that failed may still be on its way,
    // and keeps the module held until its time is over.
    let deletion = timeout(COLLECTING / 2, host.blobs.delete(module)).await;
    deletion.map_err(|_| {
        StoreError::Unavailable(format!("deleting the module {module} took too long"))
    })??;
    host.store.module_collected(&module).await?;
    tracing::debug!(%module, "module deleted");
    Ok(true)
}

/// Deletes what was put and never became a version, because the host was killed in between, or what
/// could not be deleted with its last version. Returns how many modules that were.
///
/// # Errors
/// What the stores say.
pub(crate) async fn sweep(host: &Host) -> Result<u64, StoreError> {
    let mut deleted = 0;
    let age = Micros::try_from(LEFT_ALONE.as_micros()).unwrap_or(Micros::MAX);
    for module in host.blobs.put_before(clock::now().saturating_sub(age)).await? {
        // Reading first: all but a few are in use, and holding one is a write.
        if !host.store.module_in_use(&module).await? && collect(host, module).await? {
            deleted += 1;
        }
    }
    Ok(deleted)
}
