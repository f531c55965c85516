//! The arguments of a call and how it is to be run, from its request.

use super::mode::Mode;
use crate::auth::bearer;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, request};
use std::borrow::Cow;
use wasmill_core::Problem;
use wasmill_core::args::{self, Arguments, EVENT_HEADER_PREFIX, Parts};
use wasmill_core::options::RunOptions;
use wasmill_store::Micros;

/// The arguments of a call. `include_headers` names headers that become arguments of every call,
/// comma separated.
///
/// # Errors
/// 400, when the body, the query or an event's headers are wrong.
pub(crate) fn arguments(
    include_headers: &str,
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
        content_type: headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?")),
        query: request.uri.query().unwrap_or_default(),
        header: &header,
        event_headers: &event_headers,
        include_headers,
        body,
    };
    Ok(args::build(&parts)?)
}

/// How a call that is answered so is to be run: what its query says, less what is not its to say.
///
/// # Errors
/// 400 for a query parameter that cannot be what it is.
pub(crate) fn options(
    request: &request::Parts,
    mode: Mode,
    created: Micros,
) -> Result<RunOptions, Problem> {
    let query = request.uri.query().unwrap_or_default();
    let mut options = RunOptions::parse(query, created).map_err(Problem::bad_request)?;
    match mode {
        // Nobody waits for its turn.
        Mode::Queued => options.queue_limit = None,
        // Only a job that is queued can have been given its id by somebody else.
        Mode::Sync | Mode::Stream | Mode::Probe => options.job_id = None,
    }
    if mode == Mode::Probe {
        options.queue_limit = None;
    }
    Ok(options)
}
