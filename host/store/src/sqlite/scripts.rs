//! Scripts and their versions in SQLite.

use super::fault::{TxResult, corrupt};
use super::modules;
use super::names::workspace_row;
use super::store::{Need, SqliteStore};
use super::tx::Tx;
use crate::common::codec::{self, signed};
use crate::common::{changes, refusals};
use crate::model::{duration, micros};
use crate::{Deployed, Micros, NewVersion, Result, Scripts, Version};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row};
use std::time::Duration;
use wasmill_core::{Digest, ScriptPath, VersionHash, WorkspaceId};

/// The columns of a version that [`version`] reads. Its parent is the one before it in the order of
/// deployment.
const VERSION: &str = "SELECT v.hash, v.manifest, s.path, v.module, v.module_bytes, v.kind, v.limits, v.schema, \
    v.summary, v.created_by, v.created, s.archived, v.deleted, \
    (SELECT p.hash FROM version p WHERE p.script = v.script AND p.deployed < v.deployed ORDER BY p.deployed DESC LIMIT 1) \
    FROM version v JOIN script s ON s.id = v.script";

#[async_trait]
impl Scripts for SqliteStore {
    async fn deploy(&self, workspace: &WorkspaceId, version: &NewVersion) -> Result<Deployed> {
        let (workspace, version) = (workspace.clone(), version.clone());
        self.write(Need::Synced, move |tx| deploy(tx, &workspace, &version)).await
    }

    async fn newest(&self, workspace: &WorkspaceId, path: &ScriptPath) -> Result<Option<Version>> {
        let (workspace, path) = (workspace.clone(), path.clone());
        self.read(move |conn| {
            let which = "WHERE s.workspace = (SELECT id FROM workspace WHERE name = ?1) AND s.path = ?2 \
                AND s.archived = 0 AND v.deleted = 0 ORDER BY v.deployed DESC LIMIT 1";
            one(conn, which, (workspace.as_str(), path.as_str()))
        })
        .await
    }

    async fn version(
        &self,
        workspace: &WorkspaceId,
        hash: &VersionHash,
    ) -> Result<Option<Version>> {
        let (workspace, hash) = (workspace.clone(), *hash);
        self.read(move |conn| match workspace_row(conn, &workspace)? {
            Some(workspace) => one(conn, BY_HASH, (workspace, hash.0)),
            None => Ok(None),
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
        let after = after.map_or_else(String::new, ToString::to_string);
        let workspace = workspace.clone();
        self.read(move |conn| {
            let which = "WHERE s.workspace = (SELECT id FROM workspace WHERE name = ?1) AND s.path > ?2 \
                AND s.archived = 0 AND v.deployed = (SELECT max(deployed) FROM version WHERE script = s.id AND deleted = 0) \
                ORDER BY s.path LIMIT ?3";
            many(conn, which, (workspace.as_str(), after, limit))
        })
        .await
    }

    async fn history(
        &self,
        workspace: &WorkspaceId,
        path: &ScriptPath,
        limit: u32,
    ) -> Result<Vec<Version>> {
        let (workspace, path) = (workspace.clone(), path.clone());
        self.read(move |conn| {
            let which = "WHERE s.workspace = (SELECT id FROM workspace WHERE name = ?1) AND s.path = ?2 \
                ORDER BY v.deployed DESC LIMIT ?3";
            many(conn, which, (workspace.as_str(), path.as_str(), limit))
        })
        .await
    }

    async fn archive(
        &self,
        workspace: &WorkspaceId,
        path: &ScriptPath,
        at: Micros,
    ) -> Result<bool> {
        let (workspace, path) = (workspace.clone(), path.clone());
        self.write(Need::Synced, move |tx| {
            let Some(workspace) = workspace_row(tx.conn, &workspace)? else {
                return Ok(false);
            };
            let newest = newest_hash(tx.conn, workspace, &path)?;
            let sql = "UPDATE script SET archived = 1 WHERE workspace = ?1 AND path = ?2";
            let found = tx.conn.prepare_cached(sql)?.execute((workspace, path.as_str()))? > 0;
            tx.changed |= found;
            tx.tell_all(workspace, at, changes::of_archival(&path, newest))?;
            Ok(found)
        })
        .await
    }

    async fn delete_version(
        &self,
        workspace: &WorkspaceId,
        hash: &VersionHash,
        at: Micros,
    ) -> Result<bool> {
        let (workspace, hash) = (workspace.clone(), *hash);
        self.write(Need::Synced, move |tx| {
            let Some(workspace) = workspace_row(tx.conn, &workspace)? else {
                return Ok(false);
            };
            delete_version(tx, workspace, hash, at)
        })
        .await
    }

    async fn module_in_use(&self, module: &Digest) -> Result<bool> {
        let module = *module;
        self.read(move |conn| Ok(modules::in_use(conn, &module)?)).await
    }

    async fn reserve_module(&self, module: &Digest, now: Micros, until: Micros) -> Result<()> {
        let module = *module;
        self.write(Need::Committed, move |tx| modules::reserve(tx.conn, &module, now, until)).await
    }

    async fn collect_module(&self, module: &Digest, now: Micros, until: Micros) -> Result<bool> {
        let module = *module;
        // Whoever is told that it may go removes it, and so no power cut may bring back what kept
        // it.
        self.write(Need::Synced, move |tx| Ok(modules::collect(tx.conn, &module, now, until)?))
            .await
    }

    async fn module_collected(&self, module: &Digest) -> Result<()> {
        let module = *module;
        self.write(Need::Committed, move |tx| Ok(modules::collected(tx.conn, &module)?)).await
    }

    async fn set_retention(
        &self,
        workspace: &WorkspaceId,
        path: &ScriptPath,
        keep: Option<Duration>,
    ) -> Result<bool> {
        let (workspace, path) = (workspace.clone(), path.clone());
        self.write(Need::Synced, move |tx| {
            let sql = "UPDATE script SET keep_runs = ?3 WHERE workspace = (SELECT id FROM workspace WHERE name = ?1) AND path = ?2";
            Ok(tx.conn.prepare_cached(sql)?.execute((workspace.as_str(), path.as_str(), keep.map(micros)))? > 0)
        })
        .await
    }

    async fn retentions(&self, workspace: &WorkspaceId) -> Result<Vec<(ScriptPath, Duration)>> {
        let workspace = workspace.clone();
        self.read(move |conn| {
            let sql = "SELECT path, keep_runs FROM script WHERE workspace = (SELECT id FROM workspace WHERE name = ?1) \
                AND keep_runs IS NOT NULL ORDER BY path";
            let mut statement = conn.prepare_cached(sql)?;
            let mut rows = statement.query([workspace.as_str()])?;
            let mut kept = Vec::new();
            while let Some(row) = rows.next()? {
                let path: String = row.get(0)?;
                let path = path.parse().map_err(|error| corrupt("script.path", error))?;
                kept.push((path, duration(row.get(1)?)));
            }
            Ok(kept)
        })
        .await
    }
}

const BY_HASH: &str = "WHERE v.workspace = ?1 AND v.hash = ?2";

fn deploy(tx: &mut Tx<'_>, workspace_id: &WorkspaceId, new: &NewVersion) -> TxResult<Deployed> {
    let workspace = tx.workspace(workspace_id)?;
    let known = one(tx.conn, BY_HASH, (workspace, new.hash.0))?;
    if let Some(known) = &known
        && known.version.path != new.path
    {
        return Err(refusals::version_elsewhere(&new.hash, &known.version.path).into());
    }
    tx.changed = true;
    let before = newest_hash(tx.conn, workspace, &new.path)?;
    let sql = "INSERT INTO script (workspace, path) VALUES (?1, ?2) \
        ON CONFLICT (workspace, path) DO UPDATE SET archived = 0 RETURNING id";
    let mut statement = tx.conn.prepare_cached(sql)?;
    let script: i64 = statement.query_row((workspace, new.path.as_str()), |row| row.get(0))?;
    let sql = "SELECT deployed, hash FROM version WHERE script = ?1 ORDER BY deployed DESC LIMIT 1";
    let last: Option<(i64, [u8; 32])> = tx
        .conn
        .prepare_cached(sql)?
        .query_row([script], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let next = last.map_or(1, |(deployed, _)| deployed + 1);
    let created = known.as_ref().is_none_or(|known| known.deleted);
    if created {
        tx.forget_version(workspace, new.hash);
        write(tx.conn, workspace, script, next, new)?;
    }
    if last.is_none_or(|(_, hash)| hash != new.hash.0) {
        let sql = "UPDATE version SET deployed = ?1 WHERE workspace = ?2 AND hash = ?3";
        tx.conn.prepare_cached(sql)?.execute((next, workspace, new.hash.0))?;
    }
    let change = changes::of_deployment(new, last.is_none(), before);
    tx.tell_all(workspace, new.created, change)?;
    match one(tx.conn, BY_HASH, (workspace, new.hash.0))? {
        Some(version) => Ok(Deployed { version, created }),
        None => Err(corrupt("version", "it is gone within its own transaction")),
    }
}

fn delete_version(
    tx: &mut Tx<'_>,
    workspace: i64,
    hash: VersionHash,
    at: Micros,
) -> TxResult<bool> {
    tx.forget_version(workspace, hash);
    let sql = "UPDATE version SET deleted = 1, manifest = '', schema = NULL, summary = '' \
        WHERE workspace = ?1 AND hash = ?2 AND deleted = 0 RETURNING script";
    let script: Option<i64> =
        tx.conn.prepare_cached(sql)?.query_row((workspace, hash.0), |row| row.get(0)).optional()?;
    let Some(script) = script else {
        return Ok(false);
    };
    tx.changed = true;
    let sql = "SELECT path, NOT EXISTS (SELECT 1 FROM version WHERE script = ?1 AND deleted = 0) FROM script WHERE id = ?1";
    let (path, is_last): (String, bool) =
        tx.conn.prepare_cached(sql)?.query_row([script], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let path: ScriptPath = path.parse().map_err(|error| corrupt("script.path", error))?;
    tx.tell_all(workspace, at, changes::of_deletion(path, hash, is_last))?;
    Ok(true)
}

/// The hash of what `newest` finds.
fn newest_hash(
    conn: &Connection,
    workspace: i64,
    path: &ScriptPath,
) -> TxResult<Option<VersionHash>> {
    let sql = "SELECT v.hash FROM script s JOIN version v ON v.script = s.id \
        WHERE s.workspace = ?1 AND s.path = ?2 AND s.archived = 0 AND v.deleted = 0 ORDER BY v.deployed DESC LIMIT 1";
    let hash = conn
        .prepare_cached(sql)?
        .query_row((workspace, path.as_str()), |row| row.get(0))
        .optional()?;
    Ok(hash.map(Digest))
}

/// Writes a new version, or one again that was deleted.
fn write(
    conn: &Connection,
    workspace: i64,
    script: i64,
    deployed: i64,
    new: &NewVersion,
) -> TxResult<()> {
    let limits = codec::limits_text(&new.limits)?;
    let (module, kind) = codec::runnable_columns(&new.runnable);
    let sql = "INSERT INTO version (workspace, hash, script, deployed, manifest, module, module_bytes, kind, limits, \
        schema, summary, created_by, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
        ON CONFLICT (workspace, hash) DO UPDATE SET deleted = 0, manifest = excluded.manifest, module = excluded.module, \
        module_bytes = excluded.module_bytes, kind = excluded.kind, limits = excluded.limits, schema = excluded.schema, \
        summary = excluded.summary, created_by = excluded.created_by, created = excluded.created";
    conn.prepare_cached(sql)?.execute(rusqlite::params![
        workspace,
        new.hash.0,
        script,
        deployed,
        new.manifest,
        module,
        signed(new.module_bytes),
        kind,
        limits,
        new.schema,
        new.summary,
        new.created_by,
        new.created,
    ])?;
    Ok(())
}

fn one(conn: &Connection, which: &str, values: impl rusqlite::Params) -> TxResult<Option<Version>> {
    Ok(many(conn, which, values)?.into_iter().next())
}

fn many(conn: &Connection, which: &str, values: impl rusqlite::Params) -> TxResult<Vec<Version>> {
    let mut statement = conn.prepare_cached(&format!("{VERSION} {which}"))?;
    let mut rows = statement.query(values)?;
    let mut versions = Vec::new();
    while let Some(row) = rows.next()? {
        versions.push(version(row)?);
    }
    Ok(versions)
}

fn version(row: &Row<'_>) -> TxResult<Version> {
    let path: String = row.get(2)?;
    let kind: String = row.get(5)?;
    let limits: String = row.get(6)?;
    let version = NewVersion {
        hash: Digest(row.get(0)?),
        manifest: row.get(1)?,
        path: path.parse().map_err(|error| corrupt("script.path", error))?,
        runnable: codec::runnable(row.get(3)?, &kind)?,
        module_bytes: codec::unsigned(row.get(4)?),
        limits: codec::limits(&limits)?,
        schema: row.get(7)?,
        summary: row.get(8)?,
        created_by: row.get(9)?,
        created: row.get(10)?,
    };
    let parent: Option<[u8; 32]> = row.get(13)?;
    Ok(Version {
        version,
        deleted: row.get(12)?,
        archived: row.get(11)?,
        parent: parent.map(Digest),
    })
}
