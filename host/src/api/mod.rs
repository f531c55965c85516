//! The management routes, a file per resource. `operations` is the table of them all.

mod attempts;
pub(crate) mod cancel;
mod deploy;
mod jobs;
mod lists;
mod members;
mod open;
mod openapi;
pub(crate) mod operations;
mod problems;
mod queue;
mod resources;
mod restart;
mod retention;
mod scripts;
mod settings;
mod tokens;
mod updates;
mod users;
mod values;
mod variables;
mod webhook;
mod workspaces;

use crate::auth::Caller;
use crate::host::Host;
use crate::http::body::{self, Incoming};
use crate::http::respond::{self, Reply};
use bytes::Bytes;
use http::request;
use lists::Which;
use operations::{Matched, Operation, Right};
use serde::de::DeserializeOwned;
use std::str::FromStr;
use std::sync::Arc;
use wasmill_core::scope::Need;
use wasmill_core::{InvalidName, Problem};
use wasmill_store::Signal;

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
    if found.row.right == Right::Open {
        return open::answer(host, found.operation).await;
    }
    let caller = &host.tokens.identify(request).await?;
    authorize(caller, &found)?;
    let asked = Asked { host, caller, query: request.uri.query().unwrap_or_default(), request };
    let mut reply = dispatch(asked, found.operation, incoming).await?;
    if request.method != http::Method::GET {
        host.notifier.tell(|| Signal::Changed);
    }
    if found.row.is_for_pages() {
        respond::with(&mut reply, "access-control-allow-origin", "*");
    }
    Ok(reply)
}

/// Holds a caller against the right that the row asks for.
fn authorize(caller: &Caller, found: &Matched) -> Result<(), Problem> {
    let workspace = found.workspace.as_ref();
    let path = found.path.as_deref();
    match (found.row.right, workspace) {
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

/// A request that may be answered: who asks, and with what.
#[derive(Clone, Copy)]
struct Asked<'a> {
    host: &'a Arc<Host>,
    caller: &'a Arc<Caller>,
    query: &'a str,
    request: &'a request::Parts,
}

async fn dispatch(
    asked: Asked<'_>,
    operation: Operation,
    incoming: Incoming,
) -> Result<Reply, Problem> {
    let Asked { host, caller, query, .. } = asked;
    match operation {
        Operation::Version {}
        | Operation::UpToDate {}
        | Operation::Health {}
        | Operation::Document {}
        | Operation::ExplainProblem { .. } => open::answer(host, operation).await,

        Operation::WhoAmIAnywhere {} => Ok(users::whoami(caller)),
        Operation::MyEmail {} => Ok(respond::text(200, caller.email.clone())),
        Operation::CreateUser {} => users::create(host, &asked.json(incoming).await?).await,
        Operation::ListUsers {} => users::list(host).await,

        Operation::CreateToken {} => {
            tokens::create(host, caller, asked.optional_json(incoming).await?).await
        }
        Operation::Impersonate {} => tokens::impersonate(host, asked.json(incoming).await?).await,
        Operation::ListTokens {} => tokens::list(host, caller).await,
        Operation::DeleteToken { prefix } => tokens::delete(host, caller, &prefix).await,
        Operation::UpdateTokenLabel { prefix } => {
            tokens::update_label(host, caller, &prefix, asked.json(incoming).await?).await
        }
        Operation::UpdateTokenScopes { prefix } => {
            tokens::update_scopes(host, caller, &prefix, asked.json(incoming).await?).await
        }
        Operation::ListScopes {} => Ok(tokens::catalogue()),

        Operation::ListWorkspaces {} => workspaces::list(host, caller).await,
        Operation::MyWorkspaces {} => workspaces::mine(host, caller).await,
        Operation::CreateWorkspace {} => {
            workspaces::create(host, caller, &asked.json(incoming).await?).await
        }
        Operation::WorkspaceExists {} => {
            workspaces::exists(host, &asked.json(incoming).await?).await
        }
        Operation::GetSettings { workspace } => webhook::settings(host, caller, &workspace).await,
        Operation::EditWebhook { workspace } => {
            webhook::edit(host, caller, &workspace, asked.optional_json(incoming).await?).await
        }
        Operation::RotateWebhookSecret { workspace } => {
            webhook::rotate(host, caller, &workspace, asked.optional_json(incoming).await?).await
        }
        Operation::TestWebhook { workspace } => webhook::test(host, &workspace).await,
        Operation::WebhookDeliveries { workspace } => {
            webhook::deliveries(host, &workspace, query).await
        }
        Operation::RedeliverWebhook { workspace, delivery } => {
            webhook::redeliver(host, &workspace, delivery).await
        }
        Operation::EditRetention { workspace } => {
            retention::edit(host, caller, &workspace, asked.json(incoming).await?).await
        }
        Operation::EditWeight { workspace } => {
            retention::edit_weight(host, caller, &workspace, &asked.json(incoming).await?).await
        }
        Operation::UsernameExists {} => {
            workspaces::username_exists(host, caller, &asked.json(incoming).await?).await
        }

        Operation::WorkspaceDocument { workspace } => {
            openapi::of_workspace(host, caller, &workspace).await
        }

        Operation::AddMember { workspace } => {
            members::add(host, &workspace, &asked.json(incoming).await?).await
        }
        Operation::WhoAmI { workspace } => members::whoami(caller, &workspace),
        Operation::ListMembers { workspace } => members::list(host, &workspace).await,
        Operation::GetMember { workspace, username } => {
            members::get(host, &workspace, &username).await
        }
        Operation::MemberEmail { workspace, username } => {
            members::email(host, &workspace, &username).await
        }
        Operation::UpdateMember { workspace, username } => {
            members::update(host, &workspace, &username, &asked.json(incoming).await?).await
        }
        Operation::RemoveMember { workspace, username } => {
            members::remove(host, &workspace, &username).await
        }

        Operation::UploadScript { workspace, path } => {
            deploy::upload(asked, &workspace, path, incoming).await
        }
        Operation::CreateScript { workspace } => deploy::create(asked, &workspace, incoming).await,
        Operation::ListScripts { workspace } => scripts::list(host, &workspace, query).await,
        Operation::ListScriptPaths { workspace } => scripts::paths(host, &workspace).await,
        Operation::GetScriptByPath { workspace, path } => {
            scripts::get(host, caller, &workspace, &path.into()).await
        }
        Operation::GetScriptByHash { workspace, hash } => {
            scripts::get(host, caller, &workspace, &hash.into()).await
        }
        Operation::ScriptExists { workspace, path } => {
            scripts::exists(host, &workspace, &path).await
        }
        Operation::ScriptHistory { workspace, path } => {
            scripts::history(host, &workspace, &path).await
        }
        Operation::LatestVersion { workspace, path } => {
            scripts::latest(host, &workspace, &path).await
        }
        Operation::DeploymentStatus { workspace, hash } => {
            scripts::deployment_status(host, caller, &workspace, hash).await
        }
        Operation::DownloadByPath { workspace, path } => {
            scripts::download(host, caller, &workspace, &path.into()).await
        }
        Operation::DownloadByHash { workspace, hash } => {
            scripts::download(host, caller, &workspace, &hash.0.into()).await
        }
        Operation::ArchiveScript { workspace, path } => {
            scripts::archive(host, &workspace, &path).await
        }
        Operation::ArchiveByHash { workspace, hash } => {
            scripts::archive_by_hash(host, caller, &workspace, hash).await
        }
        Operation::DeleteVersion { workspace, hash } => {
            scripts::delete_version(host, caller, &workspace, hash).await
        }
        Operation::DeleteScript { workspace, path } => {
            scripts::delete(host, &workspace, &path).await
        }
        Operation::EditScriptRetention { workspace, path } => {
            retention::of_script(host, caller, &workspace, &path, asked.json(incoming).await?).await
        }
        Operation::ScriptTokens { workspace, path } => {
            tokens::of_script(host, &workspace, &path).await
        }

        Operation::GetVariableValue { workspace, path } => {
            variables::get_value(host, &workspace, &path).await
        }
        Operation::GetVariable { workspace, path } => {
            variables::get(host, &workspace, &path, query).await
        }
        Operation::VariableExists { workspace, path } => {
            variables::exists(host, &workspace, &path).await
        }
        Operation::ListVariables { workspace } => variables::list(host, &workspace, query).await,
        Operation::CreateVariable { workspace } => {
            variables::create(host, caller, &workspace, query, asked.json(incoming).await?).await
        }
        Operation::UpdateVariable { workspace, path } => {
            variables::update(host, caller, &workspace, &path, query, asked.json(incoming).await?)
                .await
        }
        Operation::DeleteVariable { workspace, path } => {
            variables::delete(host, caller, &workspace, &path).await
        }

        Operation::GetResourceValueInterpolated { workspace, path } => {
            resources::get_value_interpolated(host, &workspace, &path).await
        }
        Operation::GetResourceValue { workspace, path } => {
            resources::get_value(host, &workspace, &path).await
        }
        Operation::GetResource { workspace, path } => resources::get(host, &workspace, &path).await,
        Operation::ResourceExists { workspace, path } => {
            resources::exists(host, &workspace, &path).await
        }
        Operation::ListResources { workspace } => resources::list(host, &workspace, query).await,
        Operation::ListResourceTypes { workspace } => resources::types(host, &workspace).await,
        Operation::ListResourceTypeNames { workspace } => {
            resources::type_names(host, &workspace).await
        }
        Operation::CreateResource { workspace } => {
            resources::create(host, caller, &workspace, query, asked.json(incoming).await?).await
        }
        Operation::UpdateResource { workspace, path } => {
            resources::update(host, caller, &workspace, &path, asked.json(incoming).await?).await
        }
        Operation::UpdateResourceValue { workspace, path } => {
            resources::update_value(host, caller, &workspace, &path, asked.json(incoming).await?)
                .await
        }
        Operation::DeleteResource { workspace, path } => {
            resources::delete(host, caller, &workspace, &path).await
        }

        Operation::GetJob { workspace, id } => jobs::get(host, caller, &workspace, id).await,
        Operation::GetCompletedJob { workspace, id } => {
            jobs::get_completed(host, caller, &workspace, id).await
        }
        Operation::GetResult { workspace, id } => {
            jobs::result(host, caller, &workspace, id, query).await
        }
        Operation::GetResultMaybe { workspace, id } => {
            jobs::result_maybe(host, caller, &workspace, id, query).await
        }
        Operation::GetTiming { workspace, id } => jobs::timing(host, caller, &workspace, id).await,
        Operation::GetLogs { workspace, id } => jobs::logs(host, caller, &workspace, id).await,
        Operation::GetLogsTail { workspace, id } => {
            jobs::logs_tail(host, caller, &workspace, id).await
        }
        Operation::GetUpdate { workspace, id } => {
            updates::once(host, caller, &workspace, id, query).await
        }
        Operation::StreamUpdates { workspace, id } => {
            updates::stream(host, caller, &workspace, id, query).await
        }
        Operation::GetAttempts { workspace, id } => {
            attempts::list(host, caller, &workspace, id).await
        }
        Operation::GetArgs { workspace, id } => jobs::arguments(host, caller, &workspace, id).await,
        Operation::GetRootJob { workspace, id } => jobs::root(host, caller, &workspace, id).await,
        Operation::ListJobs { workspace } => {
            lists::list(host, caller, &workspace, Which::All, query).await
        }
        Operation::ListQueue { workspace } => {
            lists::list(host, caller, &workspace, Which::Queued, query).await
        }
        Operation::ListCompleted { workspace } => {
            lists::list(host, caller, &workspace, Which::Completed, query).await
        }
        Operation::CountQueue { workspace } => lists::count(host, &workspace, Which::Queued).await,
        Operation::CountCompleted { workspace } => {
            lists::count(host, &workspace, Which::Completed).await
        }
        Operation::QueuePosition { workspace, at } => queue::position(host, &workspace, at).await,
        Operation::ScheduledFor { workspace, id } => {
            queue::scheduled_for(host, caller, &workspace, id).await
        }
        Operation::StartedAt { workspace } => {
            queue::started_at(host, &workspace, &asked.list(incoming).await?).await
        }
        Operation::CancelJob { workspace, id } => {
            cancel::one(host, caller, &workspace, id, asked.optional_json(incoming).await?).await
        }
        Operation::CancelSelection { workspace } => {
            cancel::selection(host, caller, &workspace, &asked.list(incoming).await?).await
        }
        Operation::RestartJob { workspace, id } => restart::one(host, caller, &workspace, id).await,
        Operation::RestartJobs { workspace } => {
            restart::many(host, caller, &workspace, query).await
        }
        Operation::BatchRerunJobs { workspace } => {
            restart::rerun(host, caller, &workspace, &asked.json(incoming).await?).await
        }
        Operation::EraseJob { workspace, id } => jobs::erase(host, caller, &workspace, id).await,
        Operation::WorkerIsDraining { .. } => {
            Ok(respond::json(200, &host.stop.draining.is_cancelled()))
        }
    }
}

impl Asked<'_> {
    /// The body, never larger than a webhook's.
    async fn body(&self, incoming: Incoming) -> Result<Bytes, Problem> {
        let limits = &self.host.settings.limits;
        body::read(&self.request.headers, incoming, limits.body_bytes, limits.body_timeout).await
    }

    /// The body as a JSON object of a type.
    ///
    /// # Errors
    /// 400 saying what does not fit, and where.
    async fn json<T: DeserializeOwned>(&self, incoming: Incoming) -> Result<T, Problem> {
        object(&self.body(incoming).await?)
    }

    /// The same where there need not be a body.
    async fn optional_json<T: DeserializeOwned + Default>(
        &self,
        incoming: Incoming,
    ) -> Result<T, Problem> {
        let body = self.body(incoming).await?;
        if body.trim_ascii().is_empty() { Ok(T::default()) } else { object(&body) }
    }

    /// The body as a JSON array.
    ///
    /// # Errors
    /// 400 saying what does not fit, and where.
    async fn list<T: DeserializeOwned>(&self, incoming: Incoming) -> Result<Vec<T>, Problem> {
        serde_json::from_slice(&self.body(incoming).await?).map_err(unfit)
    }
}

fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // Deserialising would also take an array of the members' values, which nobody means.
    match body.trim_ascii_start() {
        [b'{', ..] => serde_json::from_slice(body).map_err(unfit),
        _ => Err(Problem::bad_request("The body must be a JSON object")),
    }
}

fn unfit(error: serde_json::Error) -> Problem {
    Problem::bad_request(format!("The body is not what this address takes: {error}"))
}

/// A name that stands in a body.
///
/// # Errors
/// 400 saying what is wrong with it.
fn name<T: FromStr<Err = InvalidName>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: InvalidName| Problem::bad_request(error.to_string()))
}

/// The last value of a query parameter.
fn parameter(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key == name)
        .last()
        .map(|(_, value)| value.into_owned())
}

/// A query parameter that must be of a type.
///
/// # Errors
/// 400 naming the parameter and what it may be.
fn typed_parameter<T: std::str::FromStr>(
    query: &str,
    name: &str,
    expected: &str,
) -> Result<Option<T>, Problem> {
    match parameter(query, name) {
        None => Ok(None),
        Some(text) => match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(Problem::bad_request(format!(
                "The query parameter {name} is {text:?}; it must be {expected}"
            ))),
        },
    }
}

/// Entries of a list's page: `per_page`, 1 to 10,000, else 1,000.
fn per_page(query: &str) -> Result<u32, Problem> {
    Ok(typed_parameter::<u32>(query, "per_page", "a number from 1 to 10000")?
        .unwrap_or(1_000)
        .clamp(1, 10_000))
}
