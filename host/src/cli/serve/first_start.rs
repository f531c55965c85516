//! The first start of a host: workspace, user and token where there are none.

use crate::nodes::lead::Node;
use crate::{clock, files, random};
use std::path::Path;
use std::time::Duration;
use wasmill_core::token::PlainToken;
use wasmill_core::{InvalidName, UserName, WorkspaceId};
use wasmill_store::{NewToken, StoreError, User};

/// The task that only one of several hosts does, which start at once on an empty database.
const FIRST_START: &str = "first start";

/// Makes workspace, user and token where there are none. True when this is the first start.
///
/// The token's row is written before its file, so a start that was cut off between them makes
/// another token. Where the store is shared only a token that nobody has at all is made: the file
/// may be on another machine.
///
/// # Errors
/// A sentence.
pub(super) async fn first_start(node: &Node, token_file: &Path) -> Result<bool, String> {
    let Node { store, shared, id } = node;
    let failed = |error: StoreError| format!("the first start failed: {error}");
    // Long enough for two rows and a file, short enough to wait for.
    while !store
        .lead(FIRST_START, *id, clock::now(), clock::now() + 5_000_000)
        .await
        .map_err(failed)?
    {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let admin: UserName = "admin".parse().map_err(|error: InvalidName| error.to_string())?;
    let known = !store.list_workspaces().await.map_err(failed)?.is_empty();
    if known
        && (token_file.exists()
            || (*shared && !store.list_tokens(&admin).await.map_err(failed)?.is_empty()))
    {
        return Ok(false);
    }
    let workspace: WorkspaceId = "main".parse().map_err(|error: InvalidName| error.to_string())?;
    let now = clock::now();
    match store.create_workspace(&workspace, "Main", now).await {
        Ok(()) | Err(StoreError::Conflict(_)) => {}
        Err(error) => return Err(failed(error)),
    }
    let admin =
        User { name: admin, email: "admin@localhost".into(), super_admin: true, created: now };
    store.put_user(&admin).await.map_err(failed)?;
    store.put_member(&workspace, &admin.name, wasmill_store::Role::Admin).await.map_err(failed)?;
    let token = PlainToken::from_random(&random::bytes()?);
    let stored = NewToken {
        digest: token.digest(),
        prefix: token.prefix().to_owned(),
        user: admin.name,
        workspace: None,
        label: "made at the first start".into(),
        scopes: None,
        created: now,
        expires: None,
    };
    store.put_token(&stored).await.map_err(failed)?;
    files::write_private(token_file, token.reveal())
        .map_err(|error| format!("{} cannot be written: {error}", token_file.display()))?;
    Ok(true)
}
