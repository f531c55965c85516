//! One request, top to bottom. Each line is one room; nothing else decides.

use super::route::{self, Route};
use crate::admission::once;
use crate::api;
use crate::api::row::Right;
use crate::calls::mode::Mode;
use crate::calls::{self, in_turn, queued, stream, sync};
use crate::clock::{self, Arrival};
use crate::host::Host;
use crate::http::body::{self, Incoming};
use crate::http::respond::{self, Reply};
use crate::run::{Invocation, Origin, QueueOptions};
use crate::settings::Role;
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
    let arrival = Arrival::now();
    let caller = host.tokens.identify(&parts).await?;
    caller.role(&workspace)?;
    let version = host.resolver.resolve(&workspace, &target).await?;
    caller.require(&workspace, &Need::run_script(version.path.as_str()))?;
    let asked = calls::options(&parts, mode, arrival.at)?;
    let queues = mode == Mode::Queued || (mode != Mode::Probe && version.takes_turns());
    let limit = asked.queue_limit;
    host.queue_bounds.room(&workspace, queues, limit).await?;
    let limits = &host.settings.limits;
    let body = body::read(&parts.headers, incoming, limits.body_bytes, limits.body_timeout).await?;
    let arguments = calls::arguments(&host.settings.include_headers, &parts, &body)?;
    values::require(&caller, &workspace, arguments.as_str())?;
    // The body may have taken long. A job's time has to be about that of its id.
    let arrival = Arrival { at: clock::now(), ..arrival };
    let once = match mode {
        Mode::Queued => once::key(&parts.headers, &target, arguments.as_str(), arrival.at)?,
        _ => None,
    };
    let id = asked.job_id.map_or_else(|| host.ids.next_for_request(), Ok)?;
    let origin = Origin::call(&caller, &asked);
    let options = QueueOptions::of_call(asked, &version, arrival.at);
    let call = Invocation {
        id,
        workspace,
        version: version.clone(),
        args: arguments.into_string().into(),
        origin,
        options,
        arrival,
    };
    match (mode, version.takes_turns()) {
        (Mode::Probe, _) => Ok(calls::probe(&version)),
        (Mode::Queued, _) => Box::pin(queued::enqueue(host, call, once)).await,
        (Mode::Sync, true) => Box::pin(in_turn::run(host, call)).await,
        (Mode::Stream, true) => Box::pin(stream::run_in_turn(host, call)).await,
        (Mode::Sync | Mode::Stream, false) => {
            let script = host.modules.prepared(&version).await?;
            let permit = host.permits.enter().await?;
            match mode {
                Mode::Stream => Ok(stream::run(host, call, script, permit)),
                _ => sync::run(host, call, script, permit).await,
            }
        }
    }
}
