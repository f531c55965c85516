//! The trait of a store of compiled scripts that several hosts use, so that each script is compiled
//! by one of them only.

use async_trait::async_trait;
use bytes::Bytes;
use wasmill_core::Digest;

/// A store of compiled scripts, each under the digest of its module and the id of its engine.
///
/// The store need not be trusted: the sandbox authenticates what it reads before it loads it. The
/// store may lose entries: the sandbox then compiles the script again.
#[async_trait]
pub trait SharedArtefacts: Send + Sync {
    /// The compiled script of `module` for `engine_id`, or `None` when there is none.
    ///
    /// # Errors
    /// Why the store could not be read, for the log. Also when the entry has more than `max_bytes`
    /// bytes; an implementation must not read such an entry into memory.
    async fn get(
        &self,
        engine_id: &str,
        module: Digest,
        max_bytes: u64,
    ) -> Result<Option<Bytes>, String>;

    /// Stores the compiled script of `module` for `engine_id`, and replaces an entry that is there.
    ///
    /// # Errors
    /// Why the store could not be written, for the log.
    async fn put(&self, engine_id: &str, module: Digest, code: Bytes) -> Result<(), String>;

    /// Removes the compiled scripts of `module`, of all engines.
    ///
    /// # Errors
    /// Why the store could not be changed, for the log.
    async fn remove(&self, module: Digest) -> Result<(), String>;
}
