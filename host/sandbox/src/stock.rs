//! Compiled scripts outside of this process: on the host's own disk, and on the shelf that hosts
//! share.
//!
//! Both hold the same sealed bytes, and neither is trusted. What is missing, damaged or foreign is
//! counted and compiled again; a shelf that is slow or away is passed over.

use crate::artefact::{Seal, Trusted};
use crate::cache::Cache;
use crate::shelf::ArtefactShelf;
use bytes::Bytes;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use wasmill_core::{Digest, HostLimits};
use wasmtime::Engine;

/// Longest wait for the shelf: as long as compiling a large script takes.
const SHELF_WAIT: Duration = Duration::from_secs(10);
/// Bytes of the largest compiled script on a shelf: whoever may write there must not fill this
/// host's memory. The largest seen, of Python, has 37 MB.
const SHELF_LARGEST: u64 = 512 << 20;
/// Uploads to the shelf at the same time, for each holds a compiled script in memory.
const UPLOADS: usize = 2;

/// Where compiled code came from and went, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ArtefactCounts {
    /// Read from the disk.
    pub on_disk: u64,
    /// Taken from the shelf.
    pub on_shelf: u64,
    /// Made by the compiler.
    pub compiled: u64,
    /// Found on the disk or on the shelf, but not authentic.
    pub rejected: u64,
    /// Put on the shelf.
    pub shelved: u64,
    /// Reads and writes that the shelf failed at.
    pub shelf_failures: u64,
}

#[derive(Default)]
struct Counters {
    on_disk: AtomicU64,
    on_shelf: AtomicU64,
    compiled: AtomicU64,
    rejected: AtomicU64,
    shelved: AtomicU64,
    shelf_failures: AtomicU64,
}

/// Both places. Clones share them.
#[derive(Clone)]
pub(crate) struct Stock {
    shared: Arc<Shared>,
}

struct Shared {
    seal: Seal,
    cache: Cache,
    shelf: Option<Arc<dyn ArtefactShelf>>,
    uploads: Semaphore,
    counters: Counters,
}

impl Stock {
    /// Opens the directory.
    ///
    /// # Errors
    /// As [`Cache::open`].
    pub(crate) fn open(
        directory: &Path,
        key: [u8; 32],
        engine: &Engine,
        limits: &HostLimits,
        shelf: Option<Arc<dyn ArtefactShelf>>,
    ) -> io::Result<Self> {
        // No larger file can come out of the compile child.
        let cache =
            Cache::open(directory, limits.artefact_bytes, limits.compile.address_space_bytes)?;
        let (seal, uploads) = (Seal::new(key, engine), Semaphore::new(UPLOADS));
        Ok(Self {
            shared: Arc::new(Shared { seal, cache, shelf, uploads, counters: Counters::default() }),
        })
    }

    /// The compiled script on the disk, if one is there, whole and ours.
    pub(crate) async fn on_disk(&self, digest: Digest) -> Option<Trusted> {
        let found = self.blocking(move |shared| {
            let name = shared.seal.identity(&digest);
            let opened = shared.cache.open_file(&name).and_then(|file| {
                let again = file.try_clone()?;
                Ok((shared.seal.open_file(&digest, file)?, again))
            });
            match opened {
                Ok(opened) => {
                    shared.counters.on_disk.fetch_add(1, Ordering::Relaxed);
                    Some(opened)
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => {
                    shared.counters.rejected.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(%digest, %error, "a compiled script on disk is not usable; it is made again");
                    None
                }
            }
        });
        let (trusted, file) = found.await??;
        // Beside the call that waits for the script.
        drop(spawn_blocking(move || Cache::mark(&file)));
        Some(trusted)
    }

    /// The compiled script on the shelf, if there is one that is whole and ours, and the bytes that
    /// it came as.
    pub(crate) async fn on_shelf(&self, digest: Digest) -> Option<(Trusted, Bytes)> {
        let shelf = self.shared.shelf.as_ref()?;
        let reading = shelf.get(self.shared.seal.made_for(), digest, SHELF_LARGEST);
        let found = tokio::time::timeout(SHELF_WAIT, reading).await;
        let bytes = match found
            .unwrap_or_else(|_| Err(format!("no answer within {} s", SHELF_WAIT.as_secs())))
        {
            Ok(found) => found?,
            Err(error) => {
                self.shared.counters.shelf_failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%digest, error, "the shared compiled scripts cannot be read; this one is compiled here");
                return None;
            }
        };
        let sealed = bytes.clone();
        let opened = self.blocking(move |shared| shared.seal.open(&digest, &sealed)).await?;
        match opened {
            Ok(trusted) => {
                self.shared.counters.on_shelf.fetch_add(1, Ordering::Relaxed);
                Some((trusted, bytes))
            }
            Err(error) => {
                self.shared.counters.rejected.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%digest, %error, "a shared compiled script is not usable: it is damaged, or of a host with another key; this one is compiled here");
                None
            }
        }
    }

    /// Seals what the compiler has made, and writes it to the disk. Returns it in the place from
    /// where to load it, and as the bytes to put on the shelf.
    pub(crate) async fn keep(
        &self,
        digest: Digest,
        trusted: Trusted,
        in_use: impl Fn(&Digest) -> bool + Send + 'static,
    ) -> Option<(Trusted, Option<Bytes>)> {
        self.shared.counters.compiled.fetch_add(1, Ordering::Relaxed);
        self.blocking(move |shared| match shared.seal.close(&digest, &trusted) {
            Ok(sealed) => (shared.write(digest, trusted, &sealed, in_use), Some(sealed)),
            Err(error) => {
                tracing::warn!(%digest, %error, "a compiled script cannot be kept");
                (trusted, None)
            }
        })
        .await
    }

    /// Writes what came from the shelf to the disk, and returns it in the place from where to load
    /// it.
    pub(crate) async fn write(
        &self,
        digest: Digest,
        trusted: Trusted,
        sealed: Bytes,
        in_use: impl Fn(&Digest) -> bool + Send + 'static,
    ) -> Option<Trusted> {
        self.blocking(move |shared| shared.write(digest, trusted, &sealed, in_use)).await
    }

    /// Puts it on the shelf, if there is one, while the caller goes on.
    pub(crate) fn put_on_shelf(&self, digest: Digest, sealed: Bytes) {
        let Some(shelf) =
            self.shared.shelf.clone().filter(|_| sealed.len() as u64 <= SHELF_LARGEST)
        else {
            return;
        };
        let shared = self.shared.clone();
        tokio::spawn(async move {
            let Ok(_place) = shared.uploads.acquire().await else { return };
            match shelf.put(shared.seal.made_for(), digest, sealed).await {
                Ok(()) => shared.counters.shelved.fetch_add(1, Ordering::Relaxed),
                Err(error) => {
                    tracing::warn!(%digest, error, "a compiled script could not be shared; other hosts compile it themselves");
                    shared.counters.shelf_failures.fetch_add(1, Ordering::Relaxed)
                }
            };
        });
    }

    /// Notes that the script was in use until now.
    pub(crate) fn used(&self, digest: &Digest) {
        self.shared.cache.used(&self.shared.seal.identity(digest));
    }

    /// Removes code from the disk that turned out to be of no use.
    pub(crate) async fn discard(&self, digest: Digest) {
        self.blocking(move |shared| {
            if let Err(error) = shared.cache.remove(&shared.seal.identity(&digest)) {
                tracing::warn!(%digest, %error, "a compiled script could not be removed");
            }
        })
        .await;
    }

    /// Removes a deleted version's code from both places.
    pub(crate) async fn remove(&self, digest: Digest) {
        self.discard(digest).await;
        if let Some(shelf) = &self.shared.shelf
            && let Err(error) = shelf.remove(digest).await
        {
            self.shared.counters.shelf_failures.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%digest, error, "a shared compiled script could not be removed");
        }
    }

    pub(crate) fn counts(&self) -> ArtefactCounts {
        let counters = &self.shared.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ArtefactCounts {
            on_disk: read(&counters.on_disk),
            on_shelf: read(&counters.on_shelf),
            compiled: read(&counters.compiled),
            rejected: read(&counters.rejected),
            shelved: read(&counters.shelved),
            shelf_failures: read(&counters.shelf_failures),
        }
    }

    /// Does what blocks on the disk or reads megabytes off the executor threads; it is done also if
    /// the caller goes away.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> T + Send + 'static,
    ) -> Option<T> {
        let shared = self.shared.clone();
        spawn_blocking(move || work(&shared))
            .await
            .inspect_err(|error| tracing::error!(%error, "keeping compiled scripts"))
            .ok()
    }
}

impl Shared {
    /// Writes a sealed script to the disk, where it may take the place of others that are not in
    /// use, and returns it as it is there. A failure costs a later recompilation and nothing else,
    /// so it is only logged.
    fn write(
        &self,
        digest: Digest,
        trusted: Trusted,
        sealed: &Bytes,
        in_use: impl Fn(&Digest) -> bool,
    ) -> Trusted {
        // The first part of a name is the digest. What was made for another engine cannot be in
        // use.
        let needed = |name: &str| {
            let digest = name.get(..64).and_then(|hex| hex.parse().ok());
            digest.is_some_and(|digest| name == self.seal.identity(&digest) && in_use(&digest))
        };
        match self.cache.write(&self.seal.identity(&digest), sealed, needed) {
            Ok(Some(file)) => trusted.written_to(file),
            Ok(None) => trusted,
            Err(error) => {
                tracing::warn!(%digest, %error, "a compiled script could not be written to disk");
                trusted
            }
        }
    }
}
