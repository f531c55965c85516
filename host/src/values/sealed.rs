//! Values between their use and their rest: here alone they are sealed and opened.

use crate::random;
use crate::store_errors::unavailable;
use std::sync::Arc;
use tokio::sync::Mutex;
use wasmill_core::seal::{self, NONCE_BYTES, SealedAt, SealedKind, ValueKey};
use wasmill_core::{Problem, ValuePath, WorkspaceId};
use wasmill_store::{Resource, Store, Variable};

/// The variables and resources of all workspaces, and the key that they are sealed with.
pub(crate) struct Values {
    store: Arc<dyn Store>,
    key: ValueKey,
    /// Held while a variable or a resource is read and written back changed, so that no change is
    /// lost.
    pub(crate) writes: Mutex<()>,
}

impl Values {
    /// Those of a store, sealed with this key.
    pub(crate) fn new(store: Arc<dyn Store>, key: ValueKey) -> Self {
        Self { store, key, writes: Mutex::default() }
    }

    /// Seals a value for its place.
    ///
    /// # Errors
    /// 500 when the system has no randomness to give.
    pub(crate) fn seal(&self, at: &SealedAt<'_>, plain: &[u8]) -> Result<Vec<u8>, Problem> {
        let nonce: [u8; NONCE_BYTES] = random::for_request("sealing a value")?;
        Ok(seal::seal(&self.key, nonce, at, plain))
    }

    /// Opens a sealed text.
    ///
    /// # Errors
    /// 500 when it does not open or is no text; the log names its place.
    pub(crate) fn open(&self, at: &SealedAt<'_>, sealed: &[u8]) -> Result<String, Problem> {
        self.try_open(at, sealed).map_err(|error| {
            tracing::error!(workspace = %at.workspace, kind = ?at.kind, path = at.path, error, "a stored value cannot be opened");
            Problem::internal()
        })
    }

    /// Opens a sealed text, where the caller has something of his own to say when that fails.
    ///
    /// # Errors
    /// When it was sealed with another key or for another place, is damaged, or is no text.
    pub(crate) fn try_open(&self, at: &SealedAt<'_>, sealed: &[u8]) -> Result<String, String> {
        let plain = seal::open(&self.key, at, sealed).map_err(|error| error.to_string())?;
        String::from_utf8(plain).map_err(|error| error.utf8_error().to_string())
    }

    /// A variable with its text in clear, if there is one.
    ///
    /// # Errors
    /// 503 when the store cannot be read, 500 when the text cannot be opened.
    pub(crate) async fn variable(
        &self,
        workspace: &WorkspaceId,
        path: &ValuePath,
    ) -> Result<Option<(Variable, String)>, Problem> {
        let found = self.store.variable(workspace, path).await.map_err(unavailable)?;
        let Some(variable) = found else { return Ok(None) };
        let text = self.open(&variable_at(workspace, path.as_str()), &variable.value)?;
        Ok(Some((variable, text)))
    }

    /// A resource with its JSON text in clear, if there is one.
    ///
    /// # Errors
    /// As of [`Values::variable`].
    pub(crate) async fn resource(
        &self,
        workspace: &WorkspaceId,
        path: &ValuePath,
    ) -> Result<Option<(Resource, String)>, Problem> {
        let found = self.store.resource(workspace, path).await.map_err(unavailable)?;
        let Some(resource) = found else { return Ok(None) };
        let text = self.open(&resource_at(workspace, path.as_str()), &resource.value)?;
        Ok(Some((resource, text)))
    }
}

/// Where a variable is kept.
pub(crate) fn variable_at<'a>(workspace: &'a WorkspaceId, path: &'a str) -> SealedAt<'a> {
    SealedAt { workspace, kind: SealedKind::Variable, path }
}

/// Where a resource is kept.
pub(crate) fn resource_at<'a>(workspace: &'a WorkspaceId, path: &'a str) -> SealedAt<'a> {
    SealedAt { workspace, kind: SealedKind::Resource, path }
}
