//! Which integer key a job gets when its id cannot give it one.
//!
//! An id made by this host carries its own key. One that a caller chose may not be a UUID of
//! version 7 at all, may claim a time far from the present, or the key of another job: such a job
//! gets the first free key at or after the moment it was created, and the back end remembers which
//! id that key stands for. So keys are never far from their jobs' creation, and a list of what was
//! created within some time is a range of keys. The rules are here because every back end must
//! order lists alike.

use crate::{Micros, Span};
use wasmill_core::JobId;

/// Bits of a key below its milliseconds.
const COUNTER_BITS: u32 = 12;
/// Largest number of milliseconds a key can hold.
const MAX_MILLIS: i64 = (1 << 48) - 1;
/// Middle of the counters of a millisecond: a generator that counts from zero seldom gets that far.
const MIDDLE: i64 = 1 << (COUNTER_BITS - 1);

/// How far the time within an id may lie from the job's creation at most, for the id to give it its
/// key.
const DRIFT: i64 = 2_000;

/// The key that an id gives its job, unless it is foreign or would put the job out of the order of
/// creation.
pub(crate) fn own_key(id: &JobId, created: Micros) -> Option<i64> {
    let drift = id.millis().abs_diff(u64::try_from(millis(created)).unwrap_or(0));
    (id.is_native() && drift <= DRIFT.unsigned_abs()).then(|| id.key())
}

/// Keys between which, ends excluded, all jobs created within the span are. Others may be there
/// too.
pub(crate) fn bounds(created: &Span) -> (i64, i64) {
    let low = created.after.map_or(i64::MIN, |after| ((millis(after) - DRIFT) << COUNTER_BITS) - 1);
    // One more, for the search for a free key may end in the next millisecond.
    let high =
        created.before.map_or(i64::MAX, |before| (millis(before) + DRIFT + 2) << COUNTER_BITS);
    (low, high)
}

fn millis(at: Micros) -> i64 {
    at.div_euclid(1_000).clamp(0, MAX_MILLIS)
}

/// Where the search for a free key begins.
pub(crate) fn first_key(created: Micros) -> i64 {
    (millis(created) << COUNTER_BITS) + MIDDLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lie_within_their_millisecond() {
        let before = JobId::from_parts(1_000, 0, 0).key();
        let after = JobId::from_parts(1_001, 0, 0).key();
        assert!((before..after).contains(&first_key(1_000_999)));
        assert!(first_key(i64::MIN) >= 0 && first_key(i64::MAX) > first_key(i64::MAX / 1_000_000));
    }

    #[test]
    fn ids_of_another_time_give_no_key() {
        let id = JobId::from_parts(10_000, 7, 0);
        assert_eq!(own_key(&id, 12_000_999), Some(id.key()));
        assert_eq!(own_key(&id, 8_000_000), Some(id.key()));
        assert_eq!(own_key(&id, 12_001_000), None);
        assert_eq!(own_key(&id, 7_999_999), None);
        assert_eq!(own_key(&id, i64::MIN), None);
        assert_eq!(own_key(&id, i64::MAX), None);
    }

    #[test]
    fn bounds_hold_every_key_of_their_span() {
        for created in [i64::MIN, -1, 0, 1_999, 5_000_000, 1_700_000_000_000_000, i64::MAX] {
            let at = u64::try_from(millis(created)).unwrap();
            let drifted = [at.saturating_sub(2_000), at, (at + 2_000).min(MAX_MILLIS as u64)];
            let native = drifted.map(|millis| JobId::from_parts(millis, 4_095, 0).key());
            let span = Span { after: created.checked_sub(1), before: created.checked_add(1) };
            let (low, high) = bounds(&span);
            for key in native.into_iter().chain([first_key(created)]) {
                assert!(low < key && key < high, "{created}");
            }
        }
    }
}
