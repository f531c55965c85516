//! Resources: named JSON values of a type, sealed where they are stored. They may refer to
//! variables and resources.

use super::common::{Changes, Page, check_description, page, same_path};
use crate::api::asked::Asked;
use crate::api::parse::{name, parameter, typed_parameter};
use crate::auth::Caller;
use crate::clock;
use crate::host::Host;
use crate::http::respond::{self, Reply};
use crate::store_errors::unavailable;
use crate::values::{Unfilled, require, resource_at};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use wasmill_core::limits::{RESOURCE_BYTES, RESOURCE_TYPE_CHARS};
use wasmill_core::problem::Code;
use wasmill_core::scope::{Action, Need};
use wasmill_core::wire::RawJson;
use wasmill_core::{FailureName, Problem, ValuePath, WorkspaceId, wire};
use wasmill_store::{PutMode, Resource};

fn missing(workspace: &WorkspaceId, path: &ValuePath) -> Problem {
    Problem::not_found(format!("There is no resource {path} in the workspace {workspace}"))
}

/// A stored JSON text as it is.
fn raw(text: String) -> Result<Box<RawJson>, Problem> {
    RawValue::from_string(text).map(|raw| Box::new(RawJson(raw))).map_err(|error| {
        tracing::error!(%error, "a stored resource is no JSON");
        Problem::internal()
    })
}

fn shown(
    workspace: &WorkspaceId,
    resource: Resource,
    value: Option<Box<RawJson>>,
) -> wire::Resource {
    wire::Resource {
        workspace_id: workspace.to_string(),
        path: resource.path.into(),
        value,
        resource_type: resource.resource_type,
        description: resource.description,
        extra_perms: BTreeMap::new(),
        is_oauth: false,
        is_linked: false,
        is_refreshed: false,
        created_by: resource.changed_by,
        edited_at: wire::timestamp(resource.changed),
    }
}

/// A resource's value as it was written.
pub(super) async fn get_value(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    path: &ValuePath,
) -> Result<Reply, Problem> {
    let host = asked.host;
    let (_, text) =
        host.values.resource(workspace, path).await?.ok_or_else(|| missing(workspace, path))?;
    Ok(respond::bytes(200, "application/json", text))
}

/// A resource's value, with the values of variables and resources in place of references to them.
pub(super) async fn get_value_interpolated(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    path: &ValuePath,
) -> Result<Reply, Problem> {
    let host = asked.host;
    let (_, text) =
        host.values.resource(workspace, path).await?.ok_or_else(|| missing(workspace, path))?;
    let filled = host.values.fill(workspace, &text, host.settings.run_limits.args_bytes).await;
    match filled {
        Ok(filled) => Ok(respond::bytes(200, "application/json", filled.into_owned())),
        Err(Unfilled::Failed(failure)) if failure.name == FailureName::InvalidArguments => {
            let why = failure
                .message
                .rsplit_once("put in: ")
                .map_or(failure.message.as_str(), |(_, why)| why);
            Err(Problem::not_found(format!(
                "What the resource {path} refers to cannot be put in: {why}"
            )))
        }
        Err(Unfilled::Failed(_)) => Err(Problem::internal()),
        Err(Unfilled::Away(detail)) => Err(Problem::new(Code::Unavailable, detail).retry_after(5)),
    }
}

/// A resource with its value.
pub(super) async fn get(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    path: &ValuePath,
) -> Result<Reply, Problem> {
    let host = asked.host;
    let (found, text) =
        host.values.resource(workspace, path).await?.ok_or_else(|| missing(workspace, path))?;
    Ok(respond::json(200, &shown(workspace, found, Some(raw(text)?))))
}

/// Whether there is a resource at a path: `true` or `false`.
pub(super) async fn exists(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    path: &ValuePath,
) -> Result<Reply, Problem> {
    let host = asked.host;
    let found = host.store.resource(workspace, path).await.map_err(unavailable)?;
    Ok(respond::json(200, &found.is_some()))
}

/// Resources by path, without their values. Query: `resource_type` (a list), `path_start`, `page`,
/// `per_page`.
pub(super) async fn list(asked: Asked<'_>, workspace: &WorkspaceId) -> Result<Reply, Problem> {
    let Asked { host, query, .. } = asked;
    let start = parameter(query, "path_start").unwrap_or_default();
    let types: Vec<String> = parameter(query, "resource_type")
        .unwrap_or_default()
        .split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    let Page { number, limit } = page(query)?;
    let (mut found, mut after) = (Vec::new(), None::<ValuePath>);
    for _ in 0..number {
        found = host
            .store
            .list_resources(workspace, &types, &start, after.as_ref(), limit)
            .await
            .map_err(unavailable)?;
        let Some(last) = found.last() else { break };
        after = Some(last.path.clone());
    }
    let listed: Vec<_> =
        found.into_iter().map(|resource| shown(workspace, resource, None)).collect();
    Ok(respond::json(200, &listed))
}

/// The types of the workspace's resources.
pub(super) async fn types(asked: Asked<'_>, workspace: &WorkspaceId) -> Result<Reply, Problem> {
    let host = asked.host;
    let names = names(host, workspace).await?.into_iter();
    let types: Vec<_> = names
        .map(|name| wire::ResourceType { workspace_id: workspace.to_string(), name })
        .collect();
    Ok(respond::json(200, &types))
}

/// The names of the types of the workspace's resources.
pub(super) async fn type_names(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
) -> Result<Reply, Problem> {
    let host = asked.host;
    Ok(respond::json(200, &names(host, workspace).await?))
}

async fn names(host: &Host, workspace: &WorkspaceId) -> Result<Vec<String>, Problem> {
    host.store.resource_types(workspace).await.map_err(unavailable)
}

/// The JSON text of a request's value.
///
/// # Errors
/// 403 when the caller may not read what the value refers to, 413 when the value is too large.
fn given(
    caller: &Caller,
    workspace: &WorkspaceId,
    value: Option<Box<RawJson>>,
) -> Result<String, Problem> {
    let text = value.map_or_else(|| "null".to_owned(), |value| value.0.get().to_owned());
    if text.len() > RESOURCE_BYTES {
        let more = text.len();
        return Err(Problem::new(
            Code::TooLarge,
            format!("A resource has at most {RESOURCE_BYTES} bytes; this one would have {more}"),
        ));
    }
    require(caller, workspace, &text)?;
    Ok(text)
}

fn check_type(name: &str) -> Result<(), Problem> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    match !name.is_empty() && name.len() <= RESOURCE_TYPE_CHARS && name.bytes().all(plain) {
        true => Ok(()),
        false => Err(Problem::bad_request(format!(
            "resource_type must have 1 to {RESOURCE_TYPE_CHARS} letters, digits, '_', '-' and '.'"
        ))),
    }
}

/// Makes a resource. Query: `update_if_exists=true` replaces a resource at the same path.
pub(super) async fn create(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    body: wire::NewResource,
) -> Result<Reply, Problem> {
    let Asked { host, caller, query, .. } = asked;
    let path: ValuePath = name(&body.path)?;
    caller.require(workspace, &Need::one("resources", Action::Write, path.as_str()))?;
    let description = body.description.unwrap_or_default();
    check_description(&description)?;
    check_type(&body.resource_type)?;
    let replace =
        typed_parameter::<bool>(query, "update_if_exists", "true or false")?.unwrap_or(false);
    let text = given(caller, workspace, body.value)?;
    let new = Resource {
        path: path.clone(),
        value: host.values.seal(&resource_at(workspace, path.as_str()), text.as_bytes())?,
        resource_type: body.resource_type,
        description,
        changed_by: caller.user.to_string(),
        changed: clock::now(),
    };
    let mode = if replace { PutMode::Upsert } else { PutMode::Create };
    let _alone = host.values.writes.lock().await;
    host.store.put_resource(workspace, &new, &mode).await.map_err(unavailable)?;
    tracing::info!(%workspace, %path, user = %caller.user, "resource created");
    Ok(respond::text(201, format!("resource {path} created")))
}

/// Changes a resource; a new path moves the resource.
pub(super) async fn update(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    path: &ValuePath,
    body: wire::EditResource,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let new_path = change(host, caller, workspace, path, body).await?;
    Ok(respond::text(200, format!("resource {path} updated (npath: {:?})", new_path.as_str())))
}

/// Changes a resource's value.
pub(super) async fn update_value(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    path: &ValuePath,
    body: wire::ResourceValue,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    let value = match body.value {
        Some(value) => value,
        None => raw("null".into())?,
    };
    change(
        host,
        caller,
        workspace,
        path,
        wire::EditResource { value: Some(value), ..wire::EditResource::default() },
    )
    .await?;
    Ok(respond::text(200, format!("value of resource {path} updated")))
}

async fn change(
    host: &Host,
    caller: &Caller,
    workspace: &WorkspaceId,
    path: &ValuePath,
    asked: wire::EditResource,
) -> Result<ValuePath, Problem> {
    let Changes { new_path, mode } = same_path(asked.path.as_deref(), path)?;
    caller.require(workspace, &Need::one("resources", Action::Write, new_path.as_str()))?;
    check_description(asked.description.as_deref().unwrap_or_default())?;
    asked.resource_type.as_deref().map_or(Ok(()), check_type)?;
    let value = asked.value.map(|value| given(caller, workspace, Some(value))).transpose()?;
    let _alone = host.values.writes.lock().await;
    let (present, old) =
        host.values.resource(workspace, path).await?.ok_or_else(|| missing(workspace, path))?;
    let text = value.unwrap_or(old);
    let changed = Resource {
        path: new_path.clone(),
        value: host.values.seal(&resource_at(workspace, new_path.as_str()), text.as_bytes())?,
        resource_type: asked.resource_type.unwrap_or(present.resource_type),
        description: asked.description.unwrap_or(present.description),
        changed_by: caller.user.to_string(),
        changed: clock::now(),
    };
    host.store.put_resource(workspace, &changed, &mode).await.map_err(unavailable)?;
    tracing::info!(%workspace, %path, %new_path, user = %caller.user, "resource updated");
    Ok(new_path)
}

/// Deletes a resource.
pub(super) async fn delete(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    path: &ValuePath,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    host.store.delete_resource(workspace, path, clock::now()).await.map_err(unavailable)?;
    tracing::info!(%workspace, %path, user = %caller.user, "resource deleted");
    Ok(respond::text(200, format!("resource {path} deleted")))
}
