//! Tokens: made, listed, revoked; and who the caller is.

use crate::clock;
use crate::host::Host;
use crate::resolve::unavailable;
use crate::serve::auth::Caller;
use crate::serve::respond::{self, Reply};
use wasmill_core::problem::Code;
use wasmill_core::scope::{Action, Need, Scopes};
use wasmill_core::token::PlainToken;
use wasmill_core::{Problem, WorkspaceId, wire};
use wasmill_store::{NewToken, Role};

/// Makes a token for the caller's user, shown this once. Never a broader one than the caller's own.
pub(crate) async fn create(host: &Host, caller: &Caller, body: &[u8]) -> Result<Reply, Problem> {
    caller.require_scope(&Need::all("users", Action::Write))?;
    let asked: wire::NewToken = match body.is_empty() {
        true => wire::NewToken::default(),
        false => {
            serde_json::from_slice(body).map_err(|error| Problem::bad_request(format!("The body is not a token description: {error}")))?
        }
    };
    let scopes = Scopes::parse(asked.scopes.as_deref()).map_err(Problem::bad_request)?;
    if !caller.scopes.covers(&scopes) {
        return Err(Problem::new(Code::Forbidden, "A token cannot make a token with more rights than its own"));
    }
    let workspace = match asked.workspace_id.as_deref().map(str::parse::<WorkspaceId>) {
        None => caller.workspace.clone(),
        Some(Ok(workspace)) => {
            caller.role(&workspace)?;
            Some(workspace)
        }
        Some(Err(error)) => return Err(Problem::bad_request(error.to_string())),
    };
    let expires = match asked.expiration.as_deref() {
        None => None,
        Some(text) => Some(
            wire::parse_timestamp(text)
                .ok_or_else(|| Problem::bad_request(format!("expiration is {text:?}; it must be a time such as 2030-01-31T09:00:00Z")))?,
        ),
    };
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| {
        tracing::error!(%error, "no randomness for a token");
        Problem::internal()
    })?;
    let token = PlainToken::from_random(&random);
    let stored = NewToken {
        digest: token.digest(),
        prefix: token.prefix().to_owned(),
        user: caller.user.clone(),
        workspace,
        label: asked.label.unwrap_or_default(),
        scopes: asked.scopes.filter(|scopes| !scopes.is_empty()),
        created: clock::now(),
        expires,
    };
    host.store.put_token(&stored).await.map_err(unavailable)?;
    Ok(respond::text(201, token.reveal().to_owned()))
}

/// The caller's tokens, newest first, without their secrets.
pub(crate) async fn list(host: &Host, caller: &Caller) -> Result<Reply, Problem> {
    caller.require_scope(&Need::all("users", Action::Read))?;
    let tokens = host.store.list_tokens(&caller.user).await.map_err(unavailable)?;
    let shown: Vec<_> = tokens
        .into_iter()
        .map(|info| wire::Token {
            label: Some(info.token.label).filter(|label| !label.is_empty()),
            token_prefix: info.token.prefix,
            created_at: wire::timestamp(info.token.created),
            expiration: info.token.expires.map(wire::timestamp),
            last_used_at: info.last_used.map(wire::timestamp),
            scopes: info.token.scopes,
            workspace_id: info.token.workspace.map(String::from),
        })
        .collect();
    Ok(respond::json(200, &shown))
}

/// Revokes the caller's tokens with this prefix; they stop working before the answer is sent.
pub(crate) async fn delete(host: &Host, caller: &Caller, prefix: &str) -> Result<Reply, Problem> {
    caller.require_scope(&Need::all("users", Action::Write))?;
    if prefix.len() < wasmill_core::limits::TOKEN_PREFIX_CHARS {
        return Err(Problem::bad_request("Give the whole prefix as it is listed, so that no other token is revoked"));
    }
    let prefix = prefix.get(..wasmill_core::limits::TOKEN_PREFIX_CHARS).unwrap_or(prefix);
    let revoked = host.store.revoke_tokens(&caller.user, prefix).await.map_err(unavailable)?;
    if revoked.is_empty() {
        return Err(Problem::not_found(format!("You have no token that begins with {prefix}")));
    }
    host.tokens.forget(&revoked);
    tracing::info!(user = caller.user, count = revoked.len(), "tokens revoked");
    Ok(respond::text(200, format!("deleted {} tokens with prefix {prefix}", revoked.len())))
}

/// Who the caller is in a workspace.
pub(crate) fn whoami(caller: &Caller, workspace: &WorkspaceId) -> Result<Reply, Problem> {
    let role = caller.role(workspace)?;
    let body = serde_json::json!({
        "email": caller.email,
        "username": caller.user,
        "is_admin": role == Role::Admin,
        "is_super_admin": caller.super_admin,
        "operator": role == Role::Operator,
        "disabled": false,
        "groups": [],
        "folders": [],
        "folders_read": [],
        "folders_owners": [],
    });
    Ok(respond::json(200, &body))
}

/// Who the caller is, whatever the workspace.
pub(crate) fn whoami_anywhere(caller: &Caller) -> Reply {
    let body = serde_json::json!({
        "email": caller.email,
        "username": caller.user,
        "login_type": "token",
        "super_admin": caller.super_admin,
        "devops": false,
        "verified": true,
        "disabled": false,
        "workspace_id": caller.workspace.as_ref().map(WorkspaceId::as_str),
    });
    respond::json(200, &body)
}
