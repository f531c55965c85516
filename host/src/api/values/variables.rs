//! Variables: named texts of a workspace, sealed where they are stored.

use super::common::{Changes, Page, check_description, page, same_path};
use crate::api::asked::Asked;
use crate::api::parse::{name, parameter, typed_parameter};
use crate::clock;
use crate::host::Host;
use crate::http::respond::{self, Reply};
use crate::store_errors::unavailable;
use crate::values::variable_at;
use std::collections::BTreeMap;
use wasmill_core::limits::VARIABLE_BYTES;
use wasmill_core::problem::Code;
use wasmill_core::scope::{Action, Need};
use wasmill_core::{Problem, ValuePath, WorkspaceId, seal, wire};
use wasmill_store::{PutMode, Variable};

fn missing(workspace: &WorkspaceId, path: &ValuePath) -> Problem {
    Problem::not_found(format!("There is no variable {path} in the workspace {workspace}"))
}

fn shown(workspace: &WorkspaceId, variable: Variable, value: Option<String>) -> wire::Variable {
    wire::Variable {
        workspace_id: workspace.to_string(),
        path: variable.path.into(),
        value,
        is_secret: variable.is_secret,
        description: variable.description,
        extra_perms: BTreeMap::new(),
        is_oauth: false,
        edited_by: variable.changed_by,
        edited_at: wire::timestamp(variable.changed),
    }
}

/// A variable's text as a JSON string.
pub(super) async fn get_value(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    path: &ValuePath,
) -> Result<Reply, Problem> {
    let host = asked.host;
    let (_, text) =
        host.values.variable(workspace, path).await?.ok_or_else(|| missing(workspace, path))?;
    Ok(respond::json(200, &text))
}

/// A variable. Query: `decrypt_secret=false` leaves the text of a secret out;
/// `include_encrypted=true` then shows the sealed text in base64.
pub(super) async fn get(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    path: &ValuePath,
) -> Result<Reply, Problem> {
    let Asked { host, query, .. } = asked;
    let switch = |name| typed_parameter::<bool>(query, name, "true or false");
    let (decrypted, encrypted) =
        (switch("decrypt_secret")?.unwrap_or(true), switch("include_encrypted")?.unwrap_or(false));
    let found = host.store.variable(workspace, path).await.map_err(unavailable)?;
    let variable = found.ok_or_else(|| missing(workspace, path))?;
    let value = match (!variable.is_secret || decrypted, encrypted) {
        (true, _) => {
            Some(host.values.open(&variable_at(workspace, path.as_str()), &variable.value)?)
        }
        (false, true) => Some(seal::to_text(&variable.value)),
        (false, false) => None,
    };
    Ok(respond::json(200, &shown(workspace, variable, value)))
}

/// Whether there is a variable at a path: `true` or `false`.
pub(super) async fn exists(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    path: &ValuePath,
) -> Result<Reply, Problem> {
    let host = asked.host;
    let found = host.store.variable(workspace, path).await.map_err(unavailable)?;
    Ok(respond::json(200, &found.is_some()))
}

/// Variables by path, secret ones without their text. Query: `path_start`, `page`, `per_page`.
pub(super) async fn list(asked: Asked<'_>, workspace: &WorkspaceId) -> Result<Reply, Problem> {
    let Asked { host, query, .. } = asked;
    let start = parameter(query, "path_start").unwrap_or_default();
    let Page { number, limit } = page(query)?;
    let (mut found, mut after) = (Vec::new(), None::<ValuePath>);
    for _ in 0..number {
        found = host
            .store
            .list_variables(workspace, &start, after.as_ref(), limit)
            .await
            .map_err(unavailable)?;
        let Some(last) = found.last() else { break };
        after = Some(last.path.clone());
    }
    let mut listed = Vec::with_capacity(found.len());
    for variable in found {
        let value = match variable.is_secret {
            true => None,
            false => Some(
                host.values
                    .open(&variable_at(workspace, variable.path.as_str()), &variable.value)?,
            ),
        };
        listed.push(shown(workspace, variable, value));
    }
    Ok(respond::json(200, &listed))
}

/// The text of a request's value, opened when the query has `already_encrypted=true`: the value is
/// then sealed as `include_encrypted` shows it.
///
/// # Errors
/// 400 when the value cannot be opened, 413 when the text is too large.
fn given(
    host: &Host,
    workspace: &WorkspaceId,
    path: &str,
    text: String,
    query: &str,
) -> Result<String, Problem> {
    let text = match typed_parameter::<bool>(query, "already_encrypted", "true or false")? {
        Some(true) => {
            let refused = || {
                Problem::bad_request(format!(
                    "The value was not encrypted by this host for the variable {path}"
                ))
            };
            let bytes = seal::from_text(&text).ok_or_else(refused)?;
            let opened = host.values.try_open(&variable_at(workspace, path), &bytes);
            opened.map_err(|_| refused())?
        }
        _ => text,
    };
    match text.len() {
        ..=VARIABLE_BYTES => Ok(text),
        more => Err(Problem::new(
            Code::TooLarge,
            format!("A variable has at most {VARIABLE_BYTES} bytes; this one would have {more}"),
        )),
    }
}

/// Makes a variable.
pub(super) async fn create(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    body: wire::NewVariable,
) -> Result<Reply, Problem> {
    let Asked { host, caller, query, .. } = asked;
    let path: ValuePath = name(&body.path)?;
    caller.require(workspace, &Need::one("variables", Action::Write, path.as_str()))?;
    check_description(&body.description)?;
    let text = given(host, workspace, path.as_str(), body.value, query)?;
    let new = Variable {
        path: path.clone(),
        value: host.values.seal(&variable_at(workspace, path.as_str()), text.as_bytes())?,
        is_secret: body.is_secret,
        description: body.description,
        changed_by: caller.user.to_string(),
        changed: clock::now(),
    };
    host.store.put_variable(workspace, &new, &PutMode::Create).await.map_err(unavailable)?;
    tracing::info!(%workspace, %path, user = %caller.user, "variable created");
    Ok(respond::text(201, format!("variable {path} created")))
}

/// Changes a variable; a new path moves the variable.
pub(super) async fn update(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    path: &ValuePath,
    body: wire::EditVariable,
) -> Result<Reply, Problem> {
    let Asked { host, caller, query, .. } = asked;
    let Changes { new_path, mode } = same_path(body.path.as_deref(), path)?;
    caller.require(workspace, &Need::one("variables", Action::Write, new_path.as_str()))?;
    check_description(body.description.as_deref().unwrap_or_default())?;
    let _alone = host.values.writes.lock().await;
    let (present, old) =
        host.values.variable(workspace, path).await?.ok_or_else(|| missing(workspace, path))?;
    if body.value.is_none() && body.is_secret.is_some_and(|secret| secret != present.is_secret) {
        // Who may write a secret need not be allowed to read it.
        return Err(Problem::bad_request(
            "is_secret cannot be changed without giving the value anew",
        ));
    }
    let text = match body.value {
        Some(text) => given(host, workspace, path.as_str(), text, query)?,
        None => old,
    };
    let changed = Variable {
        path: new_path.clone(),
        value: host.values.seal(&variable_at(workspace, new_path.as_str()), text.as_bytes())?,
        is_secret: body.is_secret.unwrap_or(present.is_secret),
        description: body.description.unwrap_or(present.description),
        changed_by: caller.user.to_string(),
        changed: clock::now(),
    };
    host.store.put_variable(workspace, &changed, &mode).await.map_err(unavailable)?;
    tracing::info!(%workspace, %path, %new_path, user = %caller.user, "variable updated");
    Ok(respond::text(
        200,
        format!("variable {path} updated (npath: {new_path:?})", new_path = new_path.as_str()),
    ))
}

/// Deletes a variable.
pub(super) async fn delete(
    asked: Asked<'_>,
    workspace: &WorkspaceId,
    path: &ValuePath,
) -> Result<Reply, Problem> {
    let Asked { host, caller, .. } = asked;
    host.store.delete_variable(workspace, path, clock::now()).await.map_err(unavailable)?;
    tracing::info!(%workspace, %path, user = %caller.user, "variable deleted");
    Ok(respond::text(200, format!("variable {path} deleted")))
}
