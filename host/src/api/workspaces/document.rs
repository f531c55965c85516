//! The description of a workspace's webhooks.

use crate::api::asked::Asked;
use crate::api::openapi;
use crate::api::scripts::versions;
use crate::http::respond::{self, Reply};
use wasmill_core::scope::Need;
use wasmill_core::{Problem, WorkspaceId};

/// The description: the scripts in the workspace that the caller may run.
pub(super) async fn get(asked: Asked<'_>, workspace: &WorkspaceId) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let mut scripts = versions::all(host, workspace).await?;
    scripts
        .retain(|version| caller.scopes.allows(&Need::run_script(version.version.path.as_str())));
    Ok(respond::json(200, &openapi::workspace_document(workspace, &scripts)))
}
