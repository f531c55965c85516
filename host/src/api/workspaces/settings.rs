//! A workspace's settings.

use crate::api::asked::Asked;
use crate::clock;
use crate::host::Host;
use crate::http::respond::{self, Reply};
use crate::outbox::keys;
use crate::store_errors::unavailable;
use wasmill_core::scope::{Action, Need};
use wasmill_core::{Problem, WorkspaceId, wire};
use wasmill_store::{Role, WorkspaceSettings};

/// The workspace's settings. Administrators of the workspace see the webhook; a token that may
/// change the webhook sees its signing secret as well. Who has the secret can tell the receiver
/// anything.
pub(super) async fn get(asked: Asked<'_>, workspace: &WorkspaceId) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let workspaces = host.store.list_workspaces().await.map_err(unavailable)?;
    let found = workspaces.into_iter().find(|found| found.id == *workspace);
    let name =
        found.ok_or_else(|| Problem::not_found(format!("There is no workspace {workspace}")))?.name;
    let decided = host.store.workspace_settings(workspace).await.map_err(unavailable)?;
    let mut settings = wire::WorkspaceSettings {
        workspace_id: workspace.to_string(),
        name,
        weight: decided.weight,
        keep_runs_secs: decided.keep_runs.map(|keep| keep.as_secs()),
        webhook: None,
        webhook_secret: None,
        previous_webhook_secret: None,
    };
    if caller.role(workspace)? == Role::Admin
        && let Some(webhook) = host.store.webhook(workspace).await.map_err(unavailable)?
    {
        let may_change =
            caller.require_admin(workspace, &Need::all("workspaces", Action::Write)).is_ok();
        match keys::open(&host.values, workspace, &webhook.secret) {
            Ok(_) if !may_change => {}
            Ok(keys) => {
                settings.webhook_secret = Some(keys.current.reveal());
                settings.previous_webhook_secret =
                    keys.previous_at(clock::now()).map(|(secret, until)| wire::OldSecret {
                        secret: secret.reveal(),
                        until: wire::timestamp(*until),
                    });
            }
            // The rest can still be shown, and the secret be rotated.
            Err(error) => tracing::error!(%workspace, error, "a signing secret cannot be read"),
        }
        settings.webhook = Some(webhook.url);
    }
    Ok(respond::json(200, &settings))
}

/// Reads a workspace's settings and writes them back changed.
pub(super) async fn change(
    host: &Host,
    workspace: &WorkspaceId,
    changed: impl FnOnce(WorkspaceSettings) -> WorkspaceSettings,
) -> Result<(), Problem> {
    let _alone = host.workspace_writes.lock().await;
    let settings = host.store.workspace_settings(workspace).await.map_err(unavailable)?;
    host.store.put_workspace_settings(workspace, &changed(settings)).await.map_err(unavailable)
}
