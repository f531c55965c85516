//! The signing keys of webhooks between their use and their rest: here alone they are sealed and
//! opened.

use crate::values::Values;
use wasmill_core::outbox::SigningKeys;
use wasmill_core::seal::{SealedAt, SealedKind};
use wasmill_core::{Problem, WorkspaceId};

/// Where the keys of a workspace are kept: it has no more than one webhook, so that there is
/// nothing to tell apart.
fn place(workspace: &WorkspaceId) -> SealedAt<'_> {
    SealedAt { workspace, kind: SealedKind::WebhookSecret, path: "" }
}

/// Closes keys for the store.
///
/// # Errors
/// 500 when the system has no randomness to give.
pub(crate) fn seal(
    values: &Values,
    workspace: &WorkspaceId,
    keys: &SigningKeys,
) -> Result<Vec<u8>, Problem> {
    values.seal(&place(workspace), keys.to_text().as_bytes())
}

/// Opens what the store has.
///
/// # Errors
/// When it was sealed with another key or is damaged, in words for an administrator.
pub(crate) fn open(
    values: &Values,
    workspace: &WorkspaceId,
    sealed: &[u8],
) -> Result<SigningKeys, String> {
    let opened = values.try_open(&place(workspace), sealed).ok();
    let keys = opened.as_deref().and_then(SigningKeys::from_text);
    keys.ok_or_else(|| format!("The signing secret of the webhook of {workspace} cannot be opened; rotate it, which makes a new one"))
}
