//! A workspace's share of the workers.

use super::settings::change;
use crate::api::asked::Asked;
use crate::http::respond::{self, Reply};
use wasmill_core::queue::fair::MAX_WEIGHT;
use wasmill_core::{Problem, WorkspaceId, wire};
use wasmill_store::WorkspaceSettings;

/// Sets the workspace's share of the workers.
pub(super) async fn edit(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    body: &wire::EditWeight,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let weight = body.weight;
    if !(1..=MAX_WEIGHT).contains(&weight) {
        return Err(Problem::bad_request(format!(
            "weight is {weight}; it must be 1 to {MAX_WEIGHT}"
        )));
    }
    change(host, workspace, |settings| WorkspaceSettings { weight, ..settings }).await?;
    tracing::info!(%workspace, user = %caller.user, weight, "weight of a workspace set");
    Ok(respond::text(200, format!("Edit weight for workspace {workspace}")))
}
