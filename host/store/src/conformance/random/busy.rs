//! A busy queue: many jobs of few keys, so that limits are reached, shares count, and attempts
//! follow each other.

use super::{Ask, START, Step, pool, upkeep};
use proptest::prelude::*;

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let instant = prop_oneof![3 => Just(START + 12), 1 => START - 2..START + 12];
    let in_two = || prop::bool::weighted(0.15);
    let worker = 1..3i64;
    let which = 0..pool().len();
    let limit = prop_oneof![4 => Just(1), 2 => Just(2), 1 => Just(3u32)];
    let limit = prop::option::weighted(0.9, (prop::bool::weighted(0.9), limit));
    let place = (prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    let ask = (which.clone(), in_two(), START..START + 12, 1..4u32, place, limit).prop_map(
        |(id, in_two, run_at, max_attempts, place, limit)| {
            let (tag, priority) = (u8::from(place.0), i16::from(place.1));
            let (parent, erased_after) = (None, None);
            Ask {
                id,
                in_two,
                second: false,
                run_at,
                max_attempts,
                created: START,
                tag,
                priority,
                parent,
                erased_after,
                limit,
                retry: false,
            }
        },
    );
    let tags = prop_oneof![3 => Just(vec![]), 1 => prop::sample::subsequence(vec!["wasm".to_owned(), "big".to_owned()], 1)];
    let some = prop::collection::vec(which.clone(), 1..4);
    let claims = prop::collection::vec((which, 1..3u32), 1..9);
    let step = prop_oneof![
        5 => prop::collection::vec(ask.clone(), 1..3).prop_map(Step::Enqueue),
        1 => (ask, worker.clone(), instant.clone()).prop_map(|(ask, worker, started)| Step::Adopt { ask, worker, started }),
        6 => (worker.clone(), instant.clone(), 1..6u32, tags)
            .prop_map(|(worker, now, limit, tags)| Step::Claim { worker, now, limit, tags }),
        5 => claims.clone().prop_map(|ends| Step::Complete(ends.into_iter().map(|(id, attempt)| (id, attempt, 0, false)).collect())),
        1 => (claims.clone(), instant.clone())
            .prop_map(|(ends, at)| Step::Retry(ends.into_iter().map(|(id, attempt)| (id, attempt, at, false)).collect())),
        1 => (worker, claims).prop_map(|(worker, claims)| Step::Release { worker, claims }),
        4 => (some, in_two(), instant.clone()).prop_map(|(ids, in_two, at)| Step::Cancel { ids, in_two, at }),
        1 => instant.clone().prop_map(|now| Step::Rescue { now, everything: true }),
        2 => instant.prop_map(Step::Counts),
        1 => (any::<bool>(), prop::sample::select(vec![50, 300]))
            .prop_map(|(in_two, weight)| Step::Upkeep(upkeep::Step::Settings { in_two, weight, keep: None })),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..100)
}
