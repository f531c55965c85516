//! Users of the host.

use crate::api::asked::Asked;
use crate::clock;
use crate::host::Host;
use crate::http::respond::{self, Reply};
use crate::store_errors::unavailable;
use wasmill_core::limits::EMAIL_BYTES;
use wasmill_core::problem::Code;
use wasmill_core::{Problem, UserName, wire};
use wasmill_store::User;

/// The caller's address of mail, as text.
pub(super) async fn email(asked: Asked<'_>) -> Result<Reply, Problem> {
    Ok(respond::text(200, asked.caller.email.clone()))
}

/// Who the caller is, whatever the workspace.
pub(super) async fn whoami(asked: Asked<'_>) -> Result<Reply, Problem> {
    let caller = asked.caller;
    let workspace = caller.workspace.as_ref().map(ToString::to_string);
    Ok(respond::json(
        200,
        &global(caller.user.as_str(), &caller.email, caller.super_admin, workspace),
    ))
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
pub(super) async fn list(asked: Asked<'_>) -> Result<Reply, Problem> {
    let host = asked.host;
    let users = host.store.list_users().await.map_err(unavailable)?;
    let shown: Vec<_> = users
        .iter()
        .map(|user| global(user.name.as_str(), &user.email, user.super_admin, None))
        .collect();
    Ok(respond::json(200, &shown))
}

/// Makes a user. The answer is a sentence.
pub(super) async fn create(asked: Asked<'_>, body: &wire::NewUser) -> Result<Reply, Problem> {
    let host = asked.host;
    let user = new(host, &body.email, body.username.as_deref(), body.super_admin).await?;
    Ok(respond::text(201, format!("user {} was made", user.name)))
}

/// Makes a user; without a `name`, under the part of the address before `@`.
///
/// # Errors
/// 400 for a malformed address or name, 409 when either belongs to a user already.
pub(in crate::api) async fn new(
    host: &Host,
    email: &str,
    name: Option<&str>,
    super_admin: bool,
) -> Result<User, Problem> {
    let well_formed = email.len() <= EMAIL_BYTES
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
pub(in crate::api) async fn by_email(host: &Host, email: &str) -> Result<Option<User>, Problem> {
    let users = host.store.list_users().await.map_err(unavailable)?;
    Ok(users.into_iter().find(|user| user.email == email))
}
