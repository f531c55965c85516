//! Deploying: an upload, or its description in JSON, becomes a version.

use super::settings;
use super::versions::raw_json;
use crate::api::asked::Asked;
use crate::api::parse::{name, parameter, typed_parameter};
use crate::clock;
use crate::http::body::Incoming;
use crate::http::respond::{self, Reply};
use crate::store_errors::unavailable;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use wasmill_core::limits::DeclaredLimits;
use wasmill_core::problem::Code;
use wasmill_core::scope::{Action, Need};
use wasmill_core::wire;
use wasmill_core::{
    Manifest, Problem, Runnable, ScriptPath, ScriptSettings, VersionHash, WorkspaceId,
};
use wasmill_sandbox::{Refusal, RefusalCode};
use wasmill_store::NewVersion;

/// What is to be deployed.
struct Upload {
    path: ScriptPath,
    wasm: Bytes,
    limits: DeclaredLimits,
    settings: ScriptSettings,
    summary: String,
}

/// Deploys an uploaded module: the body is the wasm itself. Query: `summary`, `timeout_s`,
/// `memory_mib`, and the script's settings.
/// 201 for a new version, 200 for one that is deployed already.
pub(super) async fn upload(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    path: ScriptPath,
    unread: Incoming,
) -> Result<Reply, Problem> {
    let query = asked.query;
    let limits = DeclaredLimits {
        timeout_s: typed_parameter(query, "timeout_s", "a number of seconds")?,
        memory_mib: typed_parameter(query, "memory_mib", "a number of MiB")?,
    };
    let settings = settings::of_query(query)?;
    let summary = parameter(query, "summary").unwrap_or_default();
    let wasm = asked.module(unread).await?;
    let answer = deploy(asked, workspace, Upload { path, wasm, limits, settings, summary }).await?;
    Ok(respond::json(if answer.created { 201 } else { 200 }, &answer))
}

/// Deploys a script described in JSON, and answers with the version's hash as text.
pub(super) async fn create(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    script: wire::NewScript,
) -> Result<Reply, Problem> {
    let path: ScriptPath = name(&script.path)?;
    asked.caller.require(workspace, &Need::one("scripts", Action::Write, path.as_str()))?;
    if script.language != "wasm" {
        let detail = format!(
            "language is {:?}; this host runs wasm, compiled from whatever it was written in",
            script.language
        );
        return Err(Problem::bad_request(detail));
    }
    follows(asked, workspace, &path, script.parent_hash.as_deref()).await?;
    let wasm = STANDARD.decode(script.content.trim()).map_err(|error| {
        Problem::bad_request(format!("content is not the wasm in standard base64: {error}"))
    })?;
    let limits = DeclaredLimits { timeout_s: script.timeout, memory_mib: script.memory_mib };
    let settings = settings::of_script(&script)?;
    let answer = deploy(
        asked,
        workspace,
        Upload { path, wasm: wasm.into(), limits, settings, summary: script.summary },
    )
    .await?;
    Ok(respond::text(201, answer.hash))
}

/// Holds what an author believes to be the newest version against what it is.
async fn follows(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    path: &ScriptPath,
    parent: Option<&str>,
) -> Result<(), Problem> {
    let newest = asked
        .host
        .store
        .newest(workspace, path)
        .await
        .map_err(unavailable)?
        .map(|version| version.version.hash);
    let parent = parent.filter(|parent| !parent.is_empty()).map(str::parse::<VersionHash>);
    let parent = parent
        .transpose()
        .map_err(|error| Problem::bad_request(format!("parent_hash: {error}")))?;
    match (parent, newest) {
        (None, None) => Ok(()),
        (Some(parent), Some(newest)) if parent == newest => Ok(()),
        (Some(parent), _) => Err(Problem::bad_request(format!(
            "The newest version of {path} is no longer {parent}; look at it, and deploy again"
        ))),
        (None, Some(newest)) => Err(Problem::bad_request(format!(
            "Path conflict: there is a script at {path}; give its hash {newest} as parent_hash to \
             replace it"
        ))),
    }
}

async fn deploy(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    upload: Upload,
) -> Result<wire::Uploaded, Problem> {
    let Asked { host, caller, .. } = asked;
    let Upload { path, wasm, limits, settings, summary } = upload;
    let module_bytes = wasm.len() as u64;
    let admitted = host.sandbox.admit(wasm.clone()).await.map_err(refused)?;
    let runnable = Runnable::Module { module: admitted.digest, kind: admitted.kind };
    let manifest = Manifest::new(path.clone(), runnable.clone(), limits).with_settings(settings);
    let (manifest, hash) = manifest.canonical().map_err(|error| {
        tracing::error!(%error, "a manifest could not be written");
        Problem::internal()
    })?;
    // First the bytes, then the row that names them: a version never points at nothing.
    host.modules.keep(admitted.digest, wasm).await.map_err(unavailable)?;
    let schema = admitted.schema.as_ref().map(ToString::to_string);
    let version = NewVersion {
        hash,
        manifest,
        path: path.clone(),
        runnable,
        module_bytes,
        limits,
        schema: schema.clone(),
        summary,
        created_by: caller.user.to_string(),
        created: clock::now(),
    };
    let deployed = host.store.deploy(workspace, &version).await.map_err(unavailable)?;
    host.resolver.deployed(workspace, &deployed.version);
    let (kind, new) = (admitted.kind, deployed.created);
    tracing::info!(%workspace, %path, %hash, %kind, new, "deployed");
    Ok(wire::Uploaded {
        hash: hash.to_hex(),
        path: path.to_string(),
        created: deployed.created,
        kind,
        exports: admitted.exports,
        schema: raw_json(schema.as_deref()),
    })
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
