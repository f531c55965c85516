//! How long a script's finished jobs are kept.

use super::versions::no_script;
use crate::api::asked::Asked;
use crate::api::parse::keep_runs;
use crate::http::respond::{self, Reply};
use crate::store_errors::unavailable;
use wasmill_core::{Problem, ScriptPath, WorkspaceId, wire};

/// Sets how long a script's finished jobs are kept, where that is shorter than in the workspace.
pub(super) async fn edit(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    path: &ScriptPath,
    body: wire::Retention,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    if !host.store.set_retention(workspace, path, keep_runs(&body)?).await.map_err(unavailable)? {
        return Err(no_script(workspace, path));
    }
    host.retention_changed.notify_one();
    let seconds = body.keep_runs_secs;
    tracing::info!(%workspace, %path, user = %caller.user, seconds, "retention of a script set");
    Ok(respond::text(200, format!("Edit retention for script {path}")))
}
