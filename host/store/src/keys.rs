//! Which integer key a job gets when its id cannot give it one.
//!
//! An id made by this host carries its own key. One that a caller chose may not be a UUID of version 7 at all, or may
//! claim the key of another job: such a job gets the first free key at or after the moment it was created, and the
//! back end remembers which id that key stands for. The rule is here because every back end must order lists alike.

use crate::Micros;

/// Bits of a key below its milliseconds.
const COUNTER_BITS: u32 = 12;
/// Largest number of milliseconds a key can hold.
const MAX_MILLIS: i64 = (1 << 48) - 1;
/// Middle of the counters of a millisecond: a generator that counts from zero seldom gets that far.
const MIDDLE: i64 = 1 << (COUNTER_BITS - 1);

/// Where the search for a free key begins.
pub(crate) fn first_key(created: Micros) -> i64 {
    let millis = created.div_euclid(1_000).clamp(0, MAX_MILLIS);
    (millis << COUNTER_BITS) + MIDDLE
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill_core::JobId;

    #[test]
    fn keys_lie_within_their_millisecond() {
        let before = JobId::from_parts(1_000, 0, 0).key();
        let after = JobId::from_parts(1_001, 0, 0).key();
        assert!((before..after).contains(&first_key(1_000_999)));
        assert!(first_key(i64::MIN) >= 0 && first_key(i64::MAX) > first_key(i64::MAX / 1_000_000));
    }
}
