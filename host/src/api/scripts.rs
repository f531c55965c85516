//! Scripts: upload, look, download, archive.

use super::{parameter, per_page, typed_parameter};
use crate::clock;
use crate::host::Host;
use crate::resolve::{Target, unavailable};
use crate::serve::auth::Caller;
use crate::serve::body;
use crate::serve::respond::{self, Reply};
use http::request;
use hyper::body::Incoming;
use serde_json::value::RawValue;
use wasmill_core::limits::DeclaredLimits;
use wasmill_core::problem::Code;
use wasmill_core::scope::{Action, Need};
use wasmill_core::wire::{self, RawJson};
use wasmill_core::{Manifest, Problem, ScriptPath, ScriptSettings, WorkspaceId};
use wasmill_sandbox::{Refusal, RefusalCode};
use wasmill_store::{NewVersion, Version};

/// Deploys an uploaded module: the body is the wasm itself. Query: `summary`, `timeout_s`, `memory_mib`, and the settings
/// `delete_after_use`, `delete_after_secs`, `on_hang_up`, `on_sync_timeout`.
/// 201 for a new version, 200 for one that is deployed already.
pub(crate) async fn upload(
    host: &Host,
    caller: &Caller,
    workspace: &WorkspaceId,
    path: ScriptPath,
    request: &request::Parts,
    incoming: Incoming,
) -> Result<Reply, Problem> {
    caller.require(workspace, &Need::one("scripts", Action::Write, path.as_str()))?;
    let query = request.uri.query().unwrap_or_default();
    let limits = DeclaredLimits {
        timeout_s: typed_parameter(query, "timeout_s", "a number of seconds")?,
        memory_mib: typed_parameter(query, "memory_mib", "a number of MiB")?,
    };
    let settings = settings(query)?;
    let bounds = &host.settings.limits;
    let wasm = body::read(&request.headers, incoming, bounds.module_bytes, bounds.body_timeout).await?;
    let module_bytes = wasm.len() as u64;
    let admitted = host.sandbox.admit(wasm.clone()).await.map_err(refused)?;
    let manifest = Manifest::new(path.clone(), admitted.digest, admitted.kind, limits).with_settings(settings);
    let (manifest, hash) = manifest.canonical().map_err(|error| {
        tracing::error!(%error, "a manifest could not be written");
        Problem::internal()
    })?;
    // First the bytes, then the row that names them: a version never points at nothing.
    host.blobs.put(admitted.digest, wasm).await.map_err(unavailable)?;
    let schema = admitted.schema.as_ref().map(ToString::to_string);
    let version = NewVersion {
        hash,
        manifest,
        path: path.clone(),
        module: admitted.digest,
        module_bytes,
        kind: admitted.kind,
        limits,
        schema: schema.clone(),
        summary: parameter(query, "summary").unwrap_or_default(),
        created_by: caller.user.clone(),
        created: clock::now(),
    };
    let deployed = host.store.deploy(workspace, &version).await.map_err(unavailable)?;
    host.resolver.deployed(workspace, &deployed.version);
    tracing::info!(%workspace, %path, %hash, kind = %admitted.kind, new = deployed.created, "deployed");
    let answer = wire::Uploaded {
        hash: hash.to_hex(),
        kind: admitted.kind,
        path: path.to_string(),
        created: deployed.created,
        exports: admitted.exports,
        schema: raw_json(schema.as_deref()),
    };
    Ok(respond::json(if deployed.created { 201 } else { 200 }, &answer))
}

/// The settings in an upload's query.
fn settings(query: &str) -> Result<ScriptSettings, Problem> {
    let unattended = |name| typed_parameter(query, name, "cancel or continue").map(Option::unwrap_or_default);
    let settings = ScriptSettings {
        delete_after_use: typed_parameter(query, "delete_after_use", "true or false")?.unwrap_or(false),
        delete_after_secs: typed_parameter(query, "delete_after_secs", "a number of seconds")?,
        on_hang_up: unattended("on_hang_up")?,
        on_sync_timeout: unattended("on_sync_timeout")?,
    };
    settings.checked().map_err(Problem::bad_request)
}

fn refused(refusal: Refusal) -> Problem {
    let code = match refusal.code {
        RefusalCode::TooLarge => Code::TooLarge,
        RefusalCode::TooCostlyToCompile | RefusalCode::TooComplex => Code::TooCostly,
        RefusalCode::Internal => {
            tracing::error!(%refusal, "an upload could not be looked at");
            return Problem::internal();
        }
        _ => Code::InvalidScript,
    };
    Problem::new(code, refusal.to_string())
}

fn raw_json(text: Option<&str>) -> Option<Box<RawJson>> {
    text.and_then(|text| RawValue::from_string(text.to_owned()).ok()).map(|raw| Box::new(RawJson(raw)))
}

fn shown(workspace: &WorkspaceId, stored: &Version) -> wire::Script {
    let version = &stored.version;
    // Settings of a newer program, which this one does not run, are shown as none.
    let settings = Manifest::settings_of(&version.manifest).unwrap_or_default();
    wire::Script {
        workspace_id: workspace.to_string(),
        hash: version.hash.to_hex(),
        path: version.path.to_string(),
        parent_hashes: stored.parent.iter().map(|hash| hash.to_hex()).collect(),
        summary: version.summary.clone(),
        kind_of_module: version.kind,
        kind: "script".into(),
        language: "wasm".into(),
        module: version.module.to_hex(),
        module_bytes: version.module_bytes,
        limits: version.limits,
        settings,
        delete_after_secs: settings.erased_after_secs(),
        schema: raw_json(version.schema.as_deref()),
        created_by: version.created_by.clone(),
        created_at: wire::timestamp(version.created),
        archived: stored.archived,
        deleted: false,
    }
}

/// The version that a target means. For people, an archived path is still found by its hash.
async fn find(host: &Host, caller: &Caller, workspace: &WorkspaceId, target: &Target) -> Result<Version, Problem> {
    caller.role(workspace)?;
    let found = match target {
        Target::Path(path) => host.store.newest(workspace, path).await,
        Target::Hash(hash) => host.store.version(workspace, hash).await,
    };
    let version = found.map_err(unavailable)?.ok_or_else(|| match target {
        Target::Path(path) => Problem::not_found(format!("There is no script at {path} in the workspace {workspace}")),
        Target::Hash(hash) => Problem::not_found(format!("There is no version {hash} in the workspace {workspace}")),
    })?;
    caller.require(workspace, &Need::one("scripts", Action::Read, version.version.path.as_str()))?;
    Ok(version)
}

/// Scripts by path, the newest version of each. Query: `per_page`, `after` (a path).
pub(crate) async fn list(host: &Host, caller: &Caller, workspace: &WorkspaceId, query: &str) -> Result<Reply, Problem> {
    caller.require(workspace, &Need::all("scripts", Action::Read))?;
    let after = typed_parameter::<ScriptPath>(query, "after", "a script's path")?;
    let versions = host.store.list_scripts(workspace, after.as_ref(), per_page(query)?).await.map_err(unavailable)?;
    let shown: Vec<_> = versions.iter().map(|version| shown(workspace, version)).collect();
    Ok(respond::json(200, &shown))
}

/// One version.
pub(crate) async fn get(host: &Host, caller: &Caller, workspace: &WorkspaceId, target: &Target) -> Result<Reply, Problem> {
    let version = find(host, caller, workspace, target).await?;
    Ok(respond::json(200, &shown(workspace, &version)))
}

/// Whether a path has a version that runs: `true` or `false`.
pub(crate) async fn exists(host: &Host, caller: &Caller, workspace: &WorkspaceId, path: &ScriptPath) -> Result<Reply, Problem> {
    caller.require(workspace, &Need::one("scripts", Action::Read, path.as_str()))?;
    let found = host.store.newest(workspace, path).await.map_err(unavailable)?;
    Ok(respond::json(200, &found.is_some()))
}

/// A path's versions, newest first.
pub(crate) async fn history(host: &Host, caller: &Caller, workspace: &WorkspaceId, path: &ScriptPath) -> Result<Reply, Problem> {
    caller.require(workspace, &Need::one("scripts", Action::Read, path.as_str()))?;
    let versions = host.store.history(workspace, path, 1_000).await.map_err(unavailable)?;
    if versions.is_empty() {
        return Err(Problem::not_found(format!("There is no script at {path} in the workspace {workspace}")));
    }
    let entries: Vec<_> = versions
        .iter()
        .map(|v| serde_json::json!({"script_hash": v.version.hash.to_hex(), "created_at": wire::timestamp(v.version.created), "created_by": v.version.created_by}))
        .collect();
    Ok(respond::json(200, &entries))
}

/// Archives a path: `/p/` no longer finds it, `/h/` still does.
pub(crate) async fn archive(host: &Host, caller: &Caller, workspace: &WorkspaceId, path: &ScriptPath) -> Result<Reply, Problem> {
    caller.require(workspace, &Need::one("scripts", Action::Write, path.as_str()))?;
    if !host.store.archive(workspace, path).await.map_err(unavailable)? {
        return Err(Problem::not_found(format!("There is no script at {path} in the workspace {workspace}")));
    }
    host.resolver.archived(workspace, path);
    tracing::info!(%workspace, %path, "archived");
    Ok(respond::text(200, ""))
}

/// The module's bytes, exactly as they were uploaded.
pub(crate) async fn download(host: &Host, caller: &Caller, workspace: &WorkspaceId, target: &Target) -> Result<Reply, Problem> {
    let version = find(host, caller, workspace, target).await?;
    let module = version.version.module;
    let bytes = host.blobs.get(module).await.map_err(unavailable)?.ok_or_else(|| {
        tracing::error!(%module, "a module is missing from the module store");
        Problem::internal()
    })?;
    let mut reply = respond::bytes(200, "application/wasm", bytes);
    respond::with(&mut reply, "content-disposition", "attachment; filename=\"script.wasm\"");
    respond::with(&mut reply, "etag", &format!("\"sha256:{module}\""));
    Ok(reply)
}
