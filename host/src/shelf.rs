//! Compiled scripts that hosts share, kept where their modules are.

use async_trait::async_trait;
use bytes::Bytes;
use wasmill_core::Digest;
use wasmill_sandbox::ArtefactShelf;
use wasmill_store::blobs::Blobs;

/// The blobs as the sandbox's shelf, for the two know nothing of one another.
pub(crate) struct Shelf(pub(crate) Blobs);

#[async_trait]
impl ArtefactShelf for Shelf {
    async fn get(
        &self,
        made_for: &str,
        module: Digest,
        largest: u64,
    ) -> Result<Option<Bytes>, String> {
        self.0.artefact(made_for, module, largest).await.map_err(|error| error.to_string())
    }

    async fn put(&self, made_for: &str, module: Digest, code: Bytes) -> Result<(), String> {
        self.0.put_artefact(made_for, module, code).await.map_err(|error| error.to_string())
    }

    async fn remove(&self, module: Digest) -> Result<(), String> {
        self.0.delete_artefacts(module).await.map_err(|error| error.to_string())
    }
}
