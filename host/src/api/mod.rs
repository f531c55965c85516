//! The management routes, a file per resource.

mod cancel;
mod jobs;
pub(crate) mod lists;
pub(crate) mod open;
mod scripts;
mod tokens;
mod resources;
mod updates;
mod values;
mod variables;

use crate::host::Host;
use crate::serve::body;
use crate::serve::respond::Reply;
use crate::serve::route::Api;
use bytes::Bytes;
use http::request;
use hyper::body::Incoming;
use std::sync::Arc;
use wasmill_core::Problem;

/// Answers a management request.
///
/// # Errors
/// The problem to be answered.
pub(crate) async fn answer(host: &Arc<Host>, route: Api, request: &request::Parts, incoming: Incoming) -> Result<Reply, Problem> {
    let caller = &host.tokens.identify(&*host.store, request).await?;
    let query = request.uri.query().unwrap_or_default();
    match route {
        Api::Upload(workspace, path) => scripts::upload(host, caller, &workspace, path, request, incoming).await,
        Api::ListScripts(workspace) => scripts::list(host, caller, &workspace, query).await,
        Api::GetScript(workspace, target) => scripts::get(host, caller, &workspace, &target).await,
        Api::ScriptExists(workspace, path) => scripts::exists(host, caller, &workspace, &path).await,
        Api::ScriptHistory(workspace, path) => scripts::history(host, caller, &workspace, &path).await,
        Api::ArchiveScript(workspace, path) => scripts::archive(host, caller, &workspace, &path).await,
        Api::DownloadModule(workspace, target) => scripts::download(host, caller, &workspace, &target).await,
        Api::GetJob(workspace, id) => jobs::get(host, caller, &workspace, id).await,
        Api::GetResult(workspace, id) => jobs::result(host, caller, &workspace, id).await,
        Api::GetResultMaybe(workspace, id) => jobs::result_maybe(host, caller, &workspace, id, query).await,
        Api::GetLogs(workspace, id) => jobs::logs(host, caller, &workspace, id).await,
        Api::GetUpdate(workspace, id) => updates::once(host, caller, &workspace, id, query).await,
        Api::StreamUpdates(workspace, id) => updates::stream(host, caller, &workspace, id, query).await,
        Api::GetArgs(workspace, id) => jobs::arguments(host, caller, &workspace, id).await,
        Api::ListJobs(workspace, which) => lists::list(host, caller, &workspace, which, query).await,
        Api::CountJobs(workspace, which) => lists::count(host, caller, &workspace, which).await,
        Api::Cancel(workspace, id) => cancel::one(host, caller, &workspace, id, &small_body(host, request, incoming).await?).await,
        Api::CancelSelection(workspace) => cancel::selection(host, caller, &workspace, &small_body(host, request, incoming).await?).await,
        Api::WhoAmI(workspace) => tokens::whoami(caller, &workspace),
        Api::WhoAmIAnywhere => Ok(tokens::whoami_anywhere(caller)),
        Api::CreateToken => tokens::create(host, caller, &small_body(host, request, incoming).await?).await,
        Api::ListTokens => tokens::list(host, caller).await,
        Api::DeleteToken(prefix) => tokens::delete(host, caller, &prefix).await,
    }
}

/// A body of a management request, which is never larger than a webhook's.
async fn small_body(host: &Host, request: &request::Parts, incoming: Incoming) -> Result<Bytes, Problem> {
    let limits = &host.settings.limits;
    body::read(&request.headers, incoming, limits.body_bytes, limits.body_timeout).await
}

/// The last value of a query parameter.
fn parameter(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name).last().map(|(_, value)| value.into_owned())
}

/// A query parameter that must be of a type.
///
/// # Errors
/// 400 naming the parameter and what it may be.
fn typed_parameter<T: std::str::FromStr>(query: &str, name: &str, expected: &str) -> Result<Option<T>, Problem> {
    match parameter(query, name) {
        None => Ok(None),
        Some(text) => match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(Problem::bad_request(format!("The query parameter {name} is {text:?}; it must be {expected}"))),
        },
    }
}

/// Entries of a list's page: `per_page`, 1 to 10,000, else 1,000.
fn per_page(query: &str) -> Result<u32, Problem> {
    Ok(typed_parameter::<u32>(query, "per_page", "a number from 1 to 10000")?.unwrap_or(1_000).clamp(1, 10_000))
}
