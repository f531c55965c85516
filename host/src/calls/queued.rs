//! A call that is answered with its job's id, once the job is on disk.

use super::{Invocation, labelled};
use crate::admission::queue_bounds;
use crate::host::Host;
use crate::http::respond::{self, Reply};
use crate::resolve::Target;
use crate::store_errors::unavailable;
use http::HeaderMap;
use wasmill_core::problem::Code;
use wasmill_core::{Digest, Problem};
use wasmill_store::{Enqueued, IdempotencyKey, Micros, StoreError};

/// How long an idempotency key is remembered: a day.
const KEY_KEPT: Micros = 24 * 3_600 * 1_000_000;
/// Characters of an idempotency key at most.
const KEY_CHARS: usize = 255;

/// Queues the call.
///
/// # Errors
/// 400 when the id that was asked for is taken, 422 when the idempotency key was used with another
/// body, 429 when too many jobs wait, 503 when the store cannot take it. Nothing was queued then.
pub(crate) async fn enqueue(
    host: &Host,
    target: &Target,
    headers: &HeaderMap,
    mut invocation: Box<Invocation>,
) -> Result<Reply, Problem> {
    let key = idempotency_key(headers, target, &invocation)?;
    queue_bounds::room(host, &invocation.workspace).await?;
    let asked = invocation.options.job_id;
    invocation.id = asked.unwrap_or(invocation.id);
    let (id, version) = (invocation.id, invocation.version.clone());
    let taken = |error| match (error, asked) {
        (StoreError::Conflict(_), Some(id)) => {
            Problem::bad_request(format!("Job with id {id} already exists"))
        }
        (error, _) => unavailable(error),
    };
    let queued = match key {
        None => host.store.enqueue(vec![invocation.into_job()]).await.map(|()| Enqueued::New),
        Some(key) => host.store.enqueue_once(&key, invocation.into_job()).await,
    };
    match queued.map_err(taken)? {
        Enqueued::New => {
            host.job_queued();
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

/// What makes this call the same as another: the caller's key, the runnable as it is addressed, and
/// what it is given.
fn idempotency_key(
    headers: &HeaderMap,
    target: &Target,
    invocation: &Invocation,
) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let Some(key) =
        value.to_str().ok().map(str::trim).filter(|key| !key.is_empty() && key.len() <= KEY_CHARS)
    else {
        return Err(Problem::bad_request(format!(
            "The Idempotency-Key must have 1 to {KEY_CHARS} visible ASCII characters"
        )));
    };
    let runnable = match target {
        Target::Path(path) => format!("p/{path}"),
        Target::Hash(hash) => format!("h/{hash}"),
    };
    // Neither a path nor a hash has a line break in it.
    let digest = Digest::of(format!("{runnable}\n{key}").as_bytes()).0;
    let body = Digest::of(invocation.arguments.as_str().as_bytes()).0;
    Ok(Some(IdempotencyKey { digest, body, expires: invocation.created.saturating_add(KEY_KEPT) }))
}
