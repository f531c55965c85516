//! Workspaces: made, listed, looked for.

use crate::api::asked::Asked;
use crate::api::parse::name;
use crate::auth::Caller;
use crate::clock;
use crate::host::Host;
use crate::http::respond::{self, Reply};
use crate::store_errors::unavailable;
use wasmill_core::problem::Code;
use wasmill_core::{Problem, WorkspaceId, wire};
use wasmill_store::{Role, StoreError, Workspace};

/// The workspaces that the caller may enter, by name.
async fn of(host: &Host, caller: &Caller) -> Result<Vec<Workspace>, Problem> {
    let mut workspaces = host.store.list_workspaces().await.map_err(unavailable)?;
    workspaces.retain(|workspace| caller.role(&workspace.id).is_ok());
    Ok(workspaces)
}

/// The caller's workspaces.
pub(super) async fn list(asked: Asked<'_>) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let shown = |workspace: Workspace| wire::Workspace {
        id: workspace.id.to_string(),
        name: workspace.name,
        created_at: wire::timestamp(workspace.created),
        deleted: false,
        owner: "",
    };
    let shown: Vec<_> = of(host, caller).await?.into_iter().map(shown).collect();
    Ok(respond::json(200, &shown))
}

/// The caller's address and workspaces.
pub(super) async fn mine(asked: Asked<'_>) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let shown = |workspace: Workspace| wire::UserWorkspace {
        id: workspace.id.to_string(),
        name: workspace.name,
        username: caller.user.to_string(),
        color: "",
        disabled: false,
    };
    let workspaces = of(host, caller).await?.into_iter().map(shown).collect();
    Ok(respond::json(200, &wire::UserWorkspaces { email: caller.email.clone(), workspaces }))
}

/// Makes a workspace, of which the caller becomes an administrator.
pub(super) async fn create(asked: Asked<'_>, body: &wire::NewWorkspace) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let id: WorkspaceId = name(&body.id)?;
    let title = body.name.as_deref().unwrap_or(&body.id);
    match host.store.create_workspace(&id, title, clock::now()).await {
        Ok(()) => {}
        Err(StoreError::Conflict(_)) => {
            return Err(Problem::new(Code::Conflict, format!("There is a workspace {id} already")));
        }
        Err(error) => return Err(unavailable(error)),
    }
    host.store.put_member(&id, &caller.user, Role::Admin).await.map_err(unavailable)?;
    host.tokens.forget_user(&caller.user);
    tracing::info!(workspace = %id, user = %caller.user, "workspace made");
    Ok(respond::text(201, format!("Created workspace {id}")))
}

/// Whether a workspace's name is taken: `true` or `false`.
pub(super) async fn exists(asked: Asked<'_>, body: &wire::WorkspaceName) -> Result<Reply, Problem> {
    let host = asked.host;
    let workspaces = host.store.list_workspaces().await.map_err(unavailable)?;
    Ok(respond::json(200, &workspaces.iter().any(|workspace| workspace.id.as_str() == body.id)))
}

/// Whether a user's name is taken in one of the caller's workspaces: `true` or `false`.
pub(super) async fn username_exists(
    asked: Asked<'_>,
    body: &wire::NameInWorkspace,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let id: WorkspaceId = name(&body.id)?;
    caller.role(&id)?;
    let members = host.store.list_members(&id).await.map_err(unavailable)?;
    Ok(respond::json(200, &members.iter().any(|(user, _)| user.name.as_str() == body.username)))
}
