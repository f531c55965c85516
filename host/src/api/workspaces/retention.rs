//! How long a workspace's finished jobs are kept.

use super::settings::change;
use crate::api::asked::Asked;
use crate::api::parse::keep_runs;
use crate::http::respond::{self, Reply};
use wasmill_core::{Problem, WorkspaceId, wire};
use wasmill_store::WorkspaceSettings;

/// Sets how long the workspace's finished jobs are kept, where that is shorter than for the host.
pub(super) async fn edit(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    body: wire::Retention,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let keep_runs = keep_runs(&body)?;
    change(host, workspace, |settings| WorkspaceSettings { keep_runs, ..settings }).await?;
    host.retention_changed.notify_one();
    let seconds = body.keep_runs_secs;
    tracing::info!(%workspace, user = %caller.user, seconds, "retention of a workspace set");
    Ok(respond::text(200, format!("Edit retention for workspace {workspace}")))
}
