//! What a caller is told of an error of the store.

use wasmill_core::Problem;
use wasmill_core::problem::Code;
use wasmill_store::StoreError;

/// A store's error as an answer. What happened is logged; the caller learns whether trying again
/// makes sense.
pub(crate) fn unavailable(error: StoreError) -> Problem {
    match error {
        StoreError::NotFound(what) => Problem::not_found(format!("{what} does not exist")),
        StoreError::Conflict(why) => Problem::new(Code::Conflict, why),
        StoreError::Full(why) => {
            // The store tells the operator, once in a while; so many may be refused that a line for
            // each would fill a disk.
            tracing::debug!(%why, "storage is full");
            Problem::new(Code::StorageFull, "The host's storage is full; nothing was changed")
                .retry_after(30)
        }
        StoreError::Unavailable(why) => {
            tracing::error!(%why, "storage is not available");
            Problem::new(
                Code::Unavailable,
                "The host's storage is not available; nothing was changed",
            )
            .retry_after(5)
        }
        StoreError::Corrupt(why) => {
            tracing::error!(%why, "stored data is damaged");
            Problem::internal()
        }
    }
}
