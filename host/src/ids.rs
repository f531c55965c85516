//! Makes job ids.

use crate::clock::now;
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use wasmill_core::{JobId, Problem};

/// Makes job ids whose integer keys are unique and increasing within the process, also when the
/// clock steps back.
#[derive(Debug, Default)]
pub(crate) struct IdSource {
    /// The last key given out: `millis << 12 | counter`.
    last: AtomicU64,
}

impl IdSource {
    /// The next id, for a request.
    ///
    /// # Errors
    /// 500 when the system has no randomness to give; the log says so.
    pub(crate) fn next_for_request(&self) -> Result<JobId, Problem> {
        self.next().map_err(|error| {
            tracing::error!(%error, "no randomness for a job id");
            Problem::internal()
        })
    }

    /// The next id.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    fn next(&self) -> Result<JobId, getrandom::Error> {
        // Several processes share a store: were each to begin a millisecond at nought, their keys
        // would meet all the time. The upper half of the counters is left, to count on.
        let [a, b, tail @ ..] = random()?;
        let fresh = ((now() as u64 / 1_000) << 12) | u64::from(u16::from_be_bytes([a, b]) >> 5);
        let step = |last: u64| Some(fresh.max(last + 1));
        let previous = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, step)
            .unwrap_or_else(|same| same);
        let key = fresh.max(previous + 1);
        Ok(JobId::from_parts(key >> 12, (key & 0x0fff) as u16, u64::from_be_bytes(tail)))
    }
}

/// Random bytes in one id.
const RANDOM: usize = 10;
/// Ids that the system is asked for at once: asking costs as much as it does to make a hundred ids.
const STOCK: usize = 256;

thread_local! {
    /// Random bytes that are left.
    static LEFT: RefCell<Vec<[u8; RANDOM]>> = const { RefCell::new(Vec::new()) };
}

/// Random bytes of the system, used once.
fn random() -> Result<[u8; RANDOM], getrandom::Error> {
    LEFT.with_borrow_mut(|left| {
        if let Some(bytes) = left.pop() {
            return Ok(bytes);
        }
        left.resize(STOCK, [0; RANDOM]);
        if let Err(error) = getrandom::fill(left.as_flattened_mut()) {
            left.clear();
            return Err(error);
        }
        Ok(left.pop().unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_randomness_is_used_twice() {
        let seen: std::collections::HashSet<_> =
            (0..3 * STOCK).map(|_| random().unwrap()).collect();
        assert_eq!(seen.len(), 3 * STOCK);
    }

    #[test]
    fn keys_are_unique_and_increase() {
        let source = IdSource::default();
        let mut last = 0;
        for _ in 0..20_000 {
            let key = source.next().unwrap().key();
            assert!(key > last);
            last = key;
        }
    }
}
