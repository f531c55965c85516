//! Members of a workspace, and what they may do there.

use super::users;
use crate::host::Host;
use crate::resolve::unavailable;
use crate::serve::auth::Caller;
use crate::serve::respond::{self, Reply};
use wasmill_core::problem::Code;
use wasmill_core::{Problem, UserName, WorkspaceId, wire};
use wasmill_store::{Micros, Role, User};

/// Who the caller is in a workspace.
pub(crate) fn whoami(caller: &Caller, workspace: &WorkspaceId) -> Result<Reply, Problem> {
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
pub(crate) async fn list(host: &Host, workspace: &WorkspaceId) -> Result<Reply, Problem> {
    let members = host.store.list_members(workspace).await.map_err(unavailable)?;
    let shown: Vec<_> = members.iter().map(|(user, role)| shown(workspace, user, *role)).collect();
    Ok(respond::json(200, &shown))
}

/// One member.
pub(crate) async fn get(
    host: &Host,
    workspace: &WorkspaceId,
    name: &str,
) -> Result<Reply, Problem> {
    let (user, role) = find(host, workspace, name).await?;
    Ok(respond::json(200, &shown(workspace, &user, role)))
}

/// A member's address.
pub(crate) async fn email(
    host: &Host,
    workspace: &WorkspaceId,
    name: &str,
) -> Result<Reply, Problem> {
    let (user, _) = find(host, workspace, name).await?;
    Ok(respond::text(200, user.email))
}

/// Makes a user a member; one that does not exist yet is made.
pub(crate) async fn add(
    host: &Host,
    workspace: &WorkspaceId,
    asked: &wire::NewMember,
) -> Result<Reply, Problem> {
    let role = role(asked.is_admin, asked.operator)?;
    let user = match users::by_email(host, &asked.email).await? {
        Some(user) => user,
        None => users::new(host, &asked.email, asked.username.as_deref(), false).await?,
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

/// Changes a member's role; it counts from the answer on.
pub(crate) async fn update(
    host: &Host,
    workspace: &WorkspaceId,
    name: &str,
    asked: &wire::MemberChange,
) -> Result<Reply, Problem> {
    let (user, now) = find(host, workspace, name).await?;
    // Making somebody the one is unmaking the other, unless both are asked for.
    let is_admin = asked.is_admin.unwrap_or(now == Role::Admin && asked.operator != Some(true));
    let operator = asked.operator.unwrap_or(now == Role::Operator && asked.is_admin != Some(true));
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

/// Ends a membership; it counts from the answer on.
pub(crate) async fn remove(
    host: &Host,
    workspace: &WorkspaceId,
    name: &str,
) -> Result<Reply, Problem> {
    let missing = || Problem::not_found(format!("The workspace {workspace} has no member {name}"));
    let user: UserName = name.parse().map_err(|_| missing())?;
    if !host.store.remove_member(workspace, &user).await.map_err(unavailable)? {
        return Err(missing());
    }
    host.tokens.forget_user(&user);
    tracing::info!(%workspace, user = name, "membership ended");
    Ok(respond::text(200, format!("user {name} was removed from {workspace}")))
}
