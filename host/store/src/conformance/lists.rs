//! What every back end promises of the filters of lists.

use super::*;

const NOW: Micros = 1_700_000_000_000_000;
const NONE: [u64; 0] = [];

/// Jobs 1 to 3 in the queue, the first of them running, and runs 4 to 6, each created so many
/// seconds after `NOW`.
async fn stock(store: &dyn Store) -> WorkspaceId {
    let (one, x, y) = furnish(store).await;
    let at = |n: u16| NOW + i64::from(n) * 1_000_000;
    let made = |n: u16, version: VersionHash| {
        let id = JobId::from_parts(1_700_000_000_000 + u64::from(n) * 1_000, n, 1);
        NewJob { created: at(n), run_at: at(n), ..job(id, &one, version) }
    };
    let kin = NewJob {
        parent: Some(id(77)),
        root: Some(id(78)),
        label: Some("nightly".into()),
        ..made(2, y)
    };
    let late = NewJob { run_at: at(99), tag: "big".into(), created_by: "bob".into(), ..made(3, x) };
    store.enqueue(vec![made(1, x), kin, late]).await.unwrap();
    store.claim(1, at(1), 1, &[]).await.unwrap();
    let run = |job: NewJob, status| {
        let end = RunEnd {
            started: job.created + 10,
            duration: Duration::from_micros(100),
            ..end(status, "1")
        };
        RunRecord { job, end }
    };
    let by_hand =
        NewJob { trigger: Trigger::Manual, created_by: "bob".into(), token: None, ..made(4, x) };
    let child = NewJob { parent: Some(id(77)), tag: "big".into(), ..made(5, y) };
    let named = NewJob { label: Some("nightly".into()), ..made(6, x) };
    for record in [
        run(by_hand, RunStatus::Failure),
        run(child, RunStatus::Canceled),
        run(named, RunStatus::Success),
    ] {
        store.record_durably(record).await.unwrap();
    }
    one
}

/// The numbers of the jobs that a filter finds.
async fn found(store: &dyn Store, filter: JobFilter) -> Vec<u64> {
    let filter = JobFilter { limit: if filter.limit == 0 { 100 } else { filter.limit }, ..filter };
    let jobs = store.list_jobs(&workspace("one"), &filter).await.unwrap();
    jobs.iter().map(|job| (job.job.id.millis() - 1_700_000_000_000) / 1_000).collect()
}

pub(super) async fn filters(store: &dyn Store) {
    stock(store).await;
    let any = JobFilter::default;
    assert_eq!(found(store, any()).await, [6, 5, 4, 3, 2, 1]);
    assert_eq!(found(store, JobFilter { ascending: true, ..any() }).await, [1, 2, 3, 4, 5, 6]);
    assert_eq!(found(store, JobFilter { path: Some(path("f/a/y")), ..any() }).await, [5, 2]);
    assert_eq!(
        found(store, JobFilter { path_start: Some("f/a/".into()), ..any() }).await,
        [6, 5, 4, 3, 2, 1]
    );
    assert_eq!(found(store, JobFilter { path_start: Some("f/a/y".into()), ..any() }).await, [5, 2]);
    assert_eq!(found(store, JobFilter { path_start: Some("f/b".into()), ..any() }).await, NONE);
    let (x, y) = (version("f/a/x", "x").hash, version("f/a/y", "y").hash);
    assert_eq!(found(store, JobFilter { version: Some(x), ..any() }).await, [6, 4, 3, 1]);
    assert_eq!(
        found(store, JobFilter { version: Some(y), path: Some(path("f/a/x")), ..any() }).await,
        NONE
    );
    assert_eq!(found(store, JobFilter { version: Some(Digest([0; 32])), ..any() }).await, NONE);
    assert_eq!(found(store, JobFilter { created_by: Some("bob".into()), ..any() }).await, [4, 3]);
    assert_eq!(found(store, JobFilter { label: Some("nightly".into()), ..any() }).await, [6, 2]);
    assert_eq!(found(store, JobFilter { label: Some("none".into()), ..any() }).await, NONE);
    assert_eq!(found(store, JobFilter { tag: Some("big".into()), ..any() }).await, [5, 3]);
    assert_eq!(found(store, JobFilter { tag: Some("none".into()), ..any() }).await, NONE);
    assert_eq!(found(store, JobFilter { trigger: Some(Trigger::Manual), ..any() }).await, [4]);
    assert_eq!(found(store, JobFilter { success: Some(false), ..any() }).await, [5, 4]);
    let contradiction = JobFilter {
        success: Some(true),
        statuses: vec![RunStatus::Failure, RunStatus::Canceled],
        ..any()
    };
    assert_eq!(found(store, contradiction).await, NONE);
    let statuses = vec![RunStatus::Success, RunStatus::Canceled];
    assert_eq!(found(store, JobFilter { statuses: statuses.clone(), ..any() }).await, [6, 5]);
    assert_eq!(found(store, JobFilter { statuses, success: Some(true), ..any() }).await, [6]);
    assert_eq!(
        found(
            store,
            JobFilter { statuses: vec![RunStatus::Failure], path: Some(path("f/a/x")), ..any() }
        )
        .await,
        [4]
    );
    assert_eq!(found(store, JobFilter { queued: Some(true), ..any() }).await, [3, 2, 1]);
    assert_eq!(found(store, JobFilter { running: Some(true), ..any() }).await, [1]);
    assert_eq!(
        found(store, JobFilter { running: Some(false), path: Some(path("f/a/x")), ..any() }).await,
        [3]
    );
    assert_eq!(
        found(store, JobFilter { running: Some(true), success: Some(true), ..any() }).await,
        NONE
    );
    assert_eq!(found(store, JobFilter { due_by: Some(NOW + 2_000_000), ..any() }).await, [2, 1]);
    let lines = store
        .list_jobs(&workspace("one"), &JobFilter { limit: 9, with_args: true, ..any() })
        .await
        .unwrap();
    assert!(lines.iter().all(|line| line.job.args.as_ref() == br#"{"name":"Ann"}"#));
    assert!(
        matches!(&lines[0].state, JobState::Finished(end) if end.result.get() == "null" && end.log.is_empty())
    );
}

pub(super) async fn spans(store: &dyn Store) {
    stock(store).await;
    let at = |n: i64| Some(NOW + n * 1_000_000);
    let any = JobFilter::default;
    let span = |after, before| Span { after, before };
    assert_eq!(found(store, JobFilter { created: span(at(2), at(5)), ..any() }).await, [4, 3]);
    assert_eq!(
        found(store, JobFilter { created: span(None, at(3)), limit: 1, ..any() }).await,
        [2]
    );
    assert_eq!(
        found(store, JobFilter { created: span(at(3), None), limit: 1, ascending: true, ..any() })
            .await,
        [4]
    );
    assert_eq!(
        found(store, JobFilter { created: span(Some(i64::MIN), Some(i64::MAX)), ..any() }).await,
        [6, 5, 4, 3, 2, 1]
    );
    // Jobs that wait have not started yet.
    assert_eq!(found(store, JobFilter { started: span(None, at(6)), ..any() }).await, [5, 4, 1]);
    assert_eq!(found(store, JobFilter { started: span(at(5), None), ..any() }).await, [6, 5]);
    let end_of_5 = at(5).map(|at| at + 110);
    assert_eq!(found(store, JobFilter { completed: span(at(1), end_of_5), ..any() }).await, [4]);
    assert_eq!(found(store, JobFilter { completed: span(end_of_5, None), ..any() }).await, [6]);
}

pub(super) async fn pages(store: &dyn Store) {
    let one = stock(store).await;
    let all = JobFilter { limit: 100, ..JobFilter::default() };
    let everything = ids(&store.list_jobs(&one, &all).await.unwrap());
    let middle = everything[2];
    let list = async |filter: JobFilter| ids(&store.list_jobs(&one, &filter).await.unwrap());
    assert_eq!(list(JobFilter { before: Some(middle), ..all.clone() }).await, everything[3..]);
    assert_eq!(list(JobFilter { after: Some(middle), ..all.clone() }).await, everything[..2]);
    let ascending = JobFilter { ascending: true, limit: 2, after: Some(middle), ..all.clone() };
    assert_eq!(list(ascending).await, [everything[1], everything[0]]);
    let between =
        JobFilter { after: Some(everything[4]), before: Some(everything[1]), ..all.clone() };
    assert_eq!(list(between).await, everything[2..4]);
    let unknown: JobId = "1e5b7a1c-5a4e-4f2b-9a35-3d1f0b6a7c88".parse().unwrap();
    assert_eq!(list(JobFilter { after: Some(unknown), ..all }).await, []);
}

pub(super) async fn kinship(store: &dyn Store) {
    let one = stock(store).await;
    let children = JobFilter { parent: Some(id(77)), ..JobFilter::default() };
    assert_eq!(found(store, children.clone()).await, [5, 2]);
    assert_eq!(found(store, JobFilter { queued: Some(true), ..children.clone() }).await, [2]);
    assert_eq!(
        found(store, JobFilter { path: Some(path("f/a/x")), ..children.clone() }).await,
        NONE
    );
    assert_eq!(found(store, JobFilter { parent: Some(id(76)), ..children.clone() }).await, NONE);
    // Another workspace may name the same parent.
    let stranger = NewJob {
        parent: Some(id(77)),
        ..job(id(40), &workspace("two"), version("f/a/x", "x").hash)
    };
    store.enqueue(vec![stranger]).await.unwrap();
    assert_eq!(found(store, children.clone()).await, [5, 2]);
    let listed = store
        .list_jobs(&one, &JobFilter { limit: 9, queued: Some(true), ..children })
        .await
        .unwrap();
    assert_eq!((listed[0].job.parent, listed[0].job.root), (Some(id(77)), Some(id(78))));
    assert_eq!(listed[0].job.label.as_deref(), Some("nightly"));
}
