//! Members of a workspace, and what they may do there.

use crate::api::accounts::users;
use crate::api::asked::Asked;
use crate::host::Host;
use crate::http::respond::{self, Reply};
use crate::store_errors::unavailable;
use wasmill_core::problem::Code;
use wasmill_core::{Problem, UserName, WorkspaceId, wire};
use wasmill_store::{Micros, Role, User};

/// Who the caller is in a workspace.
pub(super) async fn whoami(asked: Asked<'_>, workspace: &WorkspaceId) -> Result<Reply, Problem> {
    let caller = asked.caller;
    let role = caller.role(workspace)?;
    let user = User {
        name: caller.user.clone(),
        email: caller.email.clone(),
        super_admin: caller.super_admin,
        created: caller.created,
    };
    Ok(respond::json(200, &shown(workspace, &user, role)))
}

fn shown(workspace: &WorkspaceId, user: &User, role: Role) -> wire::Member {
    let created: Micros = user.created;
    wire::Member {
        workspace_id: workspace.to_string(),
        email: user.email.clone(),
        username: user.name.to_string(),
        is_admin: role == Role::Admin,
        is_super_admin: user.super_admin,
        operator: role == Role::Operator,
        disabled: false,
        created_at: wire::timestamp(created),
        groups: Vec::new(),
        folders: Vec::new(),
        folders_read: Vec::new(),
        folders_owners: Vec::new(),
    }
}

fn role(is_admin: bool, operator: bool) -> Result<Role, Problem> {
    match (is_admin, operator) {
        (true, true) => {
            Err(Problem::bad_request("is_admin and operator are two roles; a member has one"))
        }
        (true, false) => Ok(Role::Admin),
        (false, true) => Ok(Role::Operator),
        (false, false) => Ok(Role::Developer),
    }
}

async fn find(host: &Host, workspace: &WorkspaceId, name: &str) -> Result<(User, Role), Problem> {
    let members = host.store.list_members(workspace).await.map_err(unavailable)?;
    let found = members.into_iter().find(|(user, _)| user.name.as_str() == name);
    found.ok_or_else(|| {
        Problem::not_found(format!("The workspace {workspace} has no member {name}"))
    })
}

/// The members by name.
pub(super) async fn list(asked: Asked<'_>, workspace: &WorkspaceId) -> Result<Reply, Problem> {
    let host = asked.host;
    let members = host.store.list_members(workspace).await.map_err(unavailable)?;
    let shown: Vec<_> = members.iter().map(|(user, role)| shown(workspace, user, *role)).collect();
    Ok(respond::json(200, &shown))
}

/// One member of the workspace.
pub(super) async fn get(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    name: &str,
) -> Result<Reply, Problem> {
    let host = asked.host;
    let (user, role) = find(host, workspace, name).await?;
    Ok(respond::json(200, &shown(workspace, &user, role)))
}

/// A member's address.
pub(super) async fn email(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    name: &str,
) -> Result<Reply, Problem> {
    let host = asked.host;
    let (user, _) = find(host, workspace, name).await?;
    Ok(respond::text(200, user.email))
}

/// Makes a user a member. A user that does not exist yet is made.
pub(super) async fn add(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    body: &wire::NewMember,
) -> Result<Reply, Problem> {
    let host = asked.host;
    let role = role(body.is_admin, body.operator)?;
    let user = match users::by_email(host, &body.email).await? {
        Some(user) => user,
        None => users::new(host, &body.email, body.username.as_deref(), false).await?,
    };
    if find(host, workspace, user.name.as_str()).await.is_ok() {
        return Err(Problem::new(
            Code::Conflict,
            format!("{} is a member of {workspace} already", user.name),
        ));
    }
    put(host, workspace, &user.name, role).await?;
    Ok(respond::text(201, format!("user {} was added to {workspace}", user.name)))
}

/// Changes a member's role; the new role counts from the answer on.
pub(super) async fn update(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    name: &str,
    body: &wire::MemberChange,
) -> Result<Reply, Problem> {
    let host = asked.host;
    let (user, now) = find(host, workspace, name).await?;
    // Making somebody the one is unmaking the other, unless both are body for.
    let is_admin = body.is_admin.unwrap_or(now == Role::Admin && body.operator != Some(true));
    let operator = body.operator.unwrap_or(now == Role::Operator && body.is_admin != Some(true));
    put(host, workspace, &user.name, role(is_admin, operator)?).await?;
    Ok(respond::text(200, format!("user {name} was changed")))
}

async fn put(
    host: &Host,
    workspace: &WorkspaceId,
    name: &UserName,
    role: Role,
) -> Result<(), Problem> {
    host.store.put_member(workspace, name, role).await.map_err(unavailable)?;
    host.tokens.forget_user(name);
    tracing::info!(%workspace, user = %name, ?role, "membership changed");
    Ok(())
}

/// Ends a membership; the end counts from the answer on.
pub(super) async fn remove(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    name: &str,
) -> Result<Reply, Problem> {
    let host = asked.host;
    let missing = || Problem::not_found(format!("The workspace {workspace} has no member {name}"));
    let user: UserName = name.parse().map_err(|_| missing())?;
    if !host.store.remove_member(workspace, &user).await.map_err(unavailable)? {
        return Err(missing());
    }
    host.tokens.forget_user(&user);
    tracing::info!(%workspace, user = name, "membership ended");
    Ok(respond::text(200, format!("user {name} was removed from {workspace}")))
}
