//! The store of compiled scripts that several hosts share: the same one as of their modules.

use async_trait::async_trait;
use bytes::Bytes;
use wasmill_core::Digest;
use wasmill_sandbox::SharedArtefacts;
use wasmill_store::blobs::Blobs;

/// [`Blobs`] as the [`SharedArtefacts`] of the sandbox. Neither crate knows the other.
pub(crate) struct BlobArtefacts(pub(crate) Blobs);

#[async_trait]
impl SharedArtefacts for BlobArtefacts {
    async fn get(
        &self,
        engine_id: &str,
        module: Digest,
        max_bytes: u64,
    ) -> Result<Option<Bytes>, String> {
        self.0.artefact(engine_id, module, max_bytes).await.map_err(|error| error.to_string())
    }

    async fn put(&self, engine_id: &str, module: Digest, code: Bytes) -> Result<(), String> {
        self.0.put_artefact(engine_id, module, code).await.map_err(|error| error.to_string())
    }

    async fn remove(&self, module: Digest) -> Result<(), String> {
        self.0.delete_artefacts(module).await.map_err(|error| error.to_string())
    }
}
