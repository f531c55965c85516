//! Variables and resources as they are used: sealed on their way into the store, opened on their
//! way out.

mod references;

pub(crate) use references::{Unfilled, fill, require};

use crate::host::Host;
use crate::random;
use crate::resolve::unavailable;
use wasmill_core::seal::{self, NONCE_BYTES, SealedAt, SealedKind};
use wasmill_core::{Problem, ValuePath, WorkspaceId};
use wasmill_store::{Resource, Variable};

/// Seals a value for its place.
///
/// # Errors
/// 500 when the system has no randomness to give.
pub(crate) fn sealed(host: &Host, at: &SealedAt<'_>, plain: &[u8]) -> Result<Vec<u8>, Problem> {
    let nonce: [u8; NONCE_BYTES] = random::for_request("sealing a value")?;
    Ok(seal::seal(&host.value_key, nonce, at, plain))
}

/// Opens a sealed text.
///
/// # Errors
/// 500 when it does not open or is no text; the log names its place.
pub(crate) fn opened(host: &Host, at: &SealedAt<'_>, value: &[u8]) -> Result<String, Problem> {
    let damaged = |error: &dyn std::fmt::Display| {
        tracing::error!(workspace = %at.workspace, kind = ?at.kind, path = at.path, %error, "a stored value cannot be opened");
        Problem::internal()
    };
    let plain = seal::open(&host.value_key, at, value).map_err(|error| damaged(&error))?;
    String::from_utf8(plain).map_err(|error| damaged(&error.utf8_error()))
}

/// Where a variable is kept.
pub(crate) fn variable_at<'a>(workspace: &'a WorkspaceId, path: &'a str) -> SealedAt<'a> {
    SealedAt { workspace, kind: SealedKind::Variable, path }
}

/// Where a resource is kept.
pub(crate) fn resource_at<'a>(workspace: &'a WorkspaceId, path: &'a str) -> SealedAt<'a> {
    SealedAt { workspace, kind: SealedKind::Resource, path }
}

/// A variable with its text in clear, if there is one.
pub(crate) async fn variable(
    host: &Host,
    workspace: &WorkspaceId,
    path: &ValuePath,
) -> Result<Option<(Variable, String)>, Problem> {
    let Some(variable) = host.store.variable(workspace, path).await.map_err(unavailable)? else {
        return Ok(None);
    };
    let text = opened(host, &variable_at(workspace, path.as_str()), &variable.value)?;
    Ok(Some((variable, text)))
}

/// A resource with its JSON text in clear, if there is one.
pub(crate) async fn resource(
    host: &Host,
    workspace: &WorkspaceId,
    path: &ValuePath,
) -> Result<Option<(Resource, String)>, Problem> {
    let Some(resource) = host.store.resource(workspace, path).await.map_err(unavailable)? else {
        return Ok(None);
    };
    let text = opened(host, &resource_at(workspace, path.as_str()), &resource.value)?;
    Ok(Some((resource, text)))
}
