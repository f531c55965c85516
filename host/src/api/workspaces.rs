//! Workspaces: made, listed, looked for.

use super::name;
use crate::clock;
use crate::host::Host;
use crate::resolve::unavailable;
use crate::serve::auth::Caller;
use crate::serve::respond::{self, Reply};
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
pub(crate) async fn list(host: &Host, caller: &Caller) -> Result<Reply, Problem> {
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
pub(crate) async fn mine(host: &Host, caller: &Caller) -> Result<Reply, Problem> {
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
pub(crate) async fn create(
    host: &Host,
    caller: &Caller,
    asked: &wire::NewWorkspace,
) -> Result<Reply, Problem> {
    let id: WorkspaceId = name(&asked.id)?;
    let title = asked.name.as_deref().unwrap_or(&asked.id);
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
pub(crate) async fn exists(host: &Host, asked: &wire::WorkspaceName) -> Result<Reply, Problem> {
    let workspaces = host.store.list_workspaces().await.map_err(unavailable)?;
    Ok(respond::json(200, &workspaces.iter().any(|workspace| workspace.id.as_str() == asked.id)))
}

/// Whether a user's name is taken in one of the caller's workspaces: `true` or `false`.
pub(crate) async fn username_exists(
    host: &Host,
    caller: &Caller,
    asked: &wire::NameInWorkspace,
) -> Result<Reply, Problem> {
    let id: WorkspaceId = name(&asked.id)?;
    caller.role(&id)?;
    let members = host.store.list_members(&id).await.map_err(unavailable)?;
    Ok(respond::json(200, &members.iter().any(|(user, _)| user.name.as_str() == asked.username)))
}
