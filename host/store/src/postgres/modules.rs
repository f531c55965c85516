//! What is decided about workspaces and scripts, and which modules are needed, are about to be, or are on their way out.

use super::Shared;
use super::db::get;
use super::rows::duration;
use crate::model::micros;
use crate::{Micros, Result, StoreError, WorkspaceSettings};
use std::time::Duration;
use wasmill_core::queue::fair::WEIGHT;
use wasmill_core::{Digest, ScriptPath, WorkspaceId};

impl Shared {
    /// See [`crate::Accounts::workspace_settings`].
    pub(super) async fn settings(&self, workspace: &WorkspaceId) -> Result<WorkspaceSettings> {
        let sql = "SELECT weight, keep_runs FROM workspace WHERE name = $1";
        let found = self.statement(move |db| async move {
            let row = db.row(sql, &[&workspace.as_str()]).await?;
            let settings = row.map(|row| {
                let weight = u32::try_from(get::<i64>(&row, 0)?).unwrap_or(WEIGHT);
                Ok(WorkspaceSettings { weight, keep_runs: get::<Option<i64>>(&row, 1)?.map(duration) })
            });
            settings.transpose()
        });
        found.await?.ok_or_else(|| StoreError::NotFound(format!("workspace {workspace}")))
    }

    /// See [`crate::Accounts::put_workspace_settings`].
    pub(super) async fn set_settings(&self, workspace: &WorkspaceId, settings: &WorkspaceSettings) -> Result<()> {
        let (weight, keep) = (i64::from(settings.weight), settings.keep_runs.map(micros));
        let sql = "UPDATE workspace SET weight = $2, keep_runs = $3 WHERE name = $1";
        let set = self.statement(move |db| async move { db.execute(sql, &[&workspace.as_str(), &weight, &keep]).await });
        match set.await? {
            0 => Err(StoreError::NotFound(format!("workspace {workspace}"))),
            _ => Ok(()),
        }
    }

    /// See [`crate::Scripts::set_retention`].
    pub(super) async fn keep_script(&self, workspace: &WorkspaceId, path: &ScriptPath, keep: Option<Duration>) -> Result<bool> {
        let keep = keep.map(micros);
        let sql = "UPDATE script SET keep_runs = $3 WHERE workspace = (SELECT id FROM workspace WHERE name = $1) AND path = $2";
        let set = self.statement(move |db| async move { db.execute(sql, &[&workspace.as_str(), &path.as_str(), &keep]).await });
        Ok(set.await? > 0)
    }

    /// See [`crate::Scripts::retentions`].
    pub(super) async fn kept_scripts(&self, workspace: &WorkspaceId) -> Result<Vec<(ScriptPath, Duration)>> {
        let sql = "SELECT path, keep_runs FROM script WHERE workspace = (SELECT id FROM workspace WHERE name = $1) \
            AND keep_runs IS NOT NULL ORDER BY path";
        let kept = self.statement(move |db| async move {
            let rows = db.rows(sql, &[&workspace.as_str()]).await?;
            rows.iter().map(|row| Ok((super::db::parsed(row, 0)?, duration(get(row, 1)?)))).collect()
        });
        kept.await
    }

    /// See [`crate::Scripts::reserve_module`].
    pub(super) async fn reserve(&self, module: &Digest, now: Micros, until: Micros) -> Result<()> {
        let sql = "INSERT INTO module (digest, reserved) VALUES ($1, $3) ON CONFLICT (digest) DO UPDATE \
            SET reserved = greatest(module.reserved, excluded.reserved) WHERE module.collecting IS NULL OR module.collecting < $2";
        let reserved = self.statement(move |db| async move { db.execute(sql, &[&module.0.as_slice(), &now, &until]).await });
        match reserved.await? {
            0 => Err(StoreError::Conflict(format!("module {module} is being collected"))),
            _ => Ok(()),
        }
    }

    /// See [`crate::Scripts::collect_module`].
    pub(super) async fn collect(&self, module: &Digest, now: Micros, until: Micros) -> Result<bool> {
        // Whoever needs it from now on has to reserve it first, and so comes before this or finds the mark.
        let sql = "INSERT INTO module (digest, collecting) SELECT $1, $3 \
            WHERE NOT EXISTS (SELECT FROM version WHERE module = $1 AND NOT deleted) ON CONFLICT (digest) DO UPDATE \
            SET reserved = NULL, collecting = excluded.collecting \
            WHERE (module.reserved IS NULL OR module.reserved < $2) AND (module.collecting IS NULL OR module.collecting < $2) \
            AND NOT EXISTS (SELECT FROM version v WHERE v.module = $1 AND NOT v.deleted)";
        let marked = self.statement(move |db| async move { db.execute(sql, &[&module.0.as_slice(), &now, &until]).await });
        Ok(marked.await? > 0)
    }

    /// See [`crate::Scripts::module_collected`].
    pub(super) async fn collected(&self, module: &Digest) -> Result<()> {
        let sql = "WITH gone AS (DELETE FROM module WHERE digest = $1 AND reserved IS NULL) \
            UPDATE module SET collecting = NULL WHERE digest = $1 AND reserved IS NOT NULL";
        self.statement(move |db| async move { db.execute(sql, &[&module.0.as_slice()]).await }).await.map(drop)
    }
}
