//! Scripts and their versions in PostgreSQL.
//!
//! Who changes which versions a script has holds the script's row, so that deployments of one path
//! come one after another, wherever they come from.

use super::db::{Db, Values, digest, get, optional_digest, parsed, text};
use super::fault::{TxResult, corrupt};
use super::store::PostgresStore;
use crate::common::{changes, codec, refusals};
use crate::model::{duration, micros};
use crate::{Deployed, Micros, NewVersion, Result, Scripts, Version};
use async_trait::async_trait;
use std::time::Duration;
use tokio_postgres::Row;
use wasmill_core::{Digest, ScriptPath, VersionHash, WorkspaceId};

/// The columns of a version that [`version`] reads. Its parent is the one before it in the order of
/// deployment.
const VERSION: &str = "SELECT v.hash, v.manifest, s.path, v.module, v.module_bytes, v.kind, v.limits, v.schema, \
    v.summary, v.created_by, v.created, s.archived, v.deleted, \
    (SELECT p.hash FROM version p WHERE p.script = v.script AND p.deployed < v.deployed ORDER BY p.deployed DESC LIMIT 1) \
    FROM version v JOIN script s ON s.id = v.script";

#[async_trait]
impl Scripts for PostgresStore {
    async fn deploy(&self, workspace: &WorkspaceId, version: &NewVersion) -> Result<Deployed> {
        self.transaction(move |db| async move { deploy(&db, workspace, version).await }).await
    }

    async fn newest(&self, workspace: &WorkspaceId, path: &ScriptPath) -> Result<Option<Version>> {
        let which = "WHERE s.workspace = (SELECT id FROM workspace WHERE name = $1) AND s.path = $2 \
            AND NOT s.archived AND NOT v.deleted ORDER BY v.deployed DESC LIMIT 1";
        self.statement(move |db| async move {
            one(&db, which, &[&workspace.as_str(), &path.as_str()]).await
        })
        .await
    }

    async fn version(
        &self,
        workspace: &WorkspaceId,
        hash: &VersionHash,
    ) -> Result<Option<Version>> {
        let which =
            "WHERE v.workspace = (SELECT id FROM workspace WHERE name = $1) AND v.hash = $2";
        self.statement(move |db| async move {
            one(&db, which, &[&workspace.as_str(), &hash.0.as_slice()]).await
        })
        .await
    }

    async fn list_scripts(
        &self,
        workspace: &WorkspaceId,
        after: Option<&ScriptPath>,
        limit: u32,
    ) -> Result<Vec<Version>> {
        // Every path is larger than the empty text.
        let after = after.map_or("", ScriptPath::as_str);
        let which = "WHERE s.workspace = (SELECT id FROM workspace WHERE name = $1) AND s.path > $2 \
            AND NOT s.archived AND v.deployed = (SELECT max(deployed) FROM version WHERE script = s.id AND NOT deleted) \
            ORDER BY s.path LIMIT $3";
        self.statement(move |db| async move {
            many(&db, which, &[&workspace.as_str(), &after, &i64::from(limit)]).await
        })
        .await
    }

    async fn history(
        &self,
        workspace: &WorkspaceId,
        path: &ScriptPath,
        limit: u32,
    ) -> Result<Vec<Version>> {
        let which = "WHERE s.workspace = (SELECT id FROM workspace WHERE name = $1) AND s.path = $2 ORDER BY v.deployed DESC LIMIT $3";
        self.statement(move |db| async move {
            many(&db, which, &[&workspace.as_str(), &path.as_str(), &i64::from(limit)]).await
        })
        .await
    }

    async fn archive(
        &self,
        workspace: &WorkspaceId,
        path: &ScriptPath,
        at: Micros,
    ) -> Result<bool> {
        self.transaction(move |db| async move {
            let sql = "SELECT s.id, s.workspace, s.archived FROM script s \
                WHERE s.workspace = (SELECT id FROM workspace WHERE name = $1) AND s.path = $2 FOR NO KEY UPDATE";
            let Some(row) = db.row(sql, &[&workspace.as_str(), &path.as_str()]).await? else {
                return Ok(false);
            };
            let (script, workspace, archived): (i64, i64, bool) = (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?);
            if archived {
                return Ok(true);
            }
            db.execute("UPDATE script SET archived = true WHERE id = $1", &[&script]).await?;
            let newest = order(&db, script).await?.and_then(|last| last.newest);
            db.tell_all(workspace, at, changes::of_archival(path, newest)).await?;
            Ok(true)
        })
        .await
    }

    async fn delete_version(
        &self,
        workspace: &WorkspaceId,
        hash: &VersionHash,
        at: Micros,
    ) -> Result<bool> {
        self.transaction(move |db| async move { delete_version(&db, workspace, *hash, at).await })
            .await
    }

    async fn module_in_use(&self, module: &Digest) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT FROM version WHERE module = $1 AND NOT deleted)";
        self.statement(
            move |db| async move { get(&db.one(sql, &[&module.0.as_slice()]).await?, 0) },
        )
        .await
    }

    async fn reserve_module(&self, module: &Digest, now: Micros, until: Micros) -> Result<()> {
        let sql = "INSERT INTO module (digest, reserved) VALUES ($1, $3) ON CONFLICT (digest) DO UPDATE \
            SET reserved = greatest(module.reserved, $3) WHERE module.collecting IS NULL OR module.collecting < $2";
        let reserved = self
            .statement(move |db| async move {
                db.execute(sql, &[&module.0.as_slice(), &now, &until]).await
            })
            .await?;
        match reserved {
            0 => Err(refusals::module_collecting(module)),
            _ => Ok(()),
        }
    }

    async fn collect_module(&self, module: &Digest, now: Micros, until: Micros) -> Result<bool> {
        // Whoever deploys it has reserved it before, which this one row shows.
        let sql = "INSERT INTO module (digest, collecting) SELECT $1, $3 \
            WHERE NOT EXISTS (SELECT FROM version WHERE module = $1 AND NOT deleted) ON CONFLICT (digest) DO UPDATE \
            SET reserved = NULL, collecting = $3 \
            WHERE coalesce(module.reserved < $2, true) AND coalesce(module.collecting < $2, true)";
        let marked = self
            .statement(move |db| async move {
                db.execute(sql, &[&module.0.as_slice(), &now, &until]).await
            })
            .await?;
        Ok(marked > 0)
    }

    async fn module_collected(&self, module: &Digest) -> Result<()> {
        self.transaction(move |db| async move {
            db.execute(
                "UPDATE module SET collecting = NULL WHERE digest = $1",
                &[&module.0.as_slice()],
            )
            .await?;
            db.execute(
                "DELETE FROM module WHERE digest = $1 AND reserved IS NULL AND collecting IS NULL",
                &[&module.0.as_slice()],
            )
            .await?;
            Ok(())
        })
        .await
    }

    async fn set_retention(
        &self,
        workspace: &WorkspaceId,
        path: &ScriptPath,
        keep: Option<Duration>,
    ) -> Result<bool> {
        let sql = "UPDATE script SET keep_runs = $3 WHERE workspace = (SELECT id FROM workspace WHERE name = $1) AND path = $2";
        let keep = keep.map(micros);
        let set = self
            .statement(move |db| async move {
                db.execute(sql, &[&workspace.as_str(), &path.as_str(), &keep]).await
            })
            .await?;
        Ok(set > 0)
    }

    async fn retentions(&self, workspace: &WorkspaceId) -> Result<Vec<(ScriptPath, Duration)>> {
        let sql = "SELECT path, keep_runs FROM script WHERE workspace = (SELECT id FROM workspace WHERE name = $1) \
            AND keep_runs IS NOT NULL ORDER BY path";
        let kept = |row: &Row| Ok((parsed(row, 0)?, duration(get(row, 1)?)));
        self.statement(move |db| async move {
            db.rows(sql, &[&workspace.as_str()]).await?.iter().map(kept).collect()
        })
        .await
    }
}

async fn deploy(db: &Db, workspace: &WorkspaceId, new: &NewVersion) -> TxResult<Deployed> {
    let workspace = db.workspace(workspace).await?;
    let (script, was_archived) = script(db, workspace, &new.path).await?;
    let last = order(db, script).await?;
    let next = last.as_ref().map_or(1, |last| last.deployed + 1);
    let before = last.as_ref().and_then(|last| last.newest).filter(|_| !was_archived);
    let created = write(db, workspace, script, next, new).await?;
    if was_archived {
        db.execute("UPDATE script SET archived = false WHERE id = $1", &[&script]).await?;
    }
    let hash = new.hash;
    if last.as_ref().is_some_and(|last| last.hash != hash) {
        let sql = "UPDATE version SET deployed = $1 WHERE workspace = $2 AND hash = $3 AND deployed <> $1";
        db.execute(sql, &[&next, &workspace, &hash.0.as_slice()]).await?;
    }
    let change = changes::of_deployment(new, last.is_none(), before);
    db.tell_all(workspace, new.created, change).await?;
    match one(db, "WHERE v.workspace = $1 AND v.hash = $2", &[&workspace, &hash.0.as_slice()])
        .await?
    {
        Some(version) => Ok(Deployed { version, created }),
        None => Err(corrupt("version", "it is gone within its own transaction")),
    }
}

/// The version of a script that was deployed last.
struct Last {
    deployed: i64,
    hash: VersionHash,
    /// The last one that is not deleted.
    newest: Option<VersionHash>,
}

/// What stands at the end of a script's order of deployment, when anything was deployed.
async fn order(db: &Db, script: i64) -> TxResult<Option<Last>> {
    let sql = "SELECT deployed, hash, \
        (SELECT hash FROM version WHERE script = $1 AND NOT deleted ORDER BY deployed DESC LIMIT 1) \
        FROM version WHERE script = $1 ORDER BY deployed DESC LIMIT 1";
    let last = |row: Row| {
        Ok(Last {
            deployed: get(&row, 0)?,
            hash: Digest(digest(&row, 1)?),
            newest: optional_digest(&row, 2)?.map(Digest),
        })
    };
    db.row(sql, &[&script]).await?.map(last).transpose()
}

async fn delete_version(
    db: &Db,
    workspace: &WorkspaceId,
    hash: VersionHash,
    at: Micros,
) -> TxResult<bool> {
    let sql = "SELECT s.id, s.workspace, s.path FROM version v JOIN script s ON s.id = v.script \
        WHERE v.workspace = (SELECT id FROM workspace WHERE name = $1) AND v.hash = $2 FOR NO KEY UPDATE OF s";
    let Some(row) = db.row(sql, &[&workspace.as_str(), &hash.0.as_slice()]).await? else {
        return Ok(false);
    };
    let (script, workspace): (i64, i64) = (get(&row, 0)?, get(&row, 1)?);
    let path: ScriptPath = parsed(&row, 2)?;
    let sql = "UPDATE version SET deleted = true, manifest = '', schema = NULL, summary = '' \
        WHERE workspace = $1 AND hash = $2 AND NOT deleted";
    if db.execute(sql, &[&workspace, &hash.0.as_slice()]).await? == 0 {
        return Ok(false);
    }
    let sql = "SELECT NOT EXISTS (SELECT FROM version WHERE script = $1 AND NOT deleted)";
    let is_last = get(&db.one(sql, &[&script]).await?, 0)?;
    db.tell_all(workspace, at, changes::of_deletion(path, hash, is_last)).await?;
    Ok(true)
}

/// The row of a script, which is made when it is new and held until the end, and whether it is
/// archived.
async fn script(db: &Db, workspace: i64, path: &ScriptPath) -> TxResult<(i64, bool)> {
    let make = "INSERT INTO script (workspace, path) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let hold =
        "SELECT id, archived FROM script WHERE workspace = $1 AND path = $2 FOR NO KEY UPDATE";
    let values: Values<'_> = &[&workspace, &path.as_str()];
    if let Some(row) = db.row(hold, values).await? {
        return Ok((get(&row, 0)?, get(&row, 1)?));
    }
    db.execute(make, values).await?;
    let row = db.one(hold, values).await?;
    Ok((get(&row, 0)?, get(&row, 1)?))
}

/// Writes a new version, or one again that was deleted. False when it is there and not deleted.
async fn write(
    db: &Db,
    workspace: i64,
    script: i64,
    deployed: i64,
    new: &NewVersion,
) -> TxResult<bool> {
    let limits = codec::limits_text(&new.limits)?;
    let (module, kind) = codec::runnable_columns(&new.runnable);
    let sql = "INSERT INTO version (workspace, hash, script, deployed, manifest, module, module_bytes, kind, limits, \
        schema, summary, created_by, created) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
        ON CONFLICT (workspace, hash) DO UPDATE SET deleted = false, manifest = excluded.manifest, module = excluded.module, \
        module_bytes = excluded.module_bytes, kind = excluded.kind, limits = excluded.limits, schema = excluded.schema, \
        summary = excluded.summary, created_by = excluded.created_by, created = excluded.created \
        WHERE version.deleted AND version.script = excluded.script";
    let values: Values<'_> = &[
        &workspace,
        &new.hash.0.as_slice(),
        &script,
        &deployed,
        &new.manifest,
        &module.as_slice(),
        &codec::signed(new.module_bytes),
        &kind,
        &limits,
        &new.schema,
        &new.summary.as_bytes(),
        &new.created_by,
        &new.created,
    ];
    if db.execute(sql, values).await? > 0 {
        return Ok(true);
    }
    // It is there. Should it have come meanwhile, then to another path.
    let sql = "SELECT s.path FROM version v JOIN script s ON s.id = v.script WHERE v.workspace = $1 AND v.hash = $2 AND v.script <> $3";
    match db.row(sql, &[&workspace, &new.hash.0.as_slice(), &script]).await? {
        Some(row) => Err(refusals::version_elsewhere(&new.hash, &parsed(&row, 0)?).into()),
        None => Ok(false),
    }
}

async fn one(db: &Db, which: &str, values: Values<'_>) -> TxResult<Option<Version>> {
    Ok(many(db, which, values).await?.into_iter().next())
}

async fn many(db: &Db, which: &str, values: Values<'_>) -> TxResult<Vec<Version>> {
    db.rows(&format!("{VERSION} {which}"), values).await?.iter().map(version).collect()
}

fn version(row: &Row) -> TxResult<Version> {
    let version = NewVersion {
        hash: Digest(digest(row, 0)?),
        manifest: get(row, 1)?,
        path: parsed(row, 2)?,
        runnable: codec::runnable(digest(row, 3)?, get(row, 5)?)?,
        module_bytes: codec::unsigned(get(row, 4)?),
        limits: codec::limits(get(row, 6)?)?,
        schema: get(row, 7)?,
        summary: text(row, 8)?,
        created_by: get(row, 9)?,
        created: get(row, 10)?,
    };
    Ok(Version {
        version,
        deleted: get(row, 12)?,
        archived: get(row, 11)?,
        parent: optional_digest(row, 13)?.map(Digest),
    })
}
