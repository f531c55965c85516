//! Random sequences of verbs, done to memory and to another back end side by side: every answer
//! must be the same.
//!
//! Few ids, workers and instants on purpose, so that sequences meet each other: taken ids, twins of
//! a key, stale claims, leases that end. The store is opened anew now and then, for what it keeps
//! in memory must come from the database.

mod busy;
mod outbox;
mod twins;
mod upkeep;

use super::*;
use proptest::prelude::*;
use wasmill_core::queue::{Concurrency, RetryPolicy};

const START: Micros = 1_700_000_000_000_000;

#[derive(Debug, Clone)]
enum Step {
    Enqueue(Vec<Ask>),
    Once { key: u8, body: u8, expires: Micros, ask: Ask },
    Purge { now: Micros, limit: u32 },
    Claim { worker: WorkerId, now: Micros, limit: u32, tags: Vec<String> },
    Adopt { ask: Ask, worker: WorkerId, started: Micros },
    EraseDue { now: Micros, limit: u32 },
    Cancel { ids: Vec<usize>, in_two: bool, at: Micros },
    Canceled(WorkerId),
    Erase { ids: Vec<usize>, in_two: bool },
    DeleteVersion(bool),
    Deploy(bool),
    Archive(bool),
    Outbox(outbox::Step),
    Upkeep(upkeep::Step),
    Extend { worker: WorkerId, until: Micros },
    Rescue { now: Micros, everything: bool },
    Release { worker: WorkerId, claims: Vec<(usize, u32)> },
    Complete(Vec<(usize, u32, u8, bool)>),
    Retry(Vec<(usize, u32, Micros, bool)>),
    Attempts(usize, bool),
    Record(Ask, u8),
    RecordDurably(Ask, u8),
    Job(usize, bool),
    List(Box<JobFilter>),
    Counts(Micros),
    Reopen,
}

#[derive(Debug, Clone)]
struct Ask {
    id: usize,
    in_two: bool,
    second: bool,
    run_at: Micros,
    max_attempts: u32,
    created: Micros,
    tag: u8,
    priority: i16,
    parent: Option<usize>,
    erased_after: Option<u64>,
    /// The first key is for jobs of any tag, the second one for those of the default tag only.
    limit: Option<(bool, u32)>,
    retry: bool,
}

const TAGS: [&str; 2] = [DEFAULT_TAG, "big"];

/// So many ids of the pool are of every sort.
const FEW: usize = 10;

/// Ids of every sort: plain ones, twins of their keys, foreign ones, and one whose key a foreign
/// one would be given. Then more plain ones.
fn pool() -> Vec<JobId> {
    let plain = (0..5).map(id);
    let twins = (0..2).map(|n| JobId::from_key(id(n).key(), id(n).tail() ^ 1));
    let foreign = ["0e5b7a1c-5a4e-4f2b-9a35-3d1f0b6a7c88", "00000000-0000-0000-0000-000000000000"];
    let foreign = foreign.iter().map(|text| text.parse().unwrap());
    let squatter = JobId::from_key(crate::common::keys::first_key(START), 5);
    plain.chain(twins).chain(foreign).chain([squatter]).chain((20..32).map(id)).collect()
}

/// Steps of every sort.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(prop_oneof![39 => jobs(), 16 => others()], 1..50)
}

/// What touches scripts, values, webhooks, and the store as a whole.
fn others() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => any::<bool>().prop_map(Step::DeleteVersion),
        1 => any::<bool>().prop_map(Step::Deploy),
        1 => any::<bool>().prop_map(Step::Archive),
        12 => outbox::steps().prop_map(Step::Outbox),
        1 => Just(Step::Reopen),
    ]
}

/// What touches the queue and the run records.
fn jobs() -> impl Strategy<Value = Step> {
    let instant = START - 2..START + 12;
    let worker = 1..4i64;
    let which = 0..FEW;
    let erased_after = prop::option::weighted(0.3, 0..12u64);
    let kin = (
        0..2u8,
        -1..2i16,
        prop::option::of(0..3usize),
        prop_oneof![3 => Just(START), 1 => Just(START + 5_000_000)],
        erased_after,
    );
    let rules = (prop::option::weighted(0.6, (any::<bool>(), 1..4u32)), prop::bool::weighted(0.2));
    let ask = (
        which.clone(),
        prop::bool::weighted(0.2),
        any::<bool>(),
        instant.clone(),
        1..4u32,
        kin,
        rules,
    )
        .prop_map(
            |(
                id,
                in_two,
                second,
                run_at,
                max_attempts,
                (tag, priority, parent, created, erased_after),
                (limit, retry),
            )| Ask {
                id,
                in_two,
                second,
                run_at,
                max_attempts,
                created,
                tag,
                priority,
                parent,
                erased_after,
                limit,
                retry,
            },
        );
    let some = prop::collection::vec(which.clone(), 0..4);
    let tags = prop::sample::subsequence(vec!["wasm", "big", "none"], 0..3);
    let tags = tags.prop_map(|tags| tags.into_iter().map(str::to_owned).collect::<Vec<_>>());
    let claims = prop::collection::vec((which.clone(), 0..4u32), 1..6);
    let ends =
        prop::collection::vec((which.clone(), 1..4u32, 0..3u8, prop::bool::weighted(0.2)), 1..6);
    let retries = prop::collection::vec(
        (which.clone(), 1..4u32, instant.clone(), prop::bool::weighted(0.2)),
        1..6,
    );
    prop_oneof![
        4 => prop::collection::vec(ask.clone(), 0..3).prop_map(Step::Enqueue),
        2 => (0..2u8, 0..2u8, instant.clone(), ask.clone())
            .prop_map(|(key, body, expires, ask)| Step::Once { key, body, expires, ask }),
        1 => (instant.clone(), 0..3u32).prop_map(|(now, limit)| Step::Purge { now, limit }),
        5 => (worker.clone(), instant.clone(), 0..4u32, tags)
            .prop_map(|(worker, now, limit, tags)| Step::Claim { worker, now, limit, tags }),
        2 => (ask.clone(), worker.clone(), instant.clone()).prop_map(|(ask, worker, started)| Step::Adopt { ask, worker, started }),
        2 => (START..START + 2_000, 0..3u32).prop_map(|(now, limit)| Step::EraseDue { now, limit }),
        3 => (some.clone(), prop::bool::weighted(0.2), instant.clone()).prop_map(|(ids, in_two, at)| Step::Cancel { ids, in_two, at }),
        1 => worker.clone().prop_map(Step::Canceled),
        1 => (some, prop::bool::weighted(0.2)).prop_map(|(ids, in_two)| Step::Erase { ids, in_two }),
        8 => upkeep::steps(FEW).prop_map(Step::Upkeep),
        1 => (worker.clone(), instant.clone()).prop_map(|(worker, until)| Step::Extend { worker, until }),
        2 => (instant.clone(), prop::bool::weighted(0.2))
            .prop_map(|(now, everything)| Step::Rescue { now, everything }),
        2 => (worker.clone(), claims).prop_map(|(worker, claims)| Step::Release { worker, claims }),
        4 => ends.prop_map(Step::Complete),
        3 => retries.prop_map(Step::Retry),
        2 => (which.clone(), prop::bool::weighted(0.2)).prop_map(|(id, in_two)| Step::Attempts(id, in_two)),
        2 => (ask.clone(), 0..3u8).prop_map(|(ask, status)| Step::Record(ask, status)),
        1 => (ask, 0..3u8).prop_map(|(ask, status)| Step::RecordDurably(ask, status)),
        4 => (which, any::<bool>()).prop_map(|(id, in_two)| Step::Job(id, in_two)),
        4 => filters().prop_map(|filter| Step::List(Box::new(filter))),
        2 => instant.prop_map(Step::Counts),
    ]
}

fn filters() -> impl Strategy<Value = JobFilter> {
    let rare = prop::option::weighted(0.2, any::<bool>());
    let choice = |texts: [&'static str; 2]| {
        prop::option::weighted(0.2, prop::sample::select(texts.to_vec()))
    };
    let moment =
        prop::option::weighted(0.15, prop_oneof![START - 2..START + 12, Just(START + 5_000_000)]);
    let span = (moment.clone(), moment.clone()).prop_map(|(after, before)| Span { after, before });
    let cursor = prop::option::weighted(0.3, prop::sample::select(pool()[..FEW].to_vec()));
    let statuses = vec![RunStatus::Success, RunStatus::Failure, RunStatus::Canceled];
    let statuses = prop_oneof![3 => Just(vec![]), 1 => prop::sample::subsequence(statuses, 0..3)];
    let names = (
        choice(["f/a/x", "f/a/y"]),
        choice(["f/a", "f/a/y"]),
        choice(["admin", "bob"]),
        choice(TAGS),
    );
    let flags = (rare.clone(), rare.clone(), rare.clone(), rare, statuses);
    let spans = (span.clone(), span.clone(), span, moment);
    let page = (cursor.clone(), cursor, any::<bool>(), any::<bool>(), 0..8u32);
    let parent = prop::option::weighted(0.2, 0..3usize);
    (names, flags, spans, page, parent).prop_map(|(names, flags, spans, page, parent)| JobFilter {
        path: names.0.map(path),
        path_start: names.1.map(str::to_owned),
        version: flags.0.map(|second| {
            if second { version("f/a/y", "y").hash } else { version("f/a/x", "x").hash }
        }),
        created_by: names.2.map(str::to_owned),
        label: None,
        parent: parent.map(|n| pool()[n]),
        tag: names.3.map(str::to_owned),
        trigger: None,
        success: flags.1,
        statuses: flags.4,
        queued: flags.2,
        running: flags.3,
        due_by: spans.3,
        created: spans.0,
        started: spans.1,
        completed: spans.2,
        before: page.0,
        after: page.1,
        ascending: page.2,
        with_args: page.3,
        limit: page.4,
    })
}

/// Does a step and prints the answer; errors by their kind, for their words may differ.
async fn answer(store: &dyn Store, step: &Step, versions: [VersionHash; 2]) -> String {
    let (one, two) = (workspace("one"), workspace("two"));
    let pool = pool();
    let status =
        |n: u8| [RunStatus::Success, RunStatus::Failure, RunStatus::Canceled][usize::from(n)];
    let ask = |ask: &Ask| NewJob {
        run_at: ask.run_at,
        created: ask.created,
        max_attempts: ask.max_attempts,
        tag: TAGS[usize::from(ask.tag)].into(),
        priority: ask.priority,
        parent: ask.parent.map(|n| pool[n]),
        erasure: Erasure {
            when_read: ask.erased_after == Some(0),
            after: ask.erased_after.map(Duration::from_micros),
        },
        retry: ask.retry.then(RetryPolicy::default),
        awaited: ask.retry,
        concurrency: ask.limit.filter(|(of_any, _)| *of_any || ask.tag == 0).map(
            |(of_any, limit)| {
                let key = i64::from(of_any) + 2 * i64::from(ask.in_two);
                Concurrency { key, limit }
            },
        ),
        created_by: if ask.second { "bob".into() } else { "admin".into() },
        ..job(pool[ask.id], if ask.in_two { &two } else { &one }, versions[usize::from(ask.second)])
    };
    match step {
        Step::Enqueue(asks) => kind(store.enqueue(asks.iter().map(ask).collect()).await),
        Step::Once { key, body, expires, ask: what } => {
            let key = IdempotencyKey { digest: [*key; 32], body: [*body; 32], expires: *expires };
            kind(store.enqueue_once(&key, ask(what)).await)
        }
        Step::Purge { now, limit } => kind(store.purge_idempotency(*now, *limit).await),
        Step::Claim { worker, now, limit, tags } => {
            kind(store.claim(*worker, *now, *limit, tags).await)
        }
        Step::Adopt { ask: what, worker, started } => {
            kind(store.adopt(ask(what), *worker, *started).await)
        }
        Step::EraseDue { now, limit } => kind(store.erase_due(*now, *limit).await),
        Step::Cancel { ids, in_two, at } => {
            let ids: Vec<JobId> = ids.iter().map(|n| pool[*n]).collect();
            let reason = (at % 2 == 0).then_some("because");
            kind(
                store
                    .cancel(
                        if *in_two { &two } else { &one },
                        &ids,
                        &cancellation(&format!("user{at}"), reason, *at),
                    )
                    .await,
            )
        }
        Step::Canceled(worker) => kind(store.canceled(*worker).await),
        Step::Erase { ids, in_two } => {
            let ids: Vec<JobId> = ids.iter().map(|n| pool[*n]).collect();
            kind(store.erase(if *in_two { &two } else { &one }, &ids).await)
        }
        Step::DeleteVersion(second) => {
            kind(store.delete_version(&one, &versions[usize::from(*second)], 5).await)
        }
        Step::Deploy(second) => {
            let new = if *second { version("f/a/y", "y") } else { version("f/a/x", "x") };
            kind(store.deploy(&one, &new).await)
        }
        Step::Archive(second) => kind(
            store.archive(&one, &path(if *second { "f/a/y" } else { "f/a/x" }), START + 3).await,
        ),
        Step::Outbox(step) => outbox::answer(store, step).await,
        Step::Upkeep(step) => upkeep::answer(store, step, &pool).await,
        Step::Extend { worker, until } => kind(store.extend_lease(*worker, *until).await),
        Step::Rescue { now, everything } => kind(store.rescue(*now, *everything).await),
        Step::Release { worker, claims } => {
            let claims: Vec<Claim> = claims
                .iter()
                .map(|(n, attempt)| Claim { id: pool[*n], attempt: *attempt })
                .collect();
            kind(store.release(*worker, &claims).await)
        }
        Step::Complete(ends) => {
            let completion = |(n, attempt, how, deleted): &(usize, u32, u8, bool)| Completion {
                claim: Claim { id: pool[*n], attempt: *attempt },
                end: RunEnd { deleted: *deleted, ..end(status(*how), &how.to_string()) },
            };
            kind(store.complete(ends.iter().map(completion).collect()).await)
        }
        Step::Retry(ends) => {
            let retry = |(n, attempt, run_at, deleted): &(usize, u32, Micros, bool)| Retry {
                claim: Claim { id: pool[*n], attempt: *attempt },
                end: RunEnd { deleted: *deleted, ..end(RunStatus::Failure, &run_at.to_string()) },
                run_at: *run_at,
            };
            kind(store.retry(ends.iter().map(retry).collect()).await)
        }
        Step::Attempts(n, in_two) => {
            kind(store.attempts(if *in_two { &two } else { &one }, pool[*n]).await)
        }
        Step::Record(run, how) => {
            store.record(RunRecord { job: ask(run), end: end(status(*how), "1") }).to_string()
        }
        Step::RecordDurably(run, how) => kind(
            store.record_durably(RunRecord { job: ask(run), end: end(status(*how), "1") }).await,
        ),
        Step::Job(n, in_two) => kind(store.job(if *in_two { &two } else { &one }, pool[*n]).await),
        Step::List(filter) => kind(store.list_jobs(&one, filter).await),
        Step::Counts(at) => {
            let depths =
                (store.queue_depth(&one).await.unwrap(), store.queue_depth(&two).await.unwrap());
            let counts = (store.counts(&one).await.unwrap(), store.counts(&two).await.unwrap());
            let ahead = store.queue_position(&one, *at).await.unwrap();
            let due = (
                store.next_due(&[]).await.unwrap(),
                store.next_due(&["big".into()]).await.unwrap(),
            );
            format!("{depths:?} {counts:?} {ahead} {due:?}")
        }
        Step::Reopen => String::new(),
    }
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result {
        Ok(value) => shown(&value),
        Err(StoreError::Conflict(_)) => "Conflict".into(),
        Err(StoreError::NotFound(_)) => "NotFound".into(),
        Err(error) => panic!("neither back end may fail so: {error}"),
    }
}
