//! The answers that calls have in common.

use crate::http::respond::{self, Reply};
use crate::resolve::Deployment;
use crate::run::Wait;
use http::header::ACCESS_CONTROL_ALLOW_ORIGIN;
use http::{HeaderMap, HeaderValue};
use std::fmt;
use std::time::Duration;
use wasmill_core::answer::Answer;
use wasmill_core::problem::Code;
use wasmill_core::{JobId, Problem};

/// What every answer to a run carries.
pub(crate) fn labelled(mut reply: Reply, id: JobId, version: &Deployment) -> Reply {
    respond::with(&mut reply, "x-wasmill-job-id", &id.to_string());
    let headers = reply.headers_mut();
    headers.insert("x-wasmill-version", version.hash_header.clone());
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    reply
}

/// HEAD on a webhook's address, once it is known that the script is there and the token may run it.
pub(crate) fn probe(version: &Deployment) -> Reply {
    let mut reply = respond::text(200, "");
    respond::with(&mut reply, "x-wasmill-version", &version.hash_text);
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
    let origin = headers.get("webhook-request-origin").and_then(|origin| origin.to_str().ok());
    if let Some(origin) = origin {
        respond::with(&mut reply, "webhook-allowed-origin", origin);
        respond::with(&mut reply, "webhook-allowed-rate", "*");
    }
    reply
}

/// The answer to a caller who waited for a run: its result, or that the wait, which was `longest`,
/// ended before.
pub(super) fn waited(
    wait: Wait,
    result: impl FnOnce() -> Result<Answer, Problem>,
    longest: Duration,
    id: JobId,
    version: &Deployment,
) -> Reply {
    let seconds = longest.as_secs();
    let late = |detail: String| respond::problem(&Problem::new(Code::GatewayTimeout, detail));
    let reply = match wait {
        Wait::Ended => result().map_or_else(|problem| respond::problem(&problem), respond::answer),
        Wait::Late => late(format!(
            "The run did not end within {seconds} s and was cancelled; start it with /jobs/run/ to let it take longer"
        )),
        Wait::GoesOn => late(format!(
            "The run did not end within {seconds} s; it goes on as the job {id}, and its result can be read there"
        )),
    };
    labelled(reply, id, version)
}

/// Adds how the run ended.
pub(super) fn add_status(reply: &mut Reply, success: bool) {
    respond::with(reply, "x-wasmill-job-status", if success { "success" } else { "failure" });
}

/// Milliseconds with three decimals, rounded down. Written as whole numbers, which is cheaper than
/// writing a float.
pub(super) struct Millis(pub(super) Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        write!(f, "{}.{:03}", micros / 1_000, micros % 1_000)
    }
}
