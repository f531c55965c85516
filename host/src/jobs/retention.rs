//! Finished jobs are forgotten when their time is over: the shortest of what the host, the
//! workspace and the script say.

use super::house;
use crate::clock;
use crate::host::Host;
use std::time::Duration;
use tokio::time::sleep;
use wasmill_core::{ScriptPath, WorkspaceId};
use wasmill_store::{Micros, StoreError};

/// Jobs forgotten at once: few enough that nothing waits for it.
const BATCH: u32 = 500;
/// Rest between two such batches, for everybody else.
const REST: Duration = Duration::from_millis(10);
/// Between two looks at least, and at most.
const PERIOD: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often a node looks whether it has become the one that does this.
const OTHERS: Duration = Duration::from_secs(5);

/// Forgets for as long as it is not dropped.
pub(super) async fn keep(host: &Host) {
    loop {
        let wait = match house::is_ours(host).await {
            // A tenth of the shortest time, so that nothing is kept for much longer than asked for.
            true => round(host)
                .await
                .map_or(PERIOD.1, |shortest| (shortest / 10).clamp(PERIOD.0, PERIOD.1)),
            false => OTHERS,
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = host.retention_changed.notified() => {}
        }
    }
}

/// Looks at every workspace once, and returns the shortest time that anything is kept.
async fn round(host: &Host) -> Option<Duration> {
    let mut shortest = host.settings.limits.keep_runs;
    let workspaces = host.store.list_workspaces().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "workspaces cannot be listed, so no finished job is forgotten");
        Vec::new()
    });
    for workspace in workspaces {
        match of_workspace(host, &workspace.id).await {
            Ok(kept) => shortest = shorter(shortest, kept),
            Err(error) => {
                tracing::warn!(%error, workspace = %workspace.id, "finished jobs could not be forgotten")
            }
        }
    }
    shortest
}

fn shorter(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}

async fn of_workspace(
    host: &Host,
    workspace: &WorkspaceId,
) -> Result<Option<Duration>, StoreError> {
    let settings = host.store.workspace_settings(workspace).await?;
    let all = shorter(host.settings.limits.keep_runs, settings.keep_runs);
    let mut shortest = all;
    if let Some(time) = all {
        forget(host, workspace, None, time).await?;
    }
    for (path, time) in host.store.retentions(workspace).await? {
        // What is kept for longer than in the workspace was forgotten with the rest.
        if all.is_none_or(|all| time < all) {
            forget(host, workspace, Some(&path), time).await?;
            shortest = shorter(shortest, Some(time));
        }
    }
    Ok(shortest)
}

async fn forget(
    host: &Host,
    workspace: &WorkspaceId,
    path: Option<&ScriptPath>,
    time: Duration,
) -> Result<(), StoreError> {
    let before =
        clock::now().saturating_sub(Micros::try_from(time.as_micros()).unwrap_or(Micros::MAX));
    let mut total = 0;
    loop {
        let forgotten = host.store.purge_runs(workspace, path, before, BATCH).await?;
        total += forgotten;
        if forgotten < u64::from(BATCH) || !house::is_ours(host).await {
            break;
        }
        sleep(REST).await;
    }
    if total > 0 {
        tracing::debug!(%workspace, path = path.map(ScriptPath::as_str), jobs = total, "finished jobs forgotten");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_one_counts() {
        let (one, two) = (Some(Duration::from_secs(1)), Some(Duration::from_secs(2)));
        assert_eq!(
            [
                shorter(one, two),
                shorter(two, one),
                shorter(None, two),
                shorter(one, None),
                shorter(None, None)
            ],
            [one, one, two, one, None]
        );
    }
}
