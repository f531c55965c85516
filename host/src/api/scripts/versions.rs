//! Scripts: look, download, archive, delete.

use crate::api::asked::Asked;
use crate::api::parse::{per_page, typed_parameter};
use crate::auth::Caller;
use crate::clock;
use crate::host::Host;
use crate::http::respond::{self, Reply};
use crate::resolve::Target;
use crate::store_errors::unavailable;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use wasmill_core::limits::{HISTORY_VERSIONS, SCRIPTS_PAGE_ENTRIES};
use wasmill_core::problem::Code;
use wasmill_core::scope::{Action, Need};
use wasmill_core::wire::{self, RawJson};
use wasmill_core::{
    InvalidName, Manifest, Problem, Runnable, ScriptPath, VersionHash, WorkspaceId,
};
use wasmill_store::Version;

pub(super) fn raw_json(text: Option<&str>) -> Option<Box<RawJson>> {
    text.and_then(|text| RawValue::from_string(text.to_owned()).ok())
        .map(|raw| Box::new(RawJson(raw)))
}

/// How long finished jobs of some scripts are kept.
type Retentions = HashMap<ScriptPath, Duration>;

async fn retentions(host: &Host, workspace: &WorkspaceId) -> Result<Retentions, Problem> {
    Ok(host.store.retentions(workspace).await.map_err(unavailable)?.into_iter().collect())
}

fn shown(workspace: &WorkspaceId, stored: &Version, retentions: &Retentions) -> wire::Script {
    let version = &stored.version;
    let Runnable::Module { module, kind } = &version.runnable;
    // Settings of a newer program, which this one does not run, are shown as none.
    let settings = Manifest::settings_of(&version.manifest).unwrap_or_default();
    wire::Script {
        workspace_id: workspace.to_string(),
        hash: version.hash.to_hex(),
        path: version.path.to_string(),
        parent_hashes: stored.parent.iter().map(|hash| hash.to_hex()).collect(),
        summary: version.summary.clone(),
        description: String::new(),
        kind_of_module: *kind,
        kind: "script".into(),
        language: "wasm".into(),
        module: module.to_hex(),
        module_bytes: version.module_bytes,
        limits: version.limits,
        delete_after_secs: settings.erased_after_secs(),
        concurrent_limit: settings.concurrent_limit,
        concurrency_key: settings.concurrency_key.clone(),
        settings,
        keep_runs_secs: retentions.get(&version.path).map(Duration::as_secs),
        schema: raw_json(version.schema.as_deref()),
        created_by: version.created_by.clone(),
        created_at: wire::timestamp(version.created),
        archived: stored.archived,
        deleted: stored.deleted,
        is_template: false,
        has_preprocessor: false,
        starred: false,
        extra_perms: BTreeMap::new(),
    }
}

pub(super) fn no_script(workspace: &WorkspaceId, path: &ScriptPath) -> Problem {
    Problem::not_found(format!("There is no script at {path} in the workspace {workspace}"))
}

/// A path's newest version that is not deleted, also when the path is archived.
async fn newest(
    host: &Host,
    workspace: &WorkspaceId,
    path: &ScriptPath,
) -> Result<Option<Version>, Problem> {
    if let Some(running) = host.store.newest(workspace, path).await.map_err(unavailable)? {
        return Ok(Some(running));
    }
    let versions =
        host.store.history(workspace, path, HISTORY_VERSIONS).await.map_err(unavailable)?;
    Ok(versions.into_iter().find(|version| !version.deleted))
}

/// The version that a target means, if the caller may look at it.
async fn find(
    host: &Host,
    caller: &Caller,
    workspace: &WorkspaceId,
    target: &Target,
) -> Result<Version, Problem> {
    caller.role(workspace)?;
    let version = match target {
        Target::Path(path) => {
            newest(host, workspace, path).await?.ok_or_else(|| no_script(workspace, path))?
        }
        Target::Hash(hash) => {
            let found = host.store.version(workspace, hash).await.map_err(unavailable)?;
            found.ok_or_else(|| {
                Problem::not_found(format!(
                    "There is no version {hash} in the workspace {workspace}"
                ))
            })?
        }
    };
    caller
        .require(workspace, &Need::one("scripts", Action::Read, version.version.path.as_str()))?;
    Ok(version)
}

/// Scripts by path, the newest version of each. Query: `per_page`, `after` (a path).
pub(super) async fn list(asked: Asked<'_>, workspace: &WorkspaceId) -> Result<Reply, Problem> {
    let Asked { host, query, .. } = asked;
    let after = typed_parameter::<ScriptPath>(query, "after", "a script's path")?;
    let versions = host
        .store
        .list_scripts(workspace, after.as_ref(), per_page(query)?)
        .await
        .map_err(unavailable)?;
    let retentions = retentions(host, workspace).await?;
    let shown: Vec<_> =
        versions.iter().map(|version| shown(workspace, version, &retentions)).collect();
    Ok(respond::json(200, &shown))
}

/// All scripts by path, the newest version of each.
pub(in crate::api) async fn all(
    host: &Host,
    workspace: &WorkspaceId,
) -> Result<Vec<Version>, Problem> {
    let mut scripts: Vec<Version> = Vec::new();
    loop {
        let after = scripts.last().map(|version| version.version.path.clone());
        let page = host
            .store
            .list_scripts(workspace, after.as_ref(), SCRIPTS_PAGE_ENTRIES)
            .await
            .map_err(unavailable)?;
        let last = page.len() < SCRIPTS_PAGE_ENTRIES as usize;
        scripts.extend(page);
        if last {
            return Ok(scripts);
        }
    }
}

/// The paths of all scripts.
pub(super) async fn paths(asked: Asked<'_>, workspace: &WorkspaceId) -> Result<Reply, Problem> {
    let host = asked.host;
    let paths: Vec<ScriptPath> =
        all(host, workspace).await?.into_iter().map(|version| version.version.path).collect();
    Ok(respond::json(200, &paths))
}

/// One version of a script.
pub(super) async fn get(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    target: Target,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let version = find(host, caller, workspace, &target).await?;
    Ok(respond::json(200, &shown(workspace, &version, &retentions(host, workspace).await?)))
}

/// Whether there is a script at a path, archived ones included: `true` or `false`.
pub(super) async fn exists(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    path: &ScriptPath,
) -> Result<Reply, Problem> {
    let host = asked.host;
    Ok(respond::json(200, &newest(host, workspace, path).await?.is_some()))
}

fn entry(version: &Version) -> wire::HistoryEntry {
    wire::HistoryEntry {
        script_hash: version.version.hash.to_hex(),
        created_at: wire::timestamp(version.version.created),
        created_by: version.version.created_by.clone(),
    }
}

/// A path's versions, newest first.
pub(super) async fn history(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    path: &ScriptPath,
) -> Result<Reply, Problem> {
    let host = asked.host;
    let versions =
        host.store.history(workspace, path, HISTORY_VERSIONS).await.map_err(unavailable)?;
    if versions.is_empty() {
        return Err(no_script(workspace, path));
    }
    let entries: Vec<_> = versions.iter().map(entry).collect();
    Ok(respond::json(200, &entries))
}

/// The newest entry of the history, or `null`.
pub(super) async fn latest(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    path: &ScriptPath,
) -> Result<Reply, Problem> {
    let host = asked.host;
    Ok(respond::json(200, &newest(host, workspace, path).await?.as_ref().map(entry)))
}

/// Whether a version is ready to run: a version is, once it is deployed.
pub(super) async fn deployment_status(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    hash: VersionHash,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    find(host, caller, workspace, &Target::Hash(hash)).await?;
    Ok(respond::json(
        200,
        &wire::DeploymentStatus { lock: "", lock_error_logs: None, job_id: None },
    ))
}

/// Archives a path: `/p/` no longer finds it, `/h/` still does.
pub(super) async fn archive(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    path: &ScriptPath,
) -> Result<Reply, Problem> {
    let host = asked.host;
    if !host.store.archive(workspace, path, clock::now()).await.map_err(unavailable)? {
        return Err(no_script(workspace, path));
    }
    host.resolver.archived(workspace, path);
    tracing::info!(%workspace, %path, "archived");
    Ok(respond::text(200, ""))
}

/// Archives the path that a version belongs to. The answer is the version.
pub(super) async fn archive_by_hash(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    hash: VersionHash,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let version = find(host, caller, workspace, &Target::Hash(hash)).await?;
    let path = &version.version.path;
    caller.require(workspace, &Need::one("scripts", Action::Write, path.as_str()))?;
    archive(asked, workspace, path).await?;
    get(asked, workspace, Target::Hash(hash)).await
}

/// Deletes a version for ever. The answer is what is left of it.
pub(super) async fn delete_version(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    hash: VersionHash,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let version = find(host, caller, workspace, &Target::Hash(hash)).await?;
    erase(host, workspace, &version).await?;
    get(asked, workspace, Target::Hash(hash)).await
}

/// Deletes all versions of a path for ever. The answer is the path.
pub(super) async fn delete(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    path: &ScriptPath,
) -> Result<Reply, Problem> {
    let host = asked.host;
    let versions = host.store.history(workspace, path, u32::MAX).await.map_err(unavailable)?;
    if versions.iter().all(|version| version.deleted) {
        return Err(no_script(workspace, path));
    }
    for version in versions.iter().filter(|version| !version.deleted) {
        erase(host, workspace, version).await?;
    }
    Ok(respond::json(200, path))
}

/// Deletes a version, and the version's module when no other version needs the module.
async fn erase(
    host: &Arc<Host>,
    workspace: &WorkspaceId,
    version: &Version,
) -> Result<(), Problem> {
    let hash = version.version.hash;
    let Runnable::Module { module, .. } = version.version.runnable;
    host.store.delete_version(workspace, &hash, clock::now()).await.map_err(unavailable)?;
    host.resolver.deleted(workspace, &version.version.path, hash);
    tracing::info!(%workspace, path = %version.version.path, %hash, "version deleted");
    host.modules.release(module).await.map_err(unavailable)
}

/// The hash of a version, perhaps with `.wasm` behind it, as it reads well in a browser's address
/// line.
pub(super) struct HashOfWasm(pub(super) VersionHash);

impl FromStr for HashOfWasm {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_suffix(".wasm").unwrap_or(text).parse().map(Self)
    }
}

/// The module's bytes, exactly as they were uploaded.
pub(super) async fn download(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    target: Target,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let version = find(host, caller, workspace, &target).await?;
    if version.deleted {
        return Err(Problem::new(
            Code::Gone,
            format!("The version {} was deleted, and its module with it", version.version.hash),
        ));
    }
    let Runnable::Module { module, .. } = version.version.runnable;
    let bytes = host.blobs.get(module).await.map_err(unavailable)?.ok_or_else(|| {
        tracing::error!(%module, "a module is missing from the module store");
        Problem::internal()
    })?;
    let mut reply = respond::bytes(200, "application/wasm", bytes);
    respond::with(&mut reply, "content-disposition", "attachment; filename=\"script.wasm\"");
    respond::with(&mut reply, "etag", &format!("\"sha256:{module}\""));
    Ok(reply)
}
