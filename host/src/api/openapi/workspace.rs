//! The description of a workspace's webhooks: two operations for each of its scripts.

use super::schemas::{SERVER, Schemas, head, insert, problem_content, security_schemes};
use serde_json::{Map, Value, json};
use wasmill_core::WorkspaceId;
use wasmill_store::Version;

/// The name of a script's operation: its path with what names may not have replaced.
fn operation_name(mode: &str, path: &str) -> String {
    let plain = path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    format!("{mode}_{}", plain.collect::<String>())
}

/// The description of these scripts of a workspace, with the arguments of these versions.
pub(in crate::api) fn workspace_document(workspace: &WorkspaceId, scripts: &[Version]) -> Value {
    let mut schemas = Schemas::new();
    let problem = problem_content(&mut schemas);
    let mut paths = Map::new();
    for version in scripts {
        let path = &version.version.path;
        let result = json!({
            "description": "The result",
            "content": {"application/json": {}, "*/*": {}},
        });
        let id = json!({
            "description": "The job's id",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        });
        for (mode, status, done) in [("run_wait_result", "200", result), ("run", "201", id)] {
            let refused = json!({"description": "Refused", "content": problem});
            let responses = json!({status: done, "default": refused});
            let address = format!("/w/{workspace}/jobs/{mode}/p/{path}");
            insert(&mut paths, address, "POST", operation(mode, version, &responses));
        }
    }
    let about = "The webhooks of this workspace, with the newest version's arguments.";
    json!({
        "openapi": "3.1.0",
        "info": head(&format!("Scripts of {workspace}"), about),
        "servers": [{"url": SERVER}],
        "security": [{"bearer": []}, {"query": []}],
        "paths": paths,
        "components": {"schemas": schemas.components(), "securitySchemes": security_schemes()},
    })
}

/// A script's operation, whose mode is a word of its address.
fn operation(mode: &str, version: &Version, responses: &Value) -> Value {
    let script = &version.version;
    let path = script.path.as_str();
    let schema: Value = match script.schema.as_deref().map(serde_json::from_str) {
        Some(Ok(schema)) => schema,
        _ => json!({"type": "object"}),
    };
    let summary = if script.summary.is_empty() { path } else { script.summary.as_str() };
    json!({
        "operationId": operation_name(mode, path),
        "summary": summary,
        "tags": [path.split('/').take(2).collect::<Vec<_>>().join("/")],
        "requestBody": {"required": false, "content": {"application/json": {"schema": schema}}},
        "responses": responses,
        "x-wasmill-version": script.hash.to_hex(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_scripts() {
        assert_eq!(operation_name("run", "u/ann/some-script.v2"), "run_u_ann_some_script_v2");
    }
}
