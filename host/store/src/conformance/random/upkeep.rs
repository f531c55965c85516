//! The steps that decide what is kept and who does what: settings, retention, modules and tasks.

use super::{START, kind};
use crate::conformance::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Settings { in_two: bool, weight: u32, keep: Option<u64> },
    Retention { in_two: bool, path: u8, keep: Option<u64> },
    PurgeRuns { in_two: bool, path: Option<u8>, before: Micros, limit: u32 },
    Ended(Vec<(usize, bool)>),
    Reserve { module: u8, now: Micros, until: Micros },
    Collect { module: u8, now: Micros, until: Micros },
    Collected(u8),
    Lead { task: u8, node: WorkerId, now: Micros, until: Micros },
}

pub(super) fn steps(ids: usize) -> impl Strategy<Value = Step> {
    let instant = START - 2..START + 12;
    let in_two = prop::bool::weighted(0.3);
    let keep = prop::option::of(0..3u64);
    // Around the ends that workers report, those of cancelled jobs, and the creation of late ones.
    let before = prop_oneof![
        START..START + 12,
        START + 1_330..START + 1_338,
        Just(START + 6_000_000),
        Just(Micros::MAX)
    ];
    prop_oneof![
        2 => (in_two, prop::sample::select(vec![1, 50, 100, 300, 1_000]), keep.clone())
            .prop_map(|(in_two, weight, keep)| Step::Settings { in_two, weight, keep }),
        1 => (in_two, 0..3u8, keep).prop_map(|(in_two, path, keep)| Step::Retention { in_two, path, keep }),
        3 => (in_two, prop::option::of(0..3u8), before, 0..4u32)
            .prop_map(|(in_two, path, before, limit)| Step::PurgeRuns { in_two, path, before, limit }),
        2 => prop::collection::vec((0..ids, in_two), 0..5).prop_map(Step::Ended),
        2 => (0..3u8, instant.clone(), instant.clone()).prop_map(|(module, now, until)| Step::Reserve { module, now, until }),
        2 => (0..3u8, instant.clone(), instant.clone()).prop_map(|(module, now, until)| Step::Collect { module, now, until }),
        1 => (0..3u8).prop_map(Step::Collected),
        2 => (0..2u8, 1..3i64, instant.clone(), instant).prop_map(|(task, node, now, until)| Step::Lead { task, node, now, until }),
    ]
}

/// Does a step and prints the answer.
pub(super) async fn answer(store: &dyn Store, step: &Step, pool: &[JobId]) -> String {
    let of = |in_two: &bool| workspace(if *in_two { "two" } else { "one" });
    let at = |n: &u8| path(["f/a/x", "f/a/y", "f/a/none"][usize::from(*n)]);
    let module = |n: &u8| Digest::of(["x", "y", "unused"][usize::from(*n)].as_bytes());
    let keep = |seconds: &Option<u64>| seconds.map(Duration::from_secs);
    match step {
        Step::Settings { in_two, weight, keep: kept } => {
            let before = store.workspace_settings(&of(in_two)).await.unwrap();
            let settings = WorkspaceSettings { weight: *weight, keep_runs: keep(kept) };
            store.put_workspace_settings(&of(in_two), &settings).await.unwrap();
            shown(&before)
        }
        Step::Retention { in_two, path, keep: kept } => {
            let set = store.set_retention(&of(in_two), &at(path), keep(kept)).await.unwrap();
            format!("{set} {:?}", store.retentions(&of(in_two)).await.unwrap())
        }
        Step::PurgeRuns { in_two, path, before, limit } => kind(
            store.purge_runs(&of(in_two), path.as_ref().map(at).as_ref(), *before, *limit).await,
        ),
        Step::Ended(asked) => {
            let asked: Vec<_> = asked.iter().map(|(n, in_two)| (of(in_two), pool[*n])).collect();
            kind(store.ended(&asked).await)
        }
        Step::Reserve { module: which, now, until } => {
            kind(store.reserve_module(&module(which), *now, *until).await)
        }
        Step::Collect { module: which, now, until } => {
            kind(store.collect_module(&module(which), *now, *until).await)
        }
        Step::Collected(which) => kind(store.module_collected(&module(which)).await),
        Step::Lead { task, node, now, until } => {
            kind(store.lead(&task.to_string(), *node, *now, *until).await)
        }
    }
}
