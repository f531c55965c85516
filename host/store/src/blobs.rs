//! Module bytes, content-addressed: a blob's name is the SHA-256 of what it holds, so a blob is
//! never changed.
//!
//! They are files below a directory, or objects of a bucket that many hosts share. Every read
//! checks the digest, because what is read here is compiled and run. A write is durable before it
//! counts, for the version that names the module is durable too: on disk it is synced together with
//! the directories that its name is in, and a bucket's service does the like.
//!
//! Reads are rare, since hosts keep what they compile, and so a bucket's blobs are not kept a
//! second time on disk.

mod artefacts;
mod location;
mod s3;
#[cfg(test)]
mod tests;

use crate::{Micros, Result, StoreError};
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _};
use location::Location;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use std::path::Path;
use std::sync::Arc;
use wasmill_core::Digest;

/// Bytes of the largest blob, so that whoever can write to a bucket cannot fill a host's memory.
const LARGEST: u64 = 1 << 30;

/// Where module bytes are kept.
#[derive(Debug, Clone)]
pub struct Blobs {
    objects: Arc<dyn ObjectStore>,
    location: Arc<Location>,
}

/// A blob as a list has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub digest: Digest,
    /// Its size.
    pub bytes: u64,
    /// When it was put last.
    pub put: Micros,
}

impl Blobs {
    /// Blobs at a location as operators write it: a directory, which is made when it is missing, as
    /// a path or as `file:///...`; or `s3://bucket/prefix?region=...&endpoint=...&path_style=true`,
    /// with credentials from the variables `AWS_...`. Unencrypted HTTP is spoken to an endpoint
    /// that begins with `http://` only. Nothing is asked of a bucket yet.
    ///
    /// # Errors
    /// `Unavailable` with a sentence when the location is not understood or cannot be used.
    pub fn open(location: &str) -> Result<Self> {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self::open_with(location, std::env::vars_os().filter_map(text))
    }

    fn open_with(
        location: &str,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self> {
        match Location::parse(location)? {
            Location::Directory(dir) => Self::local(&dir),
            Location::Bucket(bucket) => {
                let objects = s3::open(&bucket, environment)?;
                Ok(Self { objects, location: Arc::new(Location::Bucket(bucket)) })
            }
        }
    }

    /// Blobs as files below a directory, which is made when it is missing.
    ///
    /// # Errors
    /// `Unavailable` when the directory cannot be made or read.
    pub fn local(dir: &Path) -> Result<Self> {
        let failed = |error: &dyn std::fmt::Display| {
            StoreError::Unavailable(format!("the directory {}: {error}", dir.display()))
        };
        std::fs::create_dir_all(dir.join(SHELF)).map_err(|error| failed(&error))?;
        // Also those that a process made which was killed before it came to this.
        for folder in [Some(dir), dir.parent().filter(|above| !above.as_os_str().is_empty())]
            .into_iter()
            .flatten()
        {
            sync(folder).map_err(|error| failed(&error))?;
        }
        let files = LocalFileSystem::new_with_prefix(dir).map_err(|error| failed(&error))?;
        Ok(Self {
            objects: Arc::new(files.with_fsync(true)),
            location: Arc::new(Location::Directory(dir.to_owned())),
        })
    }

    /// Finds out whether blobs can be listed and written there, by doing both.
    ///
    /// # Errors
    /// `Unavailable` with a sentence that says what to do: no such bucket, no or wrong credentials,
    /// nobody at that address.
    pub async fn check(&self) -> Result<()> {
        if let Some(Err(error)) = self.objects.list(Some(&Key::from(SHELF))).next().await {
            return Err(self.failed(error));
        }
        if matches!(*self.location, Location::Bucket(_)) {
            let note = Bytes::from_static(
                b"A wasmill host writes this at its start, to find out whether it may.\n",
            );
            self.objects
                .put(&Key::from("wasmill-check"), note.into())
                .await
                .map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    /// Keeps these bytes under their digest; durable on return. Putting the same bytes again, later
    /// or at the same time from other hosts, changes nothing, except that a damaged blob is
    /// replaced: deploying again is how its owner mends it.
    ///
    /// # Errors
    /// `Corrupt` when the bytes have another digest.
    pub async fn put(&self, digest: Digest, bytes: Bytes) -> Result<()> {
        let actual = digest_of(bytes.clone()).await?;
        if actual != digest {
            return Err(StoreError::Corrupt(format!(
                "the bytes given as module {digest} have the digest {actual}"
            )));
        }
        let key = key(&digest);
        if let Location::Directory(dir) = &*self.location {
            // Also when it is there already: a process may have put it there that was killed before
            // it was durable.
            self.write(&key, bytes, PutMode::Overwrite)
                .await
                .map_err(|error| self.failed(error))?;
            // A shelf that was there already may have been made a moment ago, and its name not be
            // synced.
            let shelves = dir.join(SHELF);
            let synced = blocking("syncing a directory of modules", move || sync(&shelves)).await?;
            return synced.map_err(|error| {
                StoreError::Unavailable(format!("syncing a directory of modules: {error}"))
            });
        }
        match self.get(digest).await {
            Ok(Some(_)) => return Ok(()),
            Err(StoreError::Corrupt(_)) => {}
            Err(error) => return Err(error),
            Ok(None) => match self.write(&key, bytes.clone(), PutMode::Create).await {
                Ok(()) => return Ok(()),
                Err(error @ (Error::PermissionDenied { .. } | Error::Unauthenticated { .. })) => {
                    return Err(self.failed(error));
                }
                // Another host was faster, as some services say by breaking the connection off. Or
                // it failed, and is tried once more in the way that every service knows and that
                // may be repeated.
                Err(_) if matches!(self.get(digest).await, Ok(Some(_))) => return Ok(()),
                Err(_) => {}
            },
        }
        self.write(&key, bytes, PutMode::Overwrite).await.map_err(|error| self.failed(error))
    }

    /// The bytes of this digest; `None` when they are not kept here.
    ///
    /// # Errors
    /// `Corrupt` when the stored bytes have another digest.
    pub async fn get(&self, digest: Digest) -> Result<Option<Bytes>> {
        let key = key(&digest);
        let found = match self.objects.get(&key).await {
            Ok(found) => found,
            Err(error) => return self.unless_missing(error).map(|()| None),
        };
        let size = found.meta.size;
        if size > LARGEST {
            return Err(StoreError::Corrupt(format!(
                "{key} in {} has {size} bytes; no module is that large",
                self.location
            )));
        }
        let bytes = found.bytes().await.map_err(|error| self.failed(error))?;
        let actual = digest_of(bytes.clone()).await?;
        if actual != digest {
            return Err(StoreError::Corrupt(format!(
                "module {digest} has {} bytes in {} whose digest is {actual}; deploy it again to replace it",
                bytes.len(),
                self.location
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
            Err(error) => self.unless_missing(error).map(|()| false),
        }
    }

    /// Deletes a blob; one that is not there is deleted already.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be deleted.
    pub async fn delete(&self, digest: Digest) -> Result<()> {
        self.remove(&key(&digest)).await
    }

    /// All blobs, in no order, page by page as they are asked for. Objects that are no blobs are
    /// passed over.
    pub fn list(&self) -> BoxStream<'static, Result<Listed>> {
        let blobs = self.clone();
        let listed = move |meta: std::result::Result<ObjectMeta, Error>| match meta {
            Ok(meta) => meta.location.filename().and_then(|name| name.parse::<Digest>().ok()).map(
                |digest| {
                    let put = meta.last_modified.timestamp_micros();
                    Ok(Listed { digest, bytes: meta.size, put })
                },
            ),
            Err(error) => Some(Err(blobs.failed(error))),
        };
        self.objects
            .list(Some(&Key::from(SHELF)))
            .filter_map(move |meta| std::future::ready(listed(meta)))
            .boxed()
    }

    /// The names of all blobs that were put before a moment.
    ///
    /// # Errors
    /// `Unavailable` when they cannot be listed.
    pub async fn put_before(&self, at: Micros) -> Result<Vec<Digest>> {
        let (mut all, mut found) = (self.list(), Vec::new());
        while let Some(listed) = all.next().await {
            let Listed { digest, put, .. } = listed?;
            if put < at {
                found.push(digest);
            }
        }
        Ok(found)
    }

    async fn write(
        &self,
        key: &Key,
        bytes: Bytes,
        mode: PutMode,
    ) -> std::result::Result<(), Error> {
        let (objects, key) = (self.objects.clone(), key.clone());
        let put = async move {
            let options = PutOptions { mode, ..PutOptions::default() };
            objects.put_opts(&key, bytes.into(), options).await.map(drop)
        };
        match *self.location {
            Location::Directory(_) => put.await,
            // Signing a request hashes its body.
            Location::Bucket(_) => {
                let runtime = tokio::runtime::Handle::current();
                tokio::task::spawn_blocking(move || runtime.block_on(put)).await?
            }
        }
    }

    async fn remove(&self, key: &Key) -> Result<()> {
        match self.objects.delete(key).await {
            Ok(()) => Ok(()),
            Err(error) => self.unless_missing(error),
        }
    }

    /// Nothing, when the error is that there is no such object.
    fn unless_missing(&self, error: Error) -> Result<()> {
        match error {
            Error::NotFound { .. } if !s3::is_bucket_missing(&error) => Ok(()),
            error => Err(self.failed(error)),
        }
    }

    fn failed(&self, error: Error) -> StoreError {
        match &*self.location {
            Location::Bucket(bucket) => s3::explain(bucket, &error),
            Location::Directory(_) if is_full(&error) => StoreError::Full(error.to_string()),
            Location::Directory(_) => StoreError::Unavailable(error.to_string()),
        }
    }
}

/// The first part of every blob's key: the algorithm that names it.
const SHELF: &str = "sha256";

/// Where a blob is below its location, whatever kind of location that is: `sha256/<first 2 hex
/// digits>/<64 hex digits>`.
pub fn path_of(digest: &Digest) -> String {
    key(digest).to_string()
}

/// 256 directories, so that none grows large.
fn key(digest: &Digest) -> Key {
    let hex = digest.to_hex();
    Key::from_iter([SHELF, shelf(&hex), hex.as_str()])
}

/// The first 2 digits.
fn shelf(hex: &str) -> &str {
    hex.get(..2).unwrap_or_default()
}

/// Hashing 64 MiB takes a tenth of a second, too long for a thread that serves requests.
async fn digest_of(bytes: Bytes) -> Result<Digest> {
    blocking("hashing a module", move || Digest::of(&bytes)).await
}

async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| StoreError::Unavailable(format!("{what}: {error}")))
}

/// Makes the names in a directory durable.
fn sync(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { std::fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

/// True when a disk's lack of room is behind the error.
fn is_full(error: &Error) -> bool {
    std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source())
        .filter_map(|error| error.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == std::io::ErrorKind::StorageFull)
}
