//! Users of the host.

use crate::clock;
use crate::host::Host;
use crate::resolve::unavailable;
use crate::serve::auth::Caller;
use crate::serve::respond::{self, Reply};
use wasmill_core::problem::Code;
use wasmill_core::{Problem, UserName, wire};
use wasmill_store::User;

/// Who the caller is, whatever the workspace.
pub(crate) fn whoami(caller: &Caller) -> Reply {
    let workspace = caller.workspace.as_ref().map(ToString::to_string);
    respond::json(200, &global(caller.user.as_str(), &caller.email, caller.super_admin, workspace))
}

fn global(
    name: &str,
    email: &str,
    super_admin: bool,
    workspace_id: Option<String>,
) -> wire::GlobalUser {
    wire::GlobalUser {
        email: email.to_owned(),
        username: name.to_owned(),
        login_type: "token",
        super_admin,
        devops: false,
        verified: true,
        disabled: false,
        first_time_user: false,
        role_source: "manual",
        workspace_id,
    }
}

/// The host's users by name.
pub(crate) async fn list(host: &Host) -> Result<Reply, Problem> {
    let users = host.store.list_users().await.map_err(unavailable)?;
    let shown: Vec<_> = users
        .iter()
        .map(|user| global(user.name.as_str(), &user.email, user.super_admin, None))
        .collect();
    Ok(respond::json(200, &shown))
}

/// Makes a user. The answer is a sentence.
pub(crate) async fn create(host: &Host, asked: &wire::NewUser) -> Result<Reply, Problem> {
    let user = new(host, &asked.email, asked.username.as_deref(), asked.super_admin).await?;
    Ok(respond::text(201, format!("user {} was made", user.name)))
}

/// Makes a user under a name of its own.
pub(super) async fn new(
    host: &Host,
    email: &str,
    name: Option<&str>,
    super_admin: bool,
) -> Result<User, Problem> {
    let well_formed = email.len() <= 254
        && email.split_once('@').is_some_and(|(who, at)| !who.is_empty() && !at.is_empty());
    if !well_formed || !email.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Problem::bad_request(format!(
            "email is {email:?}; it must be an address such as ann@example.com"
        )));
    }
    let name = name.unwrap_or_else(|| email.split('@').next().unwrap_or_default());
    let name: UserName = name.parse().map_err(|error| {
        Problem::bad_request(format!("{name:?}: {error}; give one as username"))
    })?;
    let users = host.store.list_users().await.map_err(unavailable)?;
    if users.iter().any(|user| user.name == name) {
        return Err(Problem::new(Code::Conflict, format!("There is a user {name} already")));
    }
    if users.iter().any(|user| user.email == email) {
        return Err(Problem::new(
            Code::Conflict,
            format!("There is a user with the address {email} already"),
        ));
    }
    let user =
        User { name: name.clone(), email: email.to_owned(), super_admin, created: clock::now() };
    host.store.put_user(&user).await.map_err(unavailable)?;
    tracing::info!(user = %name, super_admin, "user made");
    Ok(user)
}

/// The user with an address.
pub(super) async fn by_email(host: &Host, email: &str) -> Result<Option<User>, Problem> {
    let users = host.store.list_users().await.map_err(unavailable)?;
    Ok(users.into_iter().find(|user| user.email == email))
}
