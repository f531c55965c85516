//! Variables: named texts of a workspace, sealed where they are stored.

use super::values::{Changes, Page, check_description, page, same_path};
use super::{name, parameter, typed_parameter};
use crate::clock;
use crate::host::Host;
use crate::resolve::unavailable;
use crate::serve::auth::Caller;
use crate::serve::respond::{self, Reply};
use crate::values::{opened, sealed, variable, variable_at};
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

/// The text as a JSON string.
pub(crate) async fn get_value(
    host: &Host,
    workspace: &WorkspaceId,
    path: &ValuePath,
) -> Result<Reply, Problem> {
    let (_, text) =
        variable(host, workspace, path).await?.ok_or_else(|| missing(workspace, path))?;
    Ok(respond::json(200, &text))
}

/// The whole variable. Query: `decrypt_secret` (true unless it is `false`), and for a secret that
/// is then not decrypted
/// `include_encrypted`, which shows it sealed, in base64.
pub(crate) async fn get(
    host: &Host,
    workspace: &WorkspaceId,
    path: &ValuePath,
    query: &str,
) -> Result<Reply, Problem> {
    let switch = |name| typed_parameter::<bool>(query, name, "true or false");
    let (decrypted, encrypted) =
        (switch("decrypt_secret")?.unwrap_or(true), switch("include_encrypted")?.unwrap_or(false));
    let found = host.store.variable(workspace, path).await.map_err(unavailable)?;
    let variable = found.ok_or_else(|| missing(workspace, path))?;
    let value = match (!variable.is_secret || decrypted, encrypted) {
        (true, _) => Some(opened(host, &variable_at(workspace, path.as_str()), &variable.value)?),
        (false, true) => Some(seal::to_text(&variable.value)),
        (false, false) => None,
    };
    Ok(respond::json(200, &shown(workspace, variable, value)))
}

/// Whether there is one: `true` or `false`.
pub(crate) async fn exists(
    host: &Host,
    workspace: &WorkspaceId,
    path: &ValuePath,
) -> Result<Reply, Problem> {
    let found = host.store.variable(workspace, path).await.map_err(unavailable)?;
    Ok(respond::json(200, &found.is_some()))
}

/// Variables by path, secret ones without their text. Query: `path_start`, `page`, `per_page`.
pub(crate) async fn list(
    host: &Host,
    workspace: &WorkspaceId,
    query: &str,
) -> Result<Reply, Problem> {
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
            false => Some(opened(
                host,
                &variable_at(workspace, variable.path.as_str()),
                &variable.value,
            )?),
        };
        listed.push(shown(workspace, variable, value));
    }
    Ok(respond::json(200, &listed))
}

/// The text that a request brings, out of its seal when it says `already_encrypted=true`: as
/// `include_encrypted` shows it.
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
            let plain = seal::open(&host.value_key, &variable_at(workspace, path), &bytes)
                .map_err(|_| refused())?;
            String::from_utf8(plain).map_err(|_| refused())?
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

/// Makes one.
pub(crate) async fn create(
    host: &Host,
    caller: &Caller,
    workspace: &WorkspaceId,
    query: &str,
    asked: wire::NewVariable,
) -> Result<Reply, Problem> {
    let path: ValuePath = name(&asked.path)?;
    caller.require(workspace, &Need::one("variables", Action::Write, path.as_str()))?;
    check_description(&asked.description)?;
    let text = given(host, workspace, path.as_str(), asked.value, query)?;
    let new = Variable {
        path: path.clone(),
        value: sealed(host, &variable_at(workspace, path.as_str()), text.as_bytes())?,
        is_secret: asked.is_secret,
        description: asked.description,
        changed_by: caller.user.to_string(),
        changed: clock::now(),
    };
    host.store.put_variable(workspace, &new, &PutMode::Create).await.map_err(unavailable)?;
    tracing::info!(%workspace, %path, user = %caller.user, "variable created");
    Ok(respond::text(201, format!("variable {path} created")))
}

/// Changes one; a new path moves it.
pub(crate) async fn update(
    host: &Host,
    caller: &Caller,
    workspace: &WorkspaceId,
    path: &ValuePath,
    query: &str,
    asked: wire::EditVariable,
) -> Result<Reply, Problem> {
    let Changes { new_path, mode } = same_path(asked.path.as_deref(), path)?;
    caller.require(workspace, &Need::one("variables", Action::Write, new_path.as_str()))?;
    check_description(asked.description.as_deref().unwrap_or_default())?;
    let _alone = host.value_writes.lock().await;
    let (present, old) =
        variable(host, workspace, path).await?.ok_or_else(|| missing(workspace, path))?;
    if asked.value.is_none() && asked.is_secret.is_some_and(|secret| secret != present.is_secret) {
        // Who may write a secret need not be allowed to read it.
        return Err(Problem::bad_request(
            "is_secret cannot be changed without giving the value anew",
        ));
    }
    let text = match asked.value {
        Some(text) => given(host, workspace, path.as_str(), text, query)?,
        None => old,
    };
    let changed = Variable {
        path: new_path.clone(),
        value: sealed(host, &variable_at(workspace, new_path.as_str()), text.as_bytes())?,
        is_secret: asked.is_secret.unwrap_or(present.is_secret),
        description: asked.description.unwrap_or(present.description),
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

/// Deletes one.
pub(crate) async fn delete(
    host: &Host,
    caller: &Caller,
    workspace: &WorkspaceId,
    path: &ValuePath,
) -> Result<Reply, Problem> {
    host.store.delete_variable(workspace, path, clock::now()).await.map_err(unavailable)?;
    tracing::info!(%workspace, %path, user = %caller.user, "variable deleted");
    Ok(respond::text(200, format!("variable {path} deleted")))
}
