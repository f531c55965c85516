//! Calls that are to be taken once, however often they are sent. Pure.

use crate::clock::micros;
use crate::resolve::Target;
use http::HeaderMap;
use wasmill_core::limits::{IDEMPOTENCY_KEPT, IDEMPOTENCY_KEY_CHARS};
use wasmill_core::{Digest, Problem};
use wasmill_store::{IdempotencyKey, Micros};

/// What makes a call the same as another: the caller's `Idempotency-Key`, the runnable as it is
/// addressed, and the arguments. `None` without that header. `created` is when the call arrived.
///
/// # Errors
/// 400 for a key that cannot be one.
pub(crate) fn key(
    headers: &HeaderMap,
    target: &Target,
    args: &str,
    created: Micros,
) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().map(str::trim);
    let Some(key) = key.filter(|key| !key.is_empty() && key.len() <= IDEMPOTENCY_KEY_CHARS) else {
        return Err(Problem::bad_request(format!(
            "The Idempotency-Key must have 1 to {IDEMPOTENCY_KEY_CHARS} visible ASCII characters"
        )));
    };
    let runnable = match target {
        Target::Path(path) => format!("p/{path}"),
        Target::Hash(hash) => format!("h/{hash}"),
    };
    // Neither a path nor a hash has a line break in it.
    let digest = Digest::of(format!("{runnable}\n{key}").as_bytes()).0;
    let expires = created.saturating_add(micros(IDEMPOTENCY_KEPT));
    Ok(Some(IdempotencyKey { digest, body: Digest::of(args.as_bytes()).0, expires }))
}
