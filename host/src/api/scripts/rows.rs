//! The operations on scripts.

use super::parameters::{PAGE, UPLOAD};
use super::versions::HashOfWasm;
use super::{deploy, retention, tokens, versions};
use crate::api::description::Gives::{Json, Text, Wasm};
use crate::api::description::of;
use crate::api::row::{Right, Row, handler};
use wasmill_core::scope::Action::{Read, Write};
use wasmill_core::{ScriptPath, VersionHash, WorkspaceId, wire};

/// In the order in which the API's description has them.
pub(in crate::api) const ROWS: &[Row] = &[
    // Scripts
    Row {
        name: "UploadScript",
        summary: "Deploys the wasm in the body",
        method: "POST",
        addresses: &["w/{workspace}/scripts/upload/p/{path}"],
        right: Right::Path("scripts", Write),
        query: UPLOAD,
        gives: &[(201, Json(of::<wire::Uploaded>)), (200, Json(of::<wire::Uploaded>))],
        handler: handler!(
            unread = unread_module(),
            |asked, workspace: WorkspaceId, path: ScriptPath| deploy::upload(
                asked, &workspace, path, unread
            )
        ),
    },
    Row {
        name: "CreateScript",
        summary: "Deploys a script described in JSON; its `content` is the wasm in base64",
        method: "POST",
        addresses: &["w/{workspace}/scripts/create"],
        right: Right::Found("scripts", Write),
        query: &[],
        gives: &[(201, Text)],
        handler: handler!(
            body = json_with_module::<wire::NewScript>(),
            |asked, workspace: WorkspaceId| deploy::create(asked, &workspace, body)
        ),
    },
    Row {
        name: "ListScripts",
        summary: "The newest version of each script",
        method: "GET",
        addresses: &["w/{workspace}/scripts/list"],
        right: Right::All("scripts", Read),
        query: PAGE,
        gives: &[(200, Json(of::<Vec<wire::Script>>))],
        handler: handler!(|asked, workspace: WorkspaceId| versions::list(asked, &workspace)),
    },
    Row {
        name: "ListScriptPaths",
        summary: "The paths of all scripts",
        method: "GET",
        addresses: &["w/{workspace}/scripts/list_paths"],
        right: Right::All("scripts", Read),
        query: &[],
        gives: &[(200, Json(of::<Vec<String>>))],
        handler: handler!(|asked, workspace: WorkspaceId| versions::paths(asked, &workspace)),
    },
    Row {
        name: "GetScriptByPath",
        summary: "The newest version of a script, also when it is archived",
        method: "GET",
        addresses: &["w/{workspace}/scripts/get/p/{path}"],
        right: Right::Path("scripts", Read),
        query: &[],
        gives: &[(200, Json(of::<wire::Script>))],
        handler: handler!(|asked, workspace: WorkspaceId, path: ScriptPath| {
            versions::get(asked, &workspace, path.into())
        }),
    },
    Row {
        name: "GetScriptByHash",
        summary: "One version of a script",
        method: "GET",
        addresses: &["w/{workspace}/scripts/get/h/{hash}"],
        right: Right::Found("scripts", Read),
        query: &[],
        gives: &[(200, Json(of::<wire::Script>))],
        handler: handler!(|asked, workspace: WorkspaceId, hash: VersionHash| {
            versions::get(asked, &workspace, hash.into())
        }),
    },
    Row {
        name: "ScriptExists",
        summary: "Whether there is a script at a path",
        method: "GET",
        addresses: &["w/{workspace}/scripts/exists/p/{path}"],
        right: Right::Path("scripts", Read),
        query: &[],
        gives: &[(200, Json(of::<bool>))],
        handler: handler!(|asked, workspace: WorkspaceId, path: ScriptPath| {
            versions::exists(asked, &workspace, &path)
        }),
    },
    Row {
        name: "ScriptHistory",
        summary: "The versions of a script, newest first",
        method: "GET",
        addresses: &["w/{workspace}/scripts/history/p/{path}"],
        right: Right::Path("scripts", Read),
        query: &[],
        gives: &[(200, Json(of::<Vec<wire::HistoryEntry>>))],
        handler: handler!(|asked, workspace: WorkspaceId, path: ScriptPath| {
            versions::history(asked, &workspace, &path)
        }),
    },
    Row {
        name: "LatestVersion",
        summary: "The newest version's entry in the history, or null",
        method: "GET",
        addresses: &["w/{workspace}/scripts/get_latest_version/{path}"],
        right: Right::Path("scripts", Read),
        query: &[],
        gives: &[(200, Json(of::<Option<wire::HistoryEntry>>))],
        handler: handler!(|asked, workspace: WorkspaceId, path: ScriptPath| {
            versions::latest(asked, &workspace, &path)
        }),
    },
    Row {
        name: "DeploymentStatus",
        summary: "Whether a version is ready to run: it is, once it is deployed",
        method: "GET",
        addresses: &["w/{workspace}/scripts/deployment_status/h/{hash}"],
        right: Right::Found("scripts", Read),
        query: &[],
        gives: &[(200, Json(of::<wire::DeploymentStatus>))],
        handler: handler!(|asked, workspace: WorkspaceId, hash: VersionHash| {
            versions::deployment_status(asked, &workspace, hash)
        }),
    },
    Row {
        name: "DownloadByPath",
        summary: "The newest version's module, as it was uploaded",
        method: "GET",
        addresses: &["w/{workspace}/scripts/raw/p/{path}"],
        right: Right::Path("scripts", Read),
        query: &[],
        gives: &[(200, Wasm)],
        handler: handler!(|asked, workspace: WorkspaceId, path: ScriptPath| {
            versions::download(asked, &workspace, path.into())
        }),
    },
    Row {
        name: "DownloadByHash",
        summary: "A version's module, as it was uploaded",
        method: "GET",
        addresses: &["w/{workspace}/scripts/raw/h/{hash}"],
        right: Right::Found("scripts", Read),
        query: &[],
        gives: &[(200, Wasm)],
        handler: handler!(|asked, workspace: WorkspaceId, hash: HashOfWasm| {
            versions::download(asked, &workspace, hash.0.into())
        }),
    },
    Row {
        name: "ArchiveScript",
        summary: "Archives a script: its path no longer runs, its versions still do",
        method: "POST",
        addresses: &["w/{workspace}/scripts/archive/p/{path}"],
        right: Right::Path("scripts", Write),
        query: &[],
        gives: &[(200, Text)],
        handler: handler!(|asked, workspace: WorkspaceId, path: ScriptPath| {
            versions::archive(asked, &workspace, &path)
        }),
    },
    Row {
        name: "ArchiveByHash",
        summary: "Archives the script that a version belongs to",
        method: "POST",
        addresses: &["w/{workspace}/scripts/archive/h/{hash}"],
        right: Right::Found("scripts", Write),
        query: &[],
        gives: &[(200, Json(of::<wire::Script>))],
        handler: handler!(|asked, workspace: WorkspaceId, hash: VersionHash| {
            versions::archive_by_hash(asked, &workspace, hash)
        }),
    },
    Row {
        name: "DeleteVersion",
        summary: "Deletes a version for ever: its address answers 410 from now on",
        method: "POST",
        addresses: &["w/{workspace}/scripts/delete/h/{hash}"],
        right: Right::Admin("scripts", Write),
        query: &[],
        gives: &[(200, Json(of::<wire::Script>))],
        handler: handler!(|asked, workspace: WorkspaceId, hash: VersionHash| {
            versions::delete_version(asked, &workspace, hash)
        }),
    },
    Row {
        name: "DeleteScript",
        summary: "Deletes all versions of a script for ever",
        method: "POST",
        addresses: &["w/{workspace}/scripts/delete/p/{path}"],
        right: Right::Admin("scripts", Write),
        query: &[],
        gives: &[(200, Json(of::<String>))],
        handler: handler!(|asked, workspace: WorkspaceId, path: ScriptPath| {
            versions::delete(asked, &workspace, &path)
        }),
    },
    Row {
        name: "EditScriptRetention",
        summary: "Sets how long finished jobs of the script are kept, where that is shorter than \
                  in the workspace",
        method: "POST",
        addresses: &["w/{workspace}/scripts/retention/p/{path}"],
        right: Right::Path("scripts", Write),
        query: &[],
        gives: &[(200, Text)],
        handler: handler!(
            body = json::<wire::Retention>(),
            |asked, workspace: WorkspaceId, path: ScriptPath| retention::edit(
                asked, &workspace, &path, body
            )
        ),
    },
    Row {
        name: "ScriptTokens",
        summary: "The tokens of the workspace that are for this script alone",
        method: "GET",
        addresses: &["w/{workspace}/scripts/list_tokens/{path}"],
        right: Right::Path("scripts", Read),
        query: &[],
        gives: &[(200, Json(of::<Vec<wire::Token>>))],
        handler: handler!(|asked, workspace: WorkspaceId, path: ScriptPath| {
            tokens::list(asked, &workspace, &path)
        }),
    },
];
