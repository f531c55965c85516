//! Calls that are to be taken once, however often they are sent. Pure.

use crate::resolve::Target;
use http::HeaderMap;
use wasmill_core::{Digest, Problem};
use wasmill_store::{IdempotencyKey, Micros};

/// How long an idempotency key is remembered: a day.
const KEY_KEPT: Micros = 24 * 3_600 * 1_000_000;
/// Characters of an idempotency key at most.
const KEY_CHARS: usize = 255;

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
    let Some(key) = key.filter(|key| !key.is_empty() && key.len() <= KEY_CHARS) else {
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
    let expires = created.saturating_add(KEY_KEPT);
    Ok(Some(IdempotencyKey { digest, body: Digest::of(args.as_bytes()).0, expires }))
}
