//! How long finished jobs are kept, by workspace and by script, and a workspace's share of the
//! workers.

use super::scripts::no_script;
use crate::host::Host;
use crate::resolve::unavailable;
use crate::serve::auth::Caller;
use crate::serve::respond::{self, Reply};
use std::time::Duration;
use wasmill_core::queue::fair::MAX_WEIGHT;
use wasmill_core::{Problem, ScriptPath, WorkspaceId, wire};
use wasmill_store::WorkspaceSettings;

/// # Errors
/// 400 for no time at all: whoever asks for a result would find nothing.
fn time(asked: &wire::Retention) -> Result<Option<Duration>, Problem> {
    match asked.keep_runs_secs {
        Some(0) => Err(Problem::bad_request(
            "keep_runs_secs is 0; it must be 1 or more, or null for as long as it is said one level above. A script that is to leave \
             nothing behind is deployed with delete_after_use",
        )),
        seconds => Ok(seconds.map(|seconds| Duration::from_secs(seconds.into()))),
    }
}

/// Sets how long the workspace's finished jobs are kept, where that is shorter than for the host.
pub(crate) async fn edit(
    host: &Host,
    caller: &Caller,
    workspace: &WorkspaceId,
    asked: wire::Retention,
) -> Result<Reply, Problem> {
    let keep_runs = time(&asked)?;
    change(host, workspace, |settings| WorkspaceSettings { keep_runs, ..settings }).await?;
    host.retention_changed.notify_one();
    tracing::info!(%workspace, user = %caller.user, seconds = asked.keep_runs_secs, "retention of a workspace set");
    Ok(respond::text(200, format!("Edit retention for workspace {workspace}")))
}

/// Sets the workspace's share of the workers.
pub(crate) async fn edit_weight(
    host: &Host,
    caller: &Caller,
    workspace: &WorkspaceId,
    asked: &wire::EditWeight,
) -> Result<Reply, Problem> {
    let weight = asked.weight;
    if !(1..=MAX_WEIGHT).contains(&weight) {
        return Err(Problem::bad_request(format!(
            "weight is {weight}; it must be 1 to {MAX_WEIGHT}"
        )));
    }
    change(host, workspace, |settings| WorkspaceSettings { weight, ..settings }).await?;
    tracing::info!(%workspace, user = %caller.user, weight, "weight of a workspace set");
    Ok(respond::text(200, format!("Edit weight for workspace {workspace}")))
}

async fn change(
    host: &Host,
    workspace: &WorkspaceId,
    changed: impl FnOnce(WorkspaceSettings) -> WorkspaceSettings,
) -> Result<(), Problem> {
    let _alone = host.workspace_writes.lock().await;
    let settings = host.store.workspace_settings(workspace).await.map_err(unavailable)?;
    host.store.put_workspace_settings(workspace, &changed(settings)).await.map_err(unavailable)
}

/// Sets how long a script's finished jobs are kept, where that is shorter than in the workspace.
pub(crate) async fn of_script(
    host: &Host,
    caller: &Caller,
    workspace: &WorkspaceId,
    path: &ScriptPath,
    asked: wire::Retention,
) -> Result<Reply, Problem> {
    if !host.store.set_retention(workspace, path, time(&asked)?).await.map_err(unavailable)? {
        return Err(no_script(workspace, path));
    }
    host.retention_changed.notify_one();
    tracing::info!(%workspace, %path, user = %caller.user, seconds = asked.keep_runs_secs, "retention of a script set");
    Ok(respond::text(200, format!("Edit retention for script {path}")))
}
