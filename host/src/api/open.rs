//! Routes that need no token: version and health.

use crate::clock;
use crate::host::Host;
use crate::serve::respond::{self, Reply};
use crate::serve::route::Open;
use wasmill_core::{Problem, wire};

/// Answers one of them.
///
/// # Errors
/// None at present; the type is the one of all routes.
pub(crate) async fn answer(host: &Host, route: Open) -> Result<Reply, Problem> {
    match route {
        Open::Version => Ok(respond::text(200, concat!("wasmill v", env!("CARGO_PKG_VERSION")))),
        Open::Health => {
            let healthy = host.store.next_due(&[]).await.is_ok();
            let body = serde_json::json!({
                "status": if healthy { "healthy" } else { "unhealthy" },
                "checked_at": wire::timestamp(clock::now()),
                "database_healthy": healthy,
                "workers_alive": u32::from(host.settings.workers > 0),
            });
            Ok(respond::json(if healthy { 200 } else { 503 }, &body))
        }
    }
}
