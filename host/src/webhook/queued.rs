//! A call that is answered with its job's id, once the job is on disk.

use super::{Invocation, labelled};
use crate::host::Host;
use crate::resolve::unavailable;
use crate::serve::respond::{self, Reply};
use wasmill_core::Problem;

/// Queues the call.
///
/// # Errors
/// 503 or 507 when the store cannot take it; nothing was queued then.
pub(crate) async fn enqueue(host: &Host, invocation: Invocation) -> Result<Reply, Problem> {
    let (id, version) = (invocation.id, invocation.version.clone());
    host.store.enqueue(vec![invocation.into_job()]).await.map_err(unavailable)?;
    host.queued.notify_one();
    Ok(labelled(respond::text(201, id.to_string()), id, &version))
}
