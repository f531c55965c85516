//! What all webhook calls have in common: their arguments, the invocation they become, probes and
//! preflights.

pub(crate) mod backlog;
mod execute;
mod limited;
pub(crate) mod queued;
pub(crate) mod stream;
pub(crate) mod sync;
mod unattended;

use crate::clock;
use crate::host::{Host, Settings};
use crate::resolve::Deployment;
use crate::serve::auth::{Caller, bearer};
use crate::serve::respond::{self, Reply};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, request};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use wasmill_core::args::{self, Arguments, EVENT_HEADER_PREFIX, Parts};
use wasmill_core::options::RunOptions;
use wasmill_core::queue::Concurrency;
use wasmill_core::{JobId, Problem, WorkspaceId};
use wasmill_sandbox::Environment;
use wasmill_store::{DEFAULT_TAG, Erasure, Micros, NewJob, Trigger};

/// How often a queued job is started at most. A run that ends in an error is an answer and is not
/// repeated; this counts runs whose process went away.
const MAX_ATTEMPTS: u32 = 5;

/// Priority of a job that is part of another.
const PART_PRIORITY: i16 = 2;

/// A version plus arguments plus where they came from: what the front end builds and a runner
/// takes.
pub(crate) struct Invocation {
    /// The id of the run, and of its job.
    pub(crate) id: JobId,
    /// Whose script.
    pub(crate) workspace: WorkspaceId,
    /// Which version.
    pub(crate) version: Arc<Deployment>,
    /// Who calls.
    pub(crate) caller: Arc<Caller>,
    /// With what.
    pub(crate) arguments: Arguments,
    /// When, as part of what, for how long.
    pub(crate) options: RunOptions,
    /// When it arrived.
    pub(crate) created: Micros,
}

impl Invocation {
    /// Gives a call its id, and reads from its query how it is to be run.
    ///
    /// # Errors
    /// 400 for a query parameter that cannot be what it is, 500 when the system has no randomness
    /// to give.
    pub(crate) fn new(
        host: &Host,
        workspace: WorkspaceId,
        version: Arc<Deployment>,
        caller: Arc<Caller>,
        arguments: Arguments,
        query: &str,
    ) -> Result<Box<Self>, Problem> {
        let created = clock::now();
        let options = RunOptions::parse(query, created).map_err(Problem::bad_request)?;
        let id = host.ids.next().map_err(|error| {
            tracing::error!(%error, "no randomness for a job id");
            Problem::internal()
        })?;
        Ok(Box::new(Self { id, workspace, version, caller, arguments, options, created }))
    }

    /// The job that records this call.
    pub(crate) fn into_job(self: Box<Self>) -> NewJob {
        let Self { id, workspace, version, caller, arguments, options, created } = *self;
        let args = arguments.into_string();
        NewJob {
            token: Some(caller.digest),
            max_attempts: MAX_ATTEMPTS,
            run_at: options.run_at.unwrap_or(created).max(created),
            timeout: options.timeout,
            tag: options.tag.unwrap_or_else(|| DEFAULT_TAG.into()),
            // What others wait for goes first.
            priority: if options.parent.is_some() || options.root.is_some() {
                PART_PRIORITY
            } else {
                0
            },
            parent: options.parent,
            root: options.root,
            retry: options.retry.or(version.settings.retry).filter(|retry| retry.retries() > 0),
            concurrency: version.concurrency(&workspace, &args),
            erasure: version.erasure(),
            ..NewJob::new(
                id,
                workspace,
                version.hash,
                caller.user.to_string(),
                Trigger::Webhook,
                created,
                args,
            )
        }
    }
}

impl Deployment {
    /// What becomes of the payload of its jobs.
    pub(crate) fn erasure(&self) -> Erasure {
        let after = self.settings.delete_after_secs.map(|secs| Duration::from_secs(secs.into()));
        Erasure { when_read: self.settings.delete_after_use, after }
    }

    /// Of how many others its jobs with these arguments may run beside.
    pub(crate) fn concurrency(&self, workspace: &WorkspaceId, args: &str) -> Option<Concurrency> {
        let limit = self.settings.concurrent_limit?;
        Some(Concurrency::new(
            workspace,
            &self.path,
            self.settings.concurrency_key.as_deref(),
            limit,
            args,
        ))
    }
}

/// What a script is told about its run, as environment variables.
pub(crate) fn environment(
    host: &Arc<Host>,
    workspace: &WorkspaceId,
    version: &Arc<Deployment>,
    id: JobId,
) -> Environment {
    let (host, workspace, version) = (host.clone(), workspace.clone(), version.clone());
    Environment::new(move || {
        vec![
            ("WM_WORKSPACE".into(), workspace.to_string()),
            ("WM_JOB_ID".into(), id.to_string()),
            ("WM_SCRIPT_PATH".into(), version.path.to_string()),
            ("WM_SCRIPT_HASH".into(), version.hash_text.to_string()),
            ("WM_BASE_URL".into(), host.base_url.clone()),
        ]
    })
}

/// The arguments of a call.
///
/// # Errors
/// 400, when the body, the query or an event's headers are wrong.
pub(crate) fn arguments(
    settings: &Settings,
    request: &request::Parts,
    body: &[u8],
) -> Result<Arguments, Problem> {
    let headers = &request.headers;
    let header = |name: &str| {
        // The caller's credential is never handed to a script.
        if name == AUTHORIZATION.as_str() && bearer(headers).is_some() {
            return None;
        }
        // A value that is not visible ASCII reads as an empty string, as callers of the older host
        // know it.
        headers.get(name).map(|value| Cow::Borrowed(value.to_str().unwrap_or_default()))
    };
    let event_headers: Vec<(&str, &[u8])> = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with(EVENT_HEADER_PREFIX))
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    let parts = Parts {
        get: request.method == Method::GET,
        content_type: headers
            .get(http::header::CONTENT_TYPE)
            .map(|value| value.to_str().unwrap_or("?")),
        query: request.uri.query().unwrap_or_default(),
        header: &header,
        event_headers: &event_headers,
        include_headers: &settings.include_headers,
        body,
    };
    Ok(args::build(&parts)?)
}

/// What every answer to a run carries.
pub(crate) fn labelled(mut reply: Reply, id: JobId, version: &Deployment) -> Reply {
    respond::with(&mut reply, "x-wasmill-job-id", &id.to_string());
    let headers = reply.headers_mut();
    headers.insert("x-wasmill-version", version.hash_header.clone());
    headers.insert(http::header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    reply
}

/// HEAD on a webhook's address, once it is known that the script is there and the token may run it.
pub(crate) fn probe(invocation: &Invocation) -> Reply {
    let mut reply = respond::text(200, "");
    respond::with(&mut reply, "x-wasmill-version", &invocation.version.hash_text);
    reply
}

/// OPTIONS on an address with these methods: the browser's preflight, and the handshake by which
/// senders of CloudEvents ask for consent (CloudEvents HTTP webhook 1.0, section 4).
pub(crate) fn preflight(headers: &HeaderMap, methods: &str) -> Reply {
    let mut reply = respond::text(200, "");
    respond::with(&mut reply, "access-control-allow-origin", "*");
    respond::with(&mut reply, "access-control-allow-methods", methods);
    respond::with(&mut reply, "access-control-allow-headers", "Content-Type, Authorization");
    respond::with(&mut reply, "allow", methods);
    if let Some(origin) =
        headers.get("webhook-request-origin").and_then(|origin| origin.to_str().ok())
    {
        respond::with(&mut reply, "webhook-allowed-origin", origin);
        respond::with(&mut reply, "webhook-allowed-rate", "*");
    }
    reply
}
