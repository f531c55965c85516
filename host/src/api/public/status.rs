//! The host's version and health, and the API's description.

use crate::api::asked::Anonymous;
use crate::clock;
use crate::http::respond::{self, Reply};
use wasmill_core::{Problem, wire};

/// The version as text.
pub(super) async fn version(_: Anonymous<'_>) -> Result<Reply, Problem> {
    Ok(respond::text(200, concat!("wasmill v", env!("CARGO_PKG_VERSION"))))
}

/// Always `yes`: the host asks nobody for newer versions.
pub(super) async fn up_to_date(_: Anonymous<'_>) -> Result<Reply, Problem> {
    Ok(respond::text(200, "yes"))
}

/// The API's description.
pub(super) async fn document(asked: Anonymous<'_>) -> Result<Reply, Problem> {
    Ok((asked.document)())
}

/// Whether the host and its storage work: 200 when they do, else 503.
pub(super) async fn health(asked: Anonymous<'_>) -> Result<Reply, Problem> {
    let host = asked.host;
    let healthy = host.store.next_due(&[]).await.is_ok();
    let body = wire::Health {
        status: if healthy { "healthy" } else { "unhealthy" },
        checked_at: wire::timestamp(clock::now()),
        database_healthy: healthy,
        workers_alive: u32::from(host.settings.workers > 0),
    };
    Ok(respond::json(if healthy { 200 } else { 503 }, &body))
}
