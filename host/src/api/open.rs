//! Routes that need no token: version, health, the API's description, and what errors mean.

use super::openapi;
use super::operations::Operation;
use super::problems;
use crate::clock;
use crate::host::Host;
use crate::http::respond::{self, Reply};
use wasmill_core::{Problem, wire};

/// Answers one of them.
///
/// # Errors
/// 500 for an operation that is none of them.
pub(crate) async fn answer(host: &Host, operation: Operation) -> Result<Reply, Problem> {
    match operation {
        Operation::Version {} => {
            Ok(respond::text(200, concat!("wasmill v", env!("CARGO_PKG_VERSION"))))
        }
        Operation::UpToDate {} => Ok(respond::text(200, "yes")),
        Operation::Document {} => Ok(openapi::answer()),
        Operation::Health {} => {
            let healthy = host.store.next_due(&[]).await.is_ok();
            let body = wire::Health {
                status: if healthy { "healthy" } else { "unhealthy" },
                checked_at: wire::timestamp(clock::now()),
                database_healthy: healthy,
                workers_alive: u32::from(host.settings.workers > 0),
            };
            Ok(respond::json(if healthy { 200 } else { 503 }, &body))
        }
        Operation::ExplainProblem { slug } => problems::explain(&slug),
        // Every other one has a right to be held against.
        _ => Err(Problem::internal()),
    }
}
