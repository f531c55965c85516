//! How many jobs workspaces have: sums of what each change noted.

use super::db::get;
use super::fault::Fault;
use super::shared::Shared;
use crate::{Counts, Result};
use std::collections::HashMap;
use wasmill_core::WorkspaceId;

/// More changes of one workspace than this are summed up before somebody does it anyway.
const MANY: i64 = 4_096;

impl Shared {
    /// Looks up the depths of workspaces, for all who ask at the same time.
    pub(super) async fn look_up_depths(&self, workspaces: &[i64]) -> Result<Vec<u64>> {
        let before = self.depths.before();
        let sql = "SELECT workspace, sum(depth)::bigint, count(*) FROM tally WHERE workspace = ANY ($1) GROUP BY 1";
        let mut many = false;
        let mut found: HashMap<i64, i64> =
            workspaces.iter().map(|workspace| (*workspace, 0)).collect();
        let rows =
            self.statement(move |db| async move { db.rows(sql, &[&workspaces]).await }).await?;
        for row in &rows {
            let read = || Ok::<(i64, i64, i64), Fault>((get(row, 0)?, get(row, 1)?, get(row, 2)?));
            let (workspace, depth, changes) = read().map_err(Fault::into_error)?;
            many |= changes > MANY;
            found.insert(workspace, depth);
        }
        if many {
            self.sum_up().await?;
        }
        self.depths.learn(before, found.iter().map(|(workspace, depth)| (*workspace, *depth)));
        let depth = |workspace: &i64| {
            u64::try_from(found.get(workspace).copied().unwrap_or(0)).unwrap_or(0)
        };
        Ok(workspaces.iter().map(depth).collect())
    }

    /// How many jobs a workspace has.
    pub(super) async fn count(&self, workspace: &WorkspaceId) -> Result<Counts> {
        let Some(workspace) = self.workspace_row(workspace).await? else {
            return Ok(Counts::default());
        };
        let sql = "SELECT coalesce(sum(depth), 0)::bigint, coalesce(sum(finished), 0)::bigint, \
            (SELECT count(*) FROM running WHERE workspace = $1) FROM tally WHERE workspace = $1";
        let row = self.statement(move |db| async move { db.one(sql, &[&workspace]).await }).await?;
        let read =
            |column: usize| Ok::<u64, Fault>(u64::try_from(get::<i64>(&row, column)?).unwrap_or(0));
        let counts = || {
            let (depth, completed, running) = (read(0)?, read(1)?, read(2)?);
            Ok::<_, Fault>(Counts {
                queued: depth.saturating_sub(running),
                running,
                suspended: 0,
                completed,
            })
        };
        counts().map_err(Fault::into_error)
    }

    /// Replaces changes by their sums.
    pub(super) async fn sum_up(&self) -> Result<()> {
        // One node at a time: others would wait for its locks only to find nothing.
        let sql = "WITH mine AS MATERIALIZED (SELECT pg_try_advisory_xact_lock($1) AS free), \
            old AS (DELETE FROM tally WHERE (SELECT free FROM mine) RETURNING workspace, day, depth, finished) \
            INSERT INTO tally (workspace, day, depth, finished) SELECT workspace, day, sum(depth), sum(finished) FROM old \
            GROUP BY workspace, day HAVING sum(depth) <> 0 OR sum(finished) <> 0";
        self.statement(move |db| async move { db.execute(sql, &[&SUM_LOCK]).await }).await.map(drop)
    }
}

/// The lock of summing up.
const SUM_LOCK: i64 = 0x77_6173_7375_6d73;

/// An answer for each of several calls that ask for the same.
pub(super) fn each<T>(answers: Vec<T>) -> Vec<Result<T>> {
    answers.into_iter().map(Ok).collect()
}
