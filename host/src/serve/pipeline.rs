//! One request, top to bottom. Each line is one room; nothing else decides.

use super::route::{self, Route};
use crate::api;
use crate::api::row::Right;
use crate::calls::mode::Mode;
use crate::calls::{self, Invocation};
use crate::host::{Host, Role};
use crate::http::body::{self, Incoming};
use crate::http::respond::{self, Reply};
use crate::values;
use http::Request;
use std::sync::Arc;
use std::time::Instant;
use wasmill_core::Problem;
use wasmill_core::scope::Need;

/// Answers one request, and logs how it went.
pub(crate) async fn handle(host: Arc<Host>, request: Request<Incoming>) -> Reply {
    let watched = tracing::enabled!(target: "wasmill::request", tracing::Level::DEBUG);
    // The path without its query: a token may stand there.
    let seen = watched
        .then(|| (Instant::now(), request.method().clone(), request.uri().path().to_owned()));
    let reply = answer(&host, request).await.unwrap_or_else(|problem| respond::problem(&problem));
    if let Some((begun, method, path)) = seen {
        let micros = begun.elapsed().as_micros() as u64;
        tracing::debug!(target: "wasmill::request", %method, path, status = reply.status().as_u16(), micros, "answered");
    }
    reply
}

/// What a host is told that asks a worker for something.
const WORKER: &str = "This host runs queued jobs only (--role worker); send requests to one of the role front or all";

/// What is seldom done is in boxes of its own: a future is as large as the largest that it may wait
/// for, and this one is moved for each request.
async fn answer(host: &Arc<Host>, request: Request<Incoming>) -> Result<Reply, Problem> {
    let (parts, incoming) = request.into_parts();
    let (workspace, mode, target) = match route::parse(&parts.method, parts.uri.path())? {
        Route::Api(found) if found.row.right == Right::Open => {
            return Box::pin(api::answer(host, found, &parts, incoming)).await;
        }
        _ if host.settings.role == Role::Worker => return Err(Problem::not_found(WORKER)),
        Route::Run { workspace, mode, target } => (workspace, mode, target),
        Route::Preflight(methods) => return Ok(calls::preflight(&parts.headers, &methods)),
        Route::Api(found) => return Box::pin(api::answer(host, found, &parts, incoming)).await,
    };
    let caller = host.tokens.identify(&*host.store, &parts).await?;
    caller.role(&workspace)?;
    let version = host.resolver.resolve(&*host.store, &workspace, &target).await?;
    caller.require(&workspace, &Need::run_script(version.path.as_str()))?;
    let limits = &host.settings.limits;
    let body = body::read(&parts.headers, incoming, limits.body_bytes, limits.body_timeout).await?;
    let arguments = calls::arguments(&host.settings, &parts, &body)?;
    values::require(&caller, &workspace, arguments.as_str())?;
    let invocation = Invocation::new(
        host,
        workspace,
        version,
        caller,
        arguments,
        parts.uri.query().unwrap_or_default(),
    )?;
    match mode {
        Mode::Queued => {
            Box::pin(calls::queued::enqueue(host, &target, &parts.headers, invocation)).await
        }
        Mode::Sync => calls::sync::run(host, invocation).await,
        Mode::Stream => Box::pin(calls::stream::open(host, invocation)).await,
        Mode::Probe => Ok(calls::probe(&invocation)),
    }
}
