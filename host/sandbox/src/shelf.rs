//! A place for compiled scripts that several hosts share, so that what one has compiled the others
//! need not.

use async_trait::async_trait;
use bytes::Bytes;
use wasmill_core::Digest;

/// Keeps bytes by two names. Nobody has to trust it: what it gives is authenticated before it is
/// used, and what it loses is compiled again.
#[async_trait]
pub trait ArtefactShelf: Send + Sync {
    /// What was put for this module and that engine; `None` when nothing was. More bytes than
    /// `largest` are an error, and not to be read.
    ///
    /// # Errors
    /// What went wrong, for the log.
    async fn get(
        &self,
        made_for: &str,
        module: Digest,
        largest: u64,
    ) -> Result<Option<Bytes>, String>;

    /// Puts the code of a module for an engine, over what is there.
    ///
    /// # Errors
    /// What went wrong, for the log.
    async fn put(&self, made_for: &str, module: Digest, code: Bytes) -> Result<(), String>;

    /// Removes the code of a module for every engine.
    ///
    /// # Errors
    /// What went wrong, for the log.
    async fn remove(&self, module: Digest) -> Result<(), String>;
}
