//! The only place that reads the wall clock and makes job ids. Everything else gets times and ids handed in.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use wasmill_core::JobId;
use wasmill_store::Micros;

/// Microseconds since 1970, UTC. A clock before 1970 reads as 0.
pub(crate) fn now() -> Micros {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Makes job ids whose integer keys are unique and increasing within the process, also when the clock steps back.
#[derive(Debug, Default)]
pub(crate) struct IdSource {
    /// The last key given out: `millis << 12 | counter`.
    last: AtomicU64,
}

impl IdSource {
    /// The next id.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub(crate) fn next(&self) -> Result<JobId, getrandom::Error> {
        // Several processes share a store: were each to begin a millisecond at nought, their keys would meet all the time.
        // The upper half of the counters is left, to count on.
        let mut bytes = [0; 10];
        getrandom::fill(&mut bytes)?;
        let [a, b, tail @ ..] = bytes;
        let fresh = ((now() as u64 / 1_000) << 12) | u64::from(u16::from_be_bytes([a, b]) >> 5);
        let step = |last: u64| Some(fresh.max(last + 1));
        let previous = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).unwrap_or_else(|same| same);
        let key = fresh.max(previous + 1);
        Ok(JobId::from_parts(key >> 12, (key & 0x0fff) as u16, u64::from_be_bytes(tail)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
