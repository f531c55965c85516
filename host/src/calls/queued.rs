//! A call that is answered with its job's id, once the job is on disk.

use super::answers::labelled;
use crate::host::Host;
use crate::http::respond::{self, Reply};
use crate::run::Invocation;
use crate::store_errors::unavailable;
use wasmill_core::Problem;
use wasmill_core::problem::Code;
use wasmill_store::{Enqueued, IdempotencyKey, StoreError};

/// Queues the call. `key` says which other calls are the same one.
///
/// # Errors
/// 400 when the id that was asked for is taken, 422 when the idempotency key was used with another
/// body, 503 when the store cannot take it. Nothing was queued then.
pub(crate) async fn enqueue(
    host: &Host,
    invocation: Invocation,
    key: Option<IdempotencyKey>,
) -> Result<Reply, Problem> {
    let (id, version) = (invocation.id, invocation.version.clone());
    let taken = |error| match error {
        StoreError::Conflict(_) => Problem::bad_request(format!("Job with id {id} already exists")),
        error => unavailable(error),
    };
    let queued = match key {
        None => host.store.enqueue(vec![invocation.into_job()]).await.map(|()| Enqueued::New),
        Some(key) => host.store.enqueue_once(&key, invocation.into_job()).await,
    };
    match queued.map_err(taken)? {
        Enqueued::New => {
            host.notifier.job_queued();
            Ok(labelled(respond::text(201, id.to_string()), id, &version))
        }
        Enqueued::Existing(first) => {
            let mut reply = labelled(respond::text(201, first.to_string()), first, &version);
            respond::with(&mut reply, "idempotency-replayed", "true");
            Ok(reply)
        }
        Enqueued::Mismatch => Err(Problem::new(
            Code::KeyReused,
            "The Idempotency-Key was used within the last 24 hours for this runnable with another body; nothing was queued",
        )),
    }
}
