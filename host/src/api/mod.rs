//! The management routes, a folder per resource: its rows of the table of operations, and what
//! answers them. `operations` is the whole table.

mod accounts;
mod asked;
mod description;
pub(crate) mod jobs;
mod openapi;
pub(crate) mod operations;
mod parse;
mod public;
pub(crate) mod row;
mod scripts;
mod values;
mod workspaces;

use crate::auth::Caller;
use crate::host::Host;
use crate::http::body::Incoming;
use crate::http::respond::{self, Reply};
use asked::{Anonymous, Asked};
use http::request;
use operations::Matched;
use row::{Prepared, Right};
use serde_json::Value;
use std::sync::{Arc, LazyLock};
use wasmill_core::scope::Need;
use wasmill_core::{Problem, WorkspaceId};
use wasmill_store::Signal;

/// The API's description.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| openapi::document(operations::rows()));

/// Answers a management request.
///
/// # Errors
/// The problem to be answered.
pub(crate) async fn answer(
    host: &Arc<Host>,
    found: Matched,
    request: &request::Parts,
    incoming: Incoming,
) -> Result<Reply, Problem> {
    let Matched { row, handler, workspace, path } = found;
    let handler = match (row.right, handler) {
        (Right::Open, Prepared::Anonymous(handler)) => {
            let document = || respond::json(200, &*DOCUMENT);
            return handler(Anonymous { host, document }).await;
        }
        (_, Prepared::Asked(handler)) => handler,
        // A row whose handler asks for no token though its right does; a test holds that there is
        // none.
        (_, Prepared::Anonymous(_)) => return Err(Problem::internal()),
    };
    let caller = &host.tokens.identify(request).await?;
    authorize(caller, row.right, workspace.as_ref(), path.as_deref())?;
    let query = request.uri.query().unwrap_or_default();
    let mut reply = handler(Asked { host, caller, query, request }, incoming).await?;
    if request.method != http::Method::GET {
        host.notifier.tell(|| Signal::Changed);
    }
    if row.is_for_pages() {
        respond::with(&mut reply, "access-control-allow-origin", "*");
    }
    Ok(reply)
}

/// Holds a caller against the right that a row asks for, in the workspace and for the path that are
/// in the address.
///
/// # Errors
/// 403 without the right.
fn authorize(
    caller: &Caller,
    right: Right,
    workspace: Option<&WorkspaceId>,
    path: Option<&str>,
) -> Result<(), Problem> {
    match (right, workspace) {
        (Right::Open | Right::Known, _) => Ok(()),
        (Right::Member | Right::Found(..), Some(workspace)) => caller.role(workspace).map(drop),
        (Right::All(domain, action), Some(workspace)) => {
            caller.require(workspace, &Need::all(domain, action))
        }
        (Right::All(domain, action), None) => caller.require_scope(&Need::all(domain, action)),
        (Right::Path(domain, action), Some(workspace)) => {
            caller.require(workspace, &Need { domain, action, kind: None, resource: path })
        }
        (Right::Admin(domain, action), Some(workspace)) => {
            caller.require_admin(workspace, &Need::all(domain, action))
        }
        (Right::Super(domain, action), _) => caller.require_super(&Need::all(domain, action)),
        // A row without the workspace that its right is about; a test holds that there is none.
        (Right::Member | Right::Found(..) | Right::Path(..) | Right::Admin(..), None) => {
            Err(Problem::internal())
        }
    }
}
