//! The tokens that are for one script.

use crate::api::accounts::tokens::shown;
use crate::api::asked::Asked;
use crate::http::respond::{self, Reply};
use crate::store_errors::unavailable;
use wasmill_core::{Problem, ScriptPath, UserName, WorkspaceId};

/// The tokens of the workspace that are for this script, newest first.
pub(super) async fn list(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    path: &ScriptPath,
) -> Result<Reply, Problem> {
    let host = asked.host;
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
