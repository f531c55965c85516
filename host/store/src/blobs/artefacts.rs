//! Compiled scripts beside the modules, for hosts that share both. What is in them and whether it
//! is to be trusted is not known here; they are not durable in any sense, and may be deleted at any
//! time.

use super::{Blobs, shelf};
use crate::{Result, StoreError};
use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{ObjectStoreExt as _, PutMode};
use wasmill_core::Digest;

/// The first part of every key, before what the code was made for.
const SHELF: &str = "artefact";

impl Blobs {
    /// What was put as the code of this module, made for that engine; `None` when nothing was.
    ///
    /// # Errors
    /// `Corrupt` when it has more than `largest` bytes, none of which are read then.
    pub async fn artefact(
        &self,
        made_for: &str,
        module: Digest,
        largest: u64,
    ) -> Result<Option<Bytes>> {
        let key = key(made_for, &module);
        let found = match self.objects.get(&key).await {
            Ok(found) => found,
            Err(error) => return self.unless_missing(error).map(|()| None),
        };
        if found.meta.size > largest {
            return Err(StoreError::Corrupt(format!(
                "{key} in {} has {} bytes; no compiled script is that large",
                self.location, found.meta.size
            )));
        }
        found.bytes().await.map(Some).map_err(|error| self.failed(error))
    }

    /// Puts code, over what is there.
    ///
    /// # Errors
    /// As `put`.
    pub async fn put_artefact(&self, made_for: &str, module: Digest, code: Bytes) -> Result<()> {
        self.write(&key(made_for, &module), code, PutMode::Overwrite)
            .await
            .map_err(|error| self.failed(error))
    }

    /// Deletes a module's code, whatever it was made for.
    ///
    /// # Errors
    /// As `delete`.
    pub async fn delete_artefacts(&self, module: Digest) -> Result<()> {
        let engines = self
            .objects
            .list_with_delimiter(Some(&Key::from(SHELF)))
            .await
            .map_err(|error| self.failed(error))?;
        for made_for in engines.common_prefixes.iter().filter_map(Key::filename) {
            self.remove(&key(made_for, &module)).await?;
        }
        Ok(())
    }
}

/// `artefact/<made for>/<first 2 hex digits>/<64 hex digits>`
fn key(made_for: &str, module: &Digest) -> Key {
    let hex = module.to_hex();
    Key::from_iter([SHELF, made_for, shelf(&hex), hex.as_str()])
}
