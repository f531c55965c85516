//! Module bytes, content-addressed: a blob's name is the SHA-256 of what it holds, so a blob is never changed.
//!
//! Every read checks the digest, because what is read here is compiled and run. On disk each write is synced together
//! with its directory before it counts, for the version that names the module is durable too.

use crate::{Result, StoreError};
use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use std::path::Path;
use std::sync::Arc;
use wasmill_core::Digest;

/// Where module bytes are kept.
#[derive(Debug, Clone)]
pub struct Blobs {
    objects: Arc<dyn ObjectStore>,
}

impl Blobs {
    /// Blobs as files below a directory, which is made when it is missing.
    ///
    /// # Errors
    /// `Unavailable` when the directory cannot be made or read.
    pub fn local(dir: &Path) -> Result<Self> {
        let failed = |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("the directory {}: {error}", dir.display()));
        std::fs::create_dir_all(dir).map_err(|error| failed(&error))?;
        let files = LocalFileSystem::new_with_prefix(dir).map_err(|error| failed(&error))?;
        Ok(Self { objects: Arc::new(files.with_fsync(true)) })
    }

    /// Keeps these bytes under their digest; durable on return. Putting the same bytes again changes nothing, except
    /// that a damaged blob is replaced: deploying again is how its owner mends it.
    ///
    /// # Errors
    /// `Corrupt` when the bytes have another digest.
    pub async fn put(&self, digest: Digest, bytes: Bytes) -> Result<()> {
        let actual = digest_of(bytes.clone()).await?;
        if actual != digest {
            return Err(StoreError::Corrupt(format!("the bytes given as module {digest} have the digest {actual}")));
        }
        let key = key(&digest);
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.objects.put_opts(&key, bytes.clone().into(), create).await {
            Ok(_) => Ok(()),
            Err(Error::AlreadyExists { .. }) => match self.get(digest).await {
                Ok(Some(_)) => Ok(()),
                Ok(None) | Err(StoreError::Corrupt(_)) => self.objects.put(&key, bytes.into()).await.map(drop).map_err(unavailable),
                Err(error) => Err(error),
            },
            Err(error) => Err(unavailable(error)),
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

/// `sha256/<first 2 hex digits>/<64 hex digits>`: 256 directories, so that none grows large.
fn key(digest: &Digest) -> Key {
    let hex = digest.to_hex();
    let shelf: String = hex.chars().take(2).collect();
    Key::from_iter(["sha256", shelf.as_str(), hex.as_str()])
}

/// Hashing 64 MiB takes a tenth of a second, too long for a thread that serves requests.
async fn digest_of(bytes: Bytes) -> Result<Digest> {
    tokio::task::spawn_blocking(move || Digest::of(&bytes))
        .await
        .map_err(|error| StoreError::Unavailable(format!("hashing a module: {error}")))
}

fn unavailable(error: Error) -> StoreError {
    let full = |error: &(dyn std::error::Error + 'static)| {
        std::iter::successors(Some(error), |error| error.source())
            .filter_map(|error| error.downcast_ref::<std::io::Error>())
            .any(|error| error.kind() == std::io::ErrorKind::StorageFull)
    };
    if full(&error) { StoreError::Full(error.to_string()) } else { StoreError::Unavailable(error.to_string()) }
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
