//! Module bytes, content-addressed: a blob's name is the SHA-256 of what it holds, so a blob is never changed.
//!
//! Every read checks the digest, because what is read here is compiled and run. On disk each write is synced together
//! with the directories that its name is in before it counts, for the version that names the module is durable too.

use crate::{Result, StoreError};
use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{Error, ObjectStore, ObjectStoreExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasmill_core::Digest;

/// Where module bytes are kept.
#[derive(Debug, Clone)]
pub struct Blobs {
    objects: Arc<dyn ObjectStore>,
    /// Where the shelves are, when they are directories.
    shelves: Option<PathBuf>,
}

impl Blobs {
    /// Blobs as files below a directory, which is made when it is missing.
    ///
    /// # Errors
    /// `Unavailable` when the directory cannot be made or read.
    pub fn local(dir: &Path) -> Result<Self> {
        let failed = |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("the directory {}: {error}", dir.display()));
        let shelves = dir.join(SHELVES);
        std::fs::create_dir_all(&shelves).map_err(|error| failed(&error))?;
        // Also those that a process made which was killed before it came to this.
        for folder in [Some(dir), dir.parent().filter(|above| !above.as_os_str().is_empty())].into_iter().flatten() {
            sync(folder).map_err(|error| failed(&error))?;
        }
        let files = LocalFileSystem::new_with_prefix(dir).map_err(|error| failed(&error))?;
        Ok(Self { objects: Arc::new(files.with_fsync(true)), shelves: Some(shelves) })
    }

    /// Keeps these bytes under their digest; durable on return. They are written also when they are there already: they
    /// may be damaged, and deploying again is how their owner mends them; or a process may have put them there that was
    /// killed before they were durable.
    ///
    /// # Errors
    /// `Corrupt` when the bytes have another digest.
    pub async fn put(&self, digest: Digest, bytes: Bytes) -> Result<()> {
        let actual = digest_of(bytes.clone()).await?;
        if actual != digest {
            return Err(StoreError::Corrupt(format!("the bytes given as module {digest} have the digest {actual}")));
        }
        self.objects.put(&key(&digest), bytes.into()).await.map_err(unavailable)?;
        // A shelf that was there already may have been made a moment ago, and its name not be synced.
        match self.shelves.clone() {
            Some(shelves) => blocking("syncing a directory of modules", move || sync(&shelves))
                .await?
                .map_err(|error| StoreError::Unavailable(format!("syncing a directory of modules: {error}"))),
            None => Ok(()),
        }
    }

    /// The bytes of this digest; `None` when they are not kept here.
    ///
    /// # Errors
    /// `Corrupt` when the stored bytes have another digest.
    pub async fn get(&self, digest: Digest) -> Result<Option<Bytes>> {
        let found = match self.objects.get(&key(&digest)).await {
            Ok(found) => found,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(unavailable(error)),
        };
        let bytes = found.bytes().await.map_err(unavailable)?;
        let actual = digest_of(bytes.clone()).await?;
        if actual != digest {
            return Err(StoreError::Corrupt(format!(
                "module {digest} has {} bytes on disk whose digest is {actual}; deploy it again to replace it",
                bytes.len()
            )));
        }
        Ok(Some(bytes))
    }

    /// True when a blob of this digest is kept, without looking at its bytes.
    ///
    /// # Errors
    /// `Unavailable` when that cannot be found out.
    pub async fn exists(&self, digest: Digest) -> Result<bool> {
        match self.objects.head(&key(&digest)).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Deletes a blob; one that is not there is deleted already.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be deleted.
    pub async fn delete(&self, digest: Digest) -> Result<()> {
        match self.objects.delete(&key(&digest)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }
}

/// What all keys begin with.
const SHELVES: &str = "sha256";

/// `sha256/<first 2 hex digits>/<64 hex digits>`: 256 directories, so that none grows large.
fn key(digest: &Digest) -> Key {
    let hex = digest.to_hex();
    let shelf: String = hex.chars().take(2).collect();
    Key::from_iter([SHELVES, shelf.as_str(), hex.as_str()])
}

/// Hashing 64 MiB takes a tenth of a second, too long for a thread that serves requests.
async fn digest_of(bytes: Bytes) -> Result<Digest> {
    blocking("hashing a module", move || Digest::of(&bytes)).await
}

async fn blocking<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Unavailable(format!("{what}: {error}")))
}

/// Makes the names in a directory durable.
fn sync(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { std::fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

fn unavailable(error: Error) -> StoreError {
    let full = |error: &(dyn std::error::Error + 'static)| {
        std::iter::successors(Some(error), |error| error.source())
            .filter_map(|error| error.downcast_ref::<std::io::Error>())
            .any(|error| error.kind() == std::io::ErrorKind::StorageFull)
    };
    if !full(&error) {
        return StoreError::Unavailable(error.to_string());
    }
    tracing::warn!(%error, "there is no room for a module");
    StoreError::Full(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn put_get_and_damage() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::local(&dir.path().join("modules")).unwrap();
        let bytes = Bytes::from_static(b"\0asm and more");
        let digest = Digest::of(&bytes);
        assert!(blobs.get(digest).await.unwrap().is_none());
        assert!(!blobs.exists(digest).await.unwrap());

        blobs.put(digest, bytes.clone()).await.unwrap();
        blobs.put(digest, bytes.clone()).await.unwrap();
        assert!(blobs.exists(digest).await.unwrap());
        assert_eq!(blobs.get(digest).await.unwrap().unwrap(), bytes);
        blobs.delete(digest).await.unwrap();
        blobs.delete(digest).await.unwrap();
        assert!(blobs.get(digest).await.unwrap().is_none());
        blobs.put(digest, bytes.clone()).await.unwrap();

        let hex = digest.to_hex();
        let file = dir.path().join("modules/sha256").join(&hex[..2]).join(&hex);
        std::fs::write(&file, b"\0asm and less").unwrap();
        let error = blobs.get(digest).await.unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt(text) if text.contains(&hex)), "{error}");
        blobs.put(digest, bytes.clone()).await.unwrap();
        assert_eq!(blobs.get(digest).await.unwrap().unwrap(), bytes);
    }

    #[tokio::test]
    async fn bytes_must_have_their_digest() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::local(dir.path()).unwrap();
        let error = blobs.put(Digest::of(b"a"), Bytes::from_static(b"b")).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt(_)));
        assert!(!blobs.exists(Digest::of(b"a")).await.unwrap());
    }
}
