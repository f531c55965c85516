//! Tokens: made, listed, changed, revoked.

use super::users;
use crate::api::asked::Asked;
use crate::api::parse::name;
use crate::auth::Caller;
use crate::clock;
use crate::host::Host;
use crate::http::respond::{self, Reply};
use crate::random;
use crate::store_errors::unavailable;
use wasmill_core::limits::TOKEN_PREFIX_CHARS;
use wasmill_core::problem::Code;
use wasmill_core::scope::Scopes;
use wasmill_core::token::PlainToken;
use wasmill_core::{Problem, UserName, WorkspaceId, wire};
use wasmill_store::{NewToken, TokenChange, TokenInfo};

/// Makes a token for the caller's user. The token is shown this once, and is never broader than
/// the caller's own token.
pub(super) async fn create(asked: Asked<'_>, body: wire::NewToken) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    narrower(caller, body.scopes.as_deref())?;
    let workspace = match workspace(&body)? {
        None => caller.workspace.clone(),
        Some(workspace) => {
            caller.role(&workspace)?;
            Some(workspace)
        }
    };
    make(host, &caller.user, workspace, body).await
}

/// Makes a token for another user. The token is shown this once.
pub(super) async fn impersonate(
    asked: Asked<'_>,
    body: wire::Impersonation,
) -> Result<Reply, Problem> {
    let host = asked.host;
    let missing = || {
        Problem::not_found(format!("There is no user with the address {}", body.impersonate_email))
    };
    let user = users::by_email(host, &body.impersonate_email).await?.ok_or_else(missing)?;
    Scopes::parse(body.token.scopes.as_deref()).map_err(Problem::bad_request)?;
    let workspace = workspace(&body.token)?;
    make(host, &user.name, workspace, body.token).await
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
pub(super) async fn list(asked: Asked<'_>) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let tokens = host.store.list_tokens(&caller.user).await.map_err(unavailable)?;
    let shown: Vec<_> =
        tokens.into_iter().map(|info| shown(info, Some(caller.email.clone()))).collect();
    Ok(respond::json(200, &shown))
}

/// A token in the API's shape, without its secret; `email` is its user's address of mail.
pub(in crate::api) fn shown(info: TokenInfo, email: Option<String>) -> wire::Token {
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
pub(super) async fn delete(asked: Asked<'_>, prefix: &str) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let prefix = whole_prefix(prefix)?;
    let revoked = host.store.revoke_tokens(&caller.user, prefix).await.map_err(unavailable)?;
    let count = affected(host, caller, prefix, &revoked)?;
    tracing::info!(user = %caller.user, count, "tokens revoked");
    Ok(respond::text(200, format!("deleted {count} tokens with prefix {prefix}")))
}

/// Changes a label.
pub(super) async fn update_label(
    asked: Asked<'_>,
    prefix: &str,
    body: wire::TokenLabel,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    change(host, caller, prefix, &TokenChange::Label(body.label)).await
}

/// Changes scopes, which count from the answer on.
pub(super) async fn update_scopes(
    asked: Asked<'_>,
    prefix: &str,
    body: wire::TokenScopes,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    narrower(caller, body.scopes.as_deref())?;
    change(
        host,
        caller,
        prefix,
        &TokenChange::Scopes(body.scopes.filter(|scopes| !scopes.is_empty())),
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
