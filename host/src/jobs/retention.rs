//! Finished jobs are forgotten when their time is over: the shortest of what the host, the
//! workspace and the script say.

use super::periodic::Again;
use crate::clock::{self, micros};
use crate::nodes::lead::Lead;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use wasmill_core::{ScriptPath, WorkspaceId};
use wasmill_store::{Store, StoreError};

/// Jobs forgotten at once: few enough that nothing waits for it.
const BATCH: u32 = 500;
/// Rest between two such batches, for everybody else.
const REST: Duration = Duration::from_millis(10);
/// Between two looks at least.
const SHORTEST_PERIOD: Duration = Duration::from_secs(1);
/// Between two looks at most.
const LONGEST_PERIOD: Duration = Duration::from_secs(60);

/// Forgets finished jobs.
pub(super) struct Retention {
    pub(super) store: Arc<dyn Store>,
    pub(super) lead: Arc<Lead>,
    /// How long jobs are kept, where no workspace and no script says less; `None`: for ever.
    pub(super) keep_runs: Option<Duration>,
}

impl Retention {
    /// Looks at every workspace once. It is looked again after a tenth of the shortest time that
    /// anything is kept, so that nothing is kept for much longer than asked for.
    pub(super) async fn round(self: Arc<Self>) -> Again {
        let mut shortest = self.keep_runs;
        let workspaces = self.store.list_workspaces().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "workspaces cannot be listed, so no finished job is forgotten");
            Vec::new()
        });
        for workspace in workspaces {
            match self.of_workspace(&workspace.id).await {
                Ok(kept) => shortest = shorter(shortest, kept),
                Err(error) => {
                    tracing::warn!(%error, workspace = %workspace.id, "finished jobs could not be forgotten");
                }
            }
        }
        Again::After(shortest.map_or(LONGEST_PERIOD, |shortest| {
            (shortest / 10).clamp(SHORTEST_PERIOD, LONGEST_PERIOD)
        }))
    }

    async fn of_workspace(&self, workspace: &WorkspaceId) -> Result<Option<Duration>, StoreError> {
        let settings = self.store.workspace_settings(workspace).await?;
        let all = shorter(self.keep_runs, settings.keep_runs);
        let mut shortest = all;
        if let Some(time) = all {
            self.forget(workspace, None, time).await?;
        }
        for (path, time) in self.store.retentions(workspace).await? {
            // What is kept for longer than in the workspace was forgotten with the rest.
            if all.is_none_or(|all| time < all) {
                self.forget(workspace, Some(&path), time).await?;
                shortest = shorter(shortest, Some(time));
            }
        }
        Ok(shortest)
    }

    async fn forget(
        &self,
        workspace: &WorkspaceId,
        path: Option<&ScriptPath>,
        time: Duration,
    ) -> Result<(), StoreError> {
        let before = clock::now().saturating_sub(micros(time));
        let mut total = 0;
        loop {
            let forgotten = self.store.purge_runs(workspace, path, before, BATCH).await?;
            total += forgotten;
            if forgotten < u64::from(BATCH) || !self.lead.is_ours().await {
                break;
            }
            sleep(REST).await;
        }
        if total > 0 {
            let path = path.map(ScriptPath::as_str);
            tracing::debug!(%workspace, path, jobs = total, "finished jobs forgotten");
        }
        Ok(())
    }
}

fn shorter(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
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
