//! Random sequences of verbs, done to memory and to SQLite side by side: every answer must be the same.
//!
//! Few ids, workers and instants on purpose, so that sequences meet each other: taken ids, twins of a key, stale
//! claims, leases that end. The store is opened anew now and then, for what it keeps in memory must come from the file.

use super::*;
use proptest::prelude::*;

const START: Micros = 1_700_000_000_000_000;

#[derive(Debug, Clone)]
enum Step {
    Enqueue(Vec<Ask>),
    Claim { worker: WorkerId, now: Micros, limit: u32 },
    Extend { worker: WorkerId, until: Micros },
    Rescue { now: Micros, everything: bool },
    Release { worker: WorkerId, claims: Vec<(usize, u32)> },
    Complete(Vec<(usize, u32, u8)>),
    Record(Ask, u8),
    RecordDurably(Ask, u8),
    Job(usize, bool),
    List { path: u8, success: Option<bool>, queued: Option<bool>, before: Option<usize>, limit: u32 },
    Counts,
    Reopen,
}

#[derive(Debug, Clone)]
struct Ask {
    id: usize,
    in_two: bool,
    second: bool,
    run_at: Micros,
    max_attempts: u32,
}

/// Ids of every sort: plain ones, twins of their keys, foreign ones, and one whose key a foreign one would be given.
fn pool() -> Vec<JobId> {
    let plain = (0..5).map(id);
    let twins = (0..2).map(|n| JobId::from_key(id(n).key(), id(n).tail() ^ 1));
    let foreign = ["0e5b7a1c-5a4e-4f2b-9a35-3d1f0b6a7c88", "00000000-0000-0000-0000-000000000000"];
    let foreign = foreign.iter().map(|text| text.parse().unwrap());
    let squatter = JobId::from_key(crate::keys::first_key(START), 5);
    plain.chain(twins).chain(foreign).chain([squatter]).collect()
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let instant = START - 2..START + 12;
    let worker = 1..4i64;
    let which = 0..pool().len();
    let ask = (which.clone(), prop::bool::weighted(0.2), any::<bool>(), instant.clone(), 1..4u32)
        .prop_map(|(id, in_two, second, run_at, max_attempts)| Ask { id, in_two, second, run_at, max_attempts });
    let claims = prop::collection::vec((which.clone(), 0..4u32), 1..6);
    let ends = prop::collection::vec((which.clone(), 1..4u32, 0..3u8), 1..6);
    let list = (0..4u8, any::<Option<bool>>(), any::<Option<bool>>(), prop::option::of(which.clone()), 0..6u32);
    let step = prop_oneof![
        4 => prop::collection::vec(ask.clone(), 0..3).prop_map(Step::Enqueue),
        5 => (worker.clone(), instant.clone(), 0..4u32)
            .prop_map(|(worker, now, limit)| Step::Claim { worker, now, limit }),
        1 => (worker.clone(), instant.clone()).prop_map(|(worker, until)| Step::Extend { worker, until }),
        2 => (instant.clone(), prop::bool::weighted(0.2))
            .prop_map(|(now, everything)| Step::Rescue { now, everything }),
        2 => (worker.clone(), claims).prop_map(|(worker, claims)| Step::Release { worker, claims }),
        4 => ends.prop_map(Step::Complete),
        2 => (ask.clone(), 0..3u8).prop_map(|(ask, status)| Step::Record(ask, status)),
        1 => (ask, 0..3u8).prop_map(|(ask, status)| Step::RecordDurably(ask, status)),
        4 => (which, any::<bool>()).prop_map(|(id, in_two)| Step::Job(id, in_two)),
        3 => list.prop_map(|(path, success, queued, before, limit)| Step::List { path, success, queued, before, limit }),
        2 => Just(Step::Counts),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..50)
}

/// Does a step and prints the answer; errors by their kind, for their words may differ.
async fn answer(store: &dyn Store, step: &Step, versions: [VersionHash; 2]) -> String {
    let (one, two) = (workspace("one"), workspace("two"));
    let pool = pool();
    let status = |n: u8| [RunStatus::Success, RunStatus::Failure, RunStatus::Canceled][usize::from(n)];
    let ask = |ask: &Ask| NewJob {
        run_at: ask.run_at,
        created: START,
        max_attempts: ask.max_attempts,
        ..job(pool[ask.id], if ask.in_two { &two } else { &one }, versions[usize::from(ask.second)])
    };
    match step {
        Step::Enqueue(asks) => kind(store.enqueue(asks.iter().map(ask).collect()).await),
        Step::Claim { worker, now, limit } => kind(store.claim(*worker, *now, *limit).await),
        Step::Extend { worker, until } => kind(store.extend_lease(*worker, *until).await),
        Step::Rescue { now, everything } => kind(store.rescue(*now, *everything).await),
        Step::Release { worker, claims } => {
            let claims: Vec<Claim> = claims.iter().map(|(n, attempt)| Claim { id: pool[*n], attempt: *attempt }).collect();
            kind(store.release(*worker, &claims).await)
        }
        Step::Complete(ends) => {
            let completion = |(n, attempt, how): &(usize, u32, u8)| Completion {
                claim: Claim { id: pool[*n], attempt: *attempt },
                end: end(status(*how), &how.to_string()),
            };
            kind(store.complete(ends.iter().map(completion).collect()).await)
        }
        Step::Record(run, how) => store.record(RunRecord { job: ask(run), end: end(status(*how), "1") }).to_string(),
        Step::RecordDurably(run, how) => kind(store.record_durably(RunRecord { job: ask(run), end: end(status(*how), "1") }).await),
        Step::Job(n, in_two) => kind(store.job(if *in_two { &two } else { &one }, pool[*n]).await),
        Step::List { path: at, success, queued, before, limit } => {
            let filter = JobFilter {
                path: ["f/a/x", "f/a/y"].get(usize::from(*at)).map(|text| path(text)),
                success: *success,
                queued: *queued,
                before: before.map(|n| pool[n]),
                limit: *limit,
            };
            kind(store.list_jobs(&one, &filter).await)
        }
        Step::Counts => {
            let depths = (store.queue_depth(&one).await.unwrap(), store.queue_depth(&two).await.unwrap());
            format!("{depths:?} {:?}", store.next_due().await.unwrap())
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_answers_as_memory_does(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let options = Options { linger: Duration::from_millis(1), ..Options::default() };
            let mut sqlite = SqliteStore::open(dir.path(), options.clone()).unwrap();
            let memory = MemoryStore::new();
            let (_, x, y) = furnish(&memory).await;
            furnish(&sqlite).await;
            for (n, step) in steps.iter().enumerate() {
                if let Step::Reopen = step {
                    drop(sqlite);
                    sqlite = SqliteStore::open(dir.path(), options.clone()).unwrap();
                }
                let expected = answer(&memory, step, [x, y]).await;
                assert_eq!(answer(&sqlite, step, [x, y]).await, expected, "step {n}: {step:?}");
            }
            let everything = JobFilter { limit: MAX_LIST, ..JobFilter::default() };
            for of in ["one", "two"] {
                let expected = shown(&memory.list_jobs(&workspace(of), &everything).await.unwrap());
                let found = shown(&sqlite.list_jobs(&workspace(of), &everything).await.unwrap());
                assert_eq!(found, expected);
            }
        });
    }
}
