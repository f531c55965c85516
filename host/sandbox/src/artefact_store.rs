//! The store of compiled scripts: a directory on the disk of the host, and [`SharedArtefacts`],
//! which several hosts use.
//!
//! Both hold the same sealed bytes, and neither is trusted. An entry that is missing, damaged or of
//! a foreign key is counted, and the script is compiled again. When the shared artefacts do not
//! answer in time, the host goes on without them.

use crate::artefact::{Seal, TrustedCode};
use crate::disk_cache::DiskCache;
use crate::shared_artefacts::SharedArtefacts;
use bytes::Bytes;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use wasmill_core::limits::{SHARED_ARTEFACT_BYTES, SHARED_ARTEFACT_WAIT};
use wasmill_core::{Digest, HostLimits};
use wasmtime::Engine;

/// Artefacts that are published at the same time. Each is held in memory until it is written.
const UPLOADS: usize = 2;

/// Counts of compiled scripts since the sandbox was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ArtefactCounts {
    /// Scripts read from the disk.
    pub from_disk: u64,
    /// Scripts read from the shared artefacts.
    pub from_shared: u64,
    /// Scripts compiled by this host.
    pub compiled: u64,
    /// Entries on the disk or among the shared artefacts that were not authentic.
    pub rejected: u64,
    /// Scripts written to the shared artefacts.
    pub published: u64,
    /// Reads and writes of the shared artefacts that failed.
    pub shared_failures: u64,
}

#[derive(Default)]
struct Counters {
    from_disk: AtomicU64,
    from_shared: AtomicU64,
    compiled: AtomicU64,
    rejected: AtomicU64,
    published: AtomicU64,
    shared_failures: AtomicU64,
}

/// The directory and the shared artefacts. Clones use the same ones.
#[derive(Clone)]
pub(crate) struct ArtefactStore {
    inner: Arc<Inner>,
}

struct Inner {
    seal: Seal,
    cache: DiskCache,
    shared: Option<Arc<dyn SharedArtefacts>>,
    uploads: Semaphore,
    counters: Counters,
}

impl ArtefactStore {
    /// Opens the directory.
    ///
    /// # Errors
    /// As [`DiskCache::open`].
    pub(crate) fn open(
        directory: &Path,
        key: [u8; 32],
        engine: &Engine,
        limits: &HostLimits,
        shared: Option<Arc<dyn SharedArtefacts>>,
    ) -> io::Result<Self> {
        // The compile child cannot produce a larger file than its address space.
        let cache =
            DiskCache::open(directory, limits.artefact_bytes, limits.compile.address_space_bytes)?;
        let (seal, uploads) = (Seal::new(key, engine), Semaphore::new(UPLOADS));
        Ok(Self {
            inner: Arc::new(Inner { seal, cache, shared, uploads, counters: Counters::default() }),
        })
    }

    /// The compiled script on the disk, when there is one and it is authentic.
    pub(crate) async fn read_from_disk(&self, digest: Digest) -> Option<TrustedCode> {
        let found = self.blocking(move |inner| {
            let name = inner.seal.name(&digest);
            let opened = inner.cache.open_file(&name).and_then(|file| {
                let again = file.try_clone()?;
                Ok((inner.seal.open_file(&digest, file)?, again))
            });
            match opened {
                Ok(opened) => {
                    inner.counters.from_disk.fetch_add(1, Ordering::Relaxed);
                    Some(opened)
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => {
                    inner.counters.rejected.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(%digest, %error, "a compiled script on disk is not usable; it is made again");
                    None
                }
            }
        });
        let (trusted, file) = found.await??;
        // In the background: the caller waits for the script.
        drop(spawn_blocking(move || DiskCache::touch(&file)));
        Some(trusted)
    }

    /// The compiled script among the shared artefacts, when there is one and it is authentic, and its
    /// sealed bytes.
    pub(crate) async fn read_from_shared(&self, digest: Digest) -> Option<(TrustedCode, Bytes)> {
        let shared = self.inner.shared.as_ref()?;
        let reading = shared.get(self.inner.seal.engine_id(), digest, SHARED_ARTEFACT_BYTES);
        let found = tokio::time::timeout(SHARED_ARTEFACT_WAIT, reading).await;
        let bytes = match found.unwrap_or_else(|_| {
            Err(format!("no answer within {} s", SHARED_ARTEFACT_WAIT.as_secs()))
        }) {
            Ok(found) => found?,
            Err(error) => {
                self.inner.counters.shared_failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%digest, error, "the shared compiled scripts cannot be read; this one is compiled here");
                return None;
            }
        };
        let sealed = bytes.clone();
        let opened = self.blocking(move |inner| inner.seal.open(&digest, &sealed)).await?;
        match opened {
            Ok(trusted) => {
                self.inner.counters.from_shared.fetch_add(1, Ordering::Relaxed);
                Some((trusted, bytes))
            }
            Err(error) => {
                self.inner.counters.rejected.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%digest, %error, "a shared compiled script is not usable: it is damaged, or of a host with another key; this one is compiled here");
                None
            }
        }
    }

    /// Seals code that the compiler has made, and writes it to the disk. Returns the code at the
    /// location to load it from, and the sealed bytes for [`ArtefactStore::publish`]. `None` when
    /// the work was ended by a panic.
    pub(crate) async fn keep(
        &self,
        digest: Digest,
        trusted: TrustedCode,
        in_use: impl Fn(&Digest) -> bool + Send + 'static,
    ) -> Option<(TrustedCode, Option<Bytes>)> {
        self.inner.counters.compiled.fetch_add(1, Ordering::Relaxed);
        self.blocking(move |inner| match inner.seal.seal(&digest, &trusted) {
            Ok(sealed) => (inner.write(digest, trusted, &sealed, in_use), Some(sealed)),
            Err(error) => {
                tracing::warn!(%digest, %error, "a compiled script cannot be kept");
                (trusted, None)
            }
        })
        .await
    }

    /// Writes an artefact that was read from the shared artefacts to the disk. Returns the code at
    /// the location to load it from. `None` when the work was ended by a panic.
    pub(crate) async fn write(
        &self,
        digest: Digest,
        trusted: TrustedCode,
        sealed: Bytes,
        in_use: impl Fn(&Digest) -> bool + Send + 'static,
    ) -> Option<TrustedCode> {
        self.blocking(move |inner| inner.write(digest, trusted, &sealed, in_use)).await
    }

    /// Writes an artefact to the shared artefacts, if there are any. Returns at once; the writing
    /// goes on in a task.
    pub(crate) fn publish(&self, digest: Digest, sealed: Bytes) {
        let Some(shared) =
            self.inner.shared.clone().filter(|_| sealed.len() as u64 <= SHARED_ARTEFACT_BYTES)
        else {
            return;
        };
        let inner = self.inner.clone();
        tokio::spawn(async move {
            let Ok(_permit) = inner.uploads.acquire().await else { return };
            match shared.put(inner.seal.engine_id(), digest, sealed).await {
                Ok(()) => inner.counters.published.fetch_add(1, Ordering::Relaxed),
                Err(error) => {
                    tracing::warn!(%digest, error, "a compiled script could not be shared; other hosts compile it themselves");
                    inner.counters.shared_failures.fetch_add(1, Ordering::Relaxed)
                }
            };
        });
    }

    /// Records that the script was in use until now.
    pub(crate) fn mark_used(&self, digest: &Digest) {
        self.inner.cache.mark_used(&self.inner.seal.name(digest));
    }

    /// Removes a compiled script that cannot be used from the disk.
    pub(crate) async fn discard(&self, digest: Digest) {
        self.blocking(move |inner| {
            if let Err(error) = inner.cache.remove(&inner.seal.name(&digest)) {
                tracing::warn!(%digest, %error, "a compiled script could not be removed");
            }
        })
        .await;
    }

    /// Removes the compiled script of a deleted version from the disk and the shared artefacts.
    pub(crate) async fn remove(&self, digest: Digest) {
        self.discard(digest).await;
        if let Some(shared) = &self.inner.shared
            && let Err(error) = shared.remove(digest).await
        {
            self.inner.counters.shared_failures.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%digest, error, "a shared compiled script could not be removed");
        }
    }

    pub(crate) fn counts(&self) -> ArtefactCounts {
        let counters = &self.inner.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ArtefactCounts {
            from_disk: read(&counters.from_disk),
            from_shared: read(&counters.from_shared),
            compiled: read(&counters.compiled),
            rejected: read(&counters.rejected),
            published: read(&counters.published),
            shared_failures: read(&counters.shared_failures),
        }
    }

    /// Runs `work`, which waits for the disk or reads megabytes, on a thread for blocking work.
    /// `work` is finished also when the returned future is dropped. `None` when `work` panicked.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> T + Send + 'static,
    ) -> Option<T> {
        let inner = self.inner.clone();
        spawn_blocking(move || work(&inner))
            .await
            .inspect_err(|error| tracing::error!(%error, "keeping compiled scripts"))
            .ok()
    }
}

impl Inner {
    /// Writes a sealed script to the disk and returns the code at its new location. Other scripts
    /// that are not in use may be removed for it. An error is only logged: the script is compiled
    /// again later.
    fn write(
        &self,
        digest: Digest,
        trusted: TrustedCode,
        sealed: &Bytes,
        in_use: impl Fn(&Digest) -> bool,
    ) -> TrustedCode {
        // A file name begins with the digest. A file of another engine cannot be in use.
        let needed = |name: &str| {
            let digest = name.get(..64).and_then(|hex| hex.parse().ok());
            digest.is_some_and(|digest| name == self.seal.name(&digest) && in_use(&digest))
        };
        match self.cache.write(&self.seal.name(&digest), sealed, needed) {
            Ok(Some(file)) => trusted.written_to(file),
            Ok(None) => trusted,
            Err(error) => {
                tracing::warn!(%digest, %error, "a compiled script could not be written to disk");
                trusted
            }
        }
    }
}
