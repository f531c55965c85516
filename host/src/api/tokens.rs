//! Tokens: made, listed, changed, revoked.

use super::{name, users};
use crate::clock;
use crate::host::Host;
use crate::random;
use crate::resolve::unavailable;
use crate::serve::auth::Caller;
use crate::serve::respond::{self, Reply};
use wasmill_core::limits::TOKEN_PREFIX_CHARS;
use wasmill_core::problem::Code;
use wasmill_core::scope::Scopes;
use wasmill_core::token::PlainToken;
use wasmill_core::{Problem, ScriptPath, UserName, WorkspaceId, wire};
use wasmill_store::{NewToken, TokenChange, TokenInfo};

/// Makes a token for the caller's user, shown this once. Never a broader one than the caller's own.
pub(crate) async fn create(
    host: &Host,
    caller: &Caller,
    asked: wire::NewToken,
) -> Result<Reply, Problem> {
    narrower(caller, asked.scopes.as_deref())?;
    let workspace = match workspace(&asked)? {
        None => caller.workspace.clone(),
        Some(workspace) => {
            caller.role(&workspace)?;
            Some(workspace)
        }
    };
    make(host, &caller.user, workspace, asked).await
}

/// Makes a token for another user, shown this once.
pub(crate) async fn impersonate(host: &Host, asked: wire::Impersonation) -> Result<Reply, Problem> {
    let missing = || {
        Problem::not_found(format!("There is no user with the address {}", asked.impersonate_email))
    };
    let user = users::by_email(host, &asked.impersonate_email).await?.ok_or_else(missing)?;
    Scopes::parse(asked.token.scopes.as_deref()).map_err(Problem::bad_request)?;
    let workspace = workspace(&asked.token)?;
    make(host, &user.name, workspace, asked.token).await
}

/// Refuses scopes that cannot be read, and those that the caller does not have.
fn narrower(caller: &Caller, scopes: Option<&[String]>) -> Result<(), Problem> {
    let scopes = Scopes::parse(scopes).map_err(Problem::bad_request)?;
    match caller.scopes.covers(&scopes) {
        true => Ok(()),
        false => Err(Problem::new(
            Code::Forbidden,
            "A token cannot make a token with more rights than its own",
        )),
    }
}

fn workspace(asked: &wire::NewToken) -> Result<Option<WorkspaceId>, Problem> {
    asked.workspace_id.as_deref().map(name).transpose()
}

async fn make(
    host: &Host,
    user: &UserName,
    workspace: Option<WorkspaceId>,
    asked: wire::NewToken,
) -> Result<Reply, Problem> {
    let expires = asked.expiration.as_deref().map(|text| {
        wire::parse_timestamp(text).ok_or_else(|| {
            Problem::bad_request(format!(
                "expiration is {text:?}; it must be a time such as 2030-01-31T09:00:00Z"
            ))
        })
    });
    let token = PlainToken::from_random(&random::for_request("a token")?);
    let stored = NewToken {
        digest: token.digest(),
        prefix: token.prefix().to_owned(),
        user: user.clone(),
        workspace,
        label: asked.label.unwrap_or_default(),
        scopes: asked.scopes.filter(|scopes| !scopes.is_empty()),
        created: clock::now(),
        expires: expires.transpose()?,
    };
    host.store.put_token(&stored).await.map_err(unavailable)?;
    Ok(respond::text(201, token.reveal().to_owned()))
}

/// The caller's tokens, newest first, without their secrets.
pub(crate) async fn list(host: &Host, caller: &Caller) -> Result<Reply, Problem> {
    let tokens = host.store.list_tokens(&caller.user).await.map_err(unavailable)?;
    let shown: Vec<_> =
        tokens.into_iter().map(|info| shown(info, Some(caller.email.clone()))).collect();
    Ok(respond::json(200, &shown))
}

/// The tokens of the workspace that are for this script, newest first.
pub(crate) async fn of_script(
    host: &Host,
    workspace: &WorkspaceId,
    path: &ScriptPath,
) -> Result<Reply, Problem> {
    let mut tokens = host
        .store
        .tokens_for_scope(workspace, &format!("jobs:run:scripts:{path}"))
        .await
        .map_err(unavailable)?;
    tokens.extend(
        host.store
            .tokens_for_scope(workspace, &format!("run:script/{path}"))
            .await
            .map_err(unavailable)?,
    );
    let users = host.store.list_users().await.map_err(unavailable)?;
    let email = |name: &UserName| {
        users.iter().find(|user| user.name == *name).map(|user| user.email.clone())
    };
    let shown: Vec<_> = tokens
        .into_iter()
        .map(|info| {
            let email = email(&info.token.user);
            shown(info, email)
        })
        .collect();
    Ok(respond::json(200, &shown))
}

fn shown(info: TokenInfo, email: Option<String>) -> wire::Token {
    wire::Token {
        label: Some(info.token.label).filter(|label| !label.is_empty()),
        token_prefix: info.token.prefix,
        created_at: wire::timestamp(info.token.created),
        expiration: info.token.expires.map(wire::timestamp),
        last_used_at: info.last_used.map(wire::timestamp),
        scopes: info.token.scopes,
        workspace_id: info.token.workspace.map(String::from),
        email,
    }
}

/// The part of a text by which tokens are found.
fn whole_prefix(text: &str) -> Result<&str, Problem> {
    text.get(..TOKEN_PREFIX_CHARS).ok_or_else(|| {
        Problem::bad_request(
            "Give the whole prefix as it is listed, so that no other token is meant",
        )
    })
}

/// Revokes the caller's tokens with this prefix; they stop working before the answer is sent.
pub(crate) async fn delete(host: &Host, caller: &Caller, prefix: &str) -> Result<Reply, Problem> {
    let prefix = whole_prefix(prefix)?;
    let revoked = host.store.revoke_tokens(&caller.user, prefix).await.map_err(unavailable)?;
    let count = affected(host, caller, prefix, &revoked)?;
    tracing::info!(user = %caller.user, count, "tokens revoked");
    Ok(respond::text(200, format!("deleted {count} tokens with prefix {prefix}")))
}

/// Changes a label.
pub(crate) async fn update_label(
    host: &Host,
    caller: &Caller,
    prefix: &str,
    asked: wire::TokenLabel,
) -> Result<Reply, Problem> {
    change(host, caller, prefix, &TokenChange::Label(asked.label)).await
}

/// Changes scopes, which count from the answer on.
pub(crate) async fn update_scopes(
    host: &Host,
    caller: &Caller,
    prefix: &str,
    asked: wire::TokenScopes,
) -> Result<Reply, Problem> {
    narrower(caller, asked.scopes.as_deref())?;
    change(
        host,
        caller,
        prefix,
        &TokenChange::Scopes(asked.scopes.filter(|scopes| !scopes.is_empty())),
    )
    .await
}

async fn change(
    host: &Host,
    caller: &Caller,
    prefix: &str,
    change: &TokenChange,
) -> Result<Reply, Problem> {
    let prefix = whole_prefix(prefix)?;
    let changed =
        host.store.change_tokens(&caller.user, prefix, change).await.map_err(unavailable)?;
    let count = affected(host, caller, prefix, &changed)?;
    tracing::info!(user = %caller.user, count, "tokens changed");
    Ok(respond::text(200, format!("changed {count} tokens with prefix {prefix}")))
}

fn affected(
    host: &Host,
    caller: &Caller,
    prefix: &str,
    digests: &[[u8; 32]],
) -> Result<usize, Problem> {
    if digests.is_empty() {
        return Err(Problem::not_found(format!(
            "{} has no token that begins with {prefix}",
            caller.user
        )));
    }
    host.tokens.forget(digests);
    Ok(digests.len())
}

/// The scopes that a token can have.
pub(crate) fn catalogue() -> Reply {
    let choice = |value, label, requires_resource_path| wire::ScopeChoice {
        value,
        label,
        requires_resource_path,
    };
    let domain = |name, scopes| wire::ScopeDomain { name, scopes };
    let domains = [
        domain(
            "jobs",
            vec![
                choice("jobs:read", "Look at jobs, their results and logs", true),
                choice("jobs:write", "Cancel jobs, and look at them", true),
                choice("jobs:run:scripts", "Run scripts", true),
            ],
        ),
        domain(
            "scripts",
            vec![
                choice("scripts:read", "Look at scripts", true),
                choice("scripts:write", "Deploy and archive scripts, and look at them", true),
            ],
        ),
        domain(
            "variables",
            vec![
                choice("variables:read", "Read variables", true),
                choice("variables:write", "Change variables, and read them", true),
            ],
        ),
        domain(
            "resources",
            vec![
                choice("resources:read", "Read resources", true),
                choice("resources:write", "Change resources, and read them", true),
            ],
        ),
        domain(
            "users",
            vec![
                choice(
                    "users:read",
                    "See who the caller and the members are, and list tokens",
                    false,
                ),
                choice(
                    "users:write",
                    "Make and revoke tokens, change members, and see them",
                    false,
                ),
            ],
        ),
        domain(
            "workspaces",
            vec![
                choice("workspaces:read", "See workspaces and their settings", false),
                choice(
                    "workspaces:write",
                    "Make workspaces, change their settings, and see them",
                    false,
                ),
            ],
        ),
    ];
    respond::json(200, &domains)
}
