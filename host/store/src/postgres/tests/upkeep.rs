//! Days that are made ahead and dropped, and what is left of them.

use super::{Database, open};
use crate::fixtures::*;
use crate::postgres::PostgresStore;
use crate::*;
use std::time::Duration;
use wasmill_core::{JobId, VersionHash, WorkspaceId};

const DAY: Micros = 86_400_000_000;
/// Noon of a day.
const NOW: Micros = 19_675 * DAY + DAY / 2;

fn id_at(at: Micros, n: u16) -> JobId {
    JobId::from_parts(u64::try_from(at / 1_000).unwrap(), n, u64::from(n))
}

fn job_at(at: Micros, n: u16, workspace: &WorkspaceId, version: VersionHash) -> NewJob {
    NewJob {
        created: at,
        run_at: at,
        parent: Some(id_at(NOW, 999)),
        ..job(id_at(at, n), workspace, version)
    }
}

fn end_at(at: Micros) -> RunEnd {
    RunEnd { started: at, duration: Duration::from_micros(5), ..end(RunStatus::Failure, "1") }
}

fn days(database: &Database) -> Vec<i64> {
    let sql = "SELECT substr(relname, 5) FROM pg_class WHERE relkind = 'r' AND relname ~ '^job_[0-9]+$' ORDER BY 1";
    database.sql(sql).lines().map(|day| day.parse().unwrap()).collect()
}

async fn listed(store: &PostgresStore, workspace: &WorkspaceId) -> Vec<JobId> {
    ids(&store
        .list_jobs(workspace, &JobFilter { limit: 1_000, ..JobFilter::default() })
        .await
        .unwrap())
}

#[tokio::test]
async fn days_are_made_ahead_and_take_over_what_is_theirs() {
    let (database, store) = open().await;
    let (one, x, _) = furnish(&store).await;
    let all = [NOW - DAY, NOW, NOW + 1_000, NOW + DAY].map(|at| job_at(at, 1, &one, x));
    for job in &all {
        store
            .record_durably(RunRecord { job: job.clone(), end: end_at(job.created) })
            .await
            .unwrap();
    }
    store.enqueue(vec![job_at(NOW, 7, &one, x)]).await.unwrap();
    let before = listed(&store, &one).await;
    store.maintain(NOW, None).await.unwrap();
    assert_eq!(days(&database), (19_675..=19_682).collect::<Vec<i64>>());
    assert_eq!(database.sql("SELECT count(*) FROM job_rest"), "1");
    assert_eq!(database.sql("SELECT count(*) FROM finished_19675"), "2");
    assert_eq!(listed(&store, &one).await, before);
    for job in &all {
        assert!(store.job(&one, job.id).await.unwrap().is_some());
    }
    // As before, from here on.
    let taken = store.enqueue(vec![job_at(NOW, 1, &one, x)]).await.unwrap_err();
    assert!(matches!(taken, StoreError::Conflict(_)));
    store.enqueue(vec![job_at(NOW + 2 * DAY, 8, &one, x)]).await.unwrap();
    assert_eq!(database.sql("SELECT count(*) FROM job_19677"), "1");
    store.maintain(NOW + DAY, None).await.unwrap();
    assert_eq!(days(&database).len(), 9);
}

#[tokio::test]
async fn a_day_of_which_much_lies_elsewhere_stays_there() {
    let (database, store) = open().await;
    let (one, x, _) = furnish(&store).await;
    for second in 0..21 {
        let jobs = (0..1_000).map(|n| job_at(NOW + second * 1_000_000, n, &one, x));
        store.enqueue(jobs.collect()).await.unwrap();
    }
    store.maintain(NOW, None).await.unwrap();
    assert_eq!(days(&database), (19_676..=19_682).collect::<Vec<i64>>());
    assert_eq!(database.sql("SELECT count(*) FROM job_rest"), "21000");
    assert_eq!(store.claim(1, NOW + DAY, 5, &[]).await.unwrap().len(), 5);
}

#[tokio::test]
async fn days_that_are_too_old_are_dropped_but_for_what_is_needed() {
    let (database, store) = open().await;
    let (one, x, _) = furnish(&store).await;
    let two = workspace("two");
    store.maintain(NOW, None).await.unwrap();
    let run = async |n: u16, of: &WorkspaceId, ended: Micros| {
        store
            .record_durably(RunRecord { job: job_at(NOW, n, of, x), end: end_at(ended) })
            .await
            .unwrap();
    };
    for n in 0..5 {
        run(n, &one, NOW).await;
    }
    run(5, &two, NOW).await;
    // Done much later than it was asked for.
    run(6, &one, NOW + 5 * DAY).await;
    // A twin, one that waits, one that runs, and one that was cancelled and tried before it was
    // over.
    let twin = NewJob { id: JobId::from_key(id_at(NOW, 1).key(), 77), ..job_at(NOW, 1, &one, x) };
    store.record_durably(RunRecord { job: twin.clone(), end: end_at(NOW) }).await.unwrap();
    let erased = Erasure { when_read: false, after: Some(Duration::ZERO) };
    store
        .enqueue(vec![
            NewJob { run_at: NOW + 90 * DAY, ..job_at(NOW, 10, &one, x) },
            job_at(NOW, 11, &one, x),
        ])
        .await
        .unwrap();
    store.enqueue(vec![NewJob { erasure: erased, ..job_at(NOW, 12, &one, x) }]).await.unwrap();
    let claimed = store.claim(1, NOW, 9, &[]).await.unwrap();
    assert_eq!(claimed.len(), 2);
    let claim = Claim { id: id_at(NOW, 12), attempt: 1 };
    store.retry(vec![Retry { claim, end: end_at(NOW), run_at: NOW }]).await.unwrap();
    store.cancel(&one, &[id_at(NOW, 12)], &cancellation("ann", None, NOW)).await.unwrap();
    assert_eq!(store.attempts(&one, id_at(NOW, 12)).await.unwrap().len(), 1);
    let counts = store.counts(&one).await.unwrap();
    assert_eq!(counts, Counts { queued: 1, running: 1, suspended: 0, completed: 8 });

    // The day is over for less than it is to be kept.
    let keep = Some(Duration::from_secs(2 * 86_400));
    store.maintain(NOW + 2 * DAY, keep).await.unwrap();
    assert_eq!(days(&database).first(), Some(&19_675));
    assert_eq!(listed(&store, &one).await.len(), 10);
    store.maintain(NOW + 3 * DAY, keep).await.unwrap();
    assert_eq!(days(&database).first(), Some(&19_676));
    let left: Vec<JobId> = [11, 10, 6].map(|n| id_at(NOW, n)).into();
    assert_eq!(listed(&store, &one).await, left);
    assert!(listed(&store, &two).await.is_empty());
    assert_eq!(
        store.counts(&one).await.unwrap(),
        Counts { queued: 1, running: 1, suspended: 0, completed: 1 }
    );
    assert_eq!(store.counts(&two).await.unwrap(), Counts::default());
    for table in ["alias", "job_attempt", "cancellation"] {
        assert_eq!(database.sql(&format!("SELECT count(*) FROM {table}")), "0", "{table}");
    }
    // Ids that are gone may be used again, by those whose keys were assigned too.
    store.record_durably(RunRecord { job: twin, end: end_at(NOW) }).await.unwrap();
    // What was left goes on: a job that is older than every day completes.
    let held =
        Completion { claim: Claim { id: id_at(NOW, 11), attempt: 1 }, end: end_at(NOW + 3 * DAY) };
    assert_eq!(store.complete(vec![held]).await.unwrap(), [true]);
    let late = store.claim(1, NOW + 90 * DAY, 9, &[]).await.unwrap();
    assert_eq!(late.len(), 1);
    assert_eq!(late[0].job.args, job_at(NOW, 10, &one, x).args);
    let held =
        Completion { claim: Claim { id: id_at(NOW, 10), attempt: 1 }, end: end_at(NOW + 90 * DAY) };
    assert_eq!(store.complete(vec![held]).await.unwrap(), [true]);
    assert_eq!(store.purge_runs(&one, None, NOW + 91 * DAY, 10).await.unwrap(), 4);
    assert_eq!(store.counts(&one).await.unwrap(), Counts::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn upkeep_by_several_nodes_while_others_work() {
    let (database, store) = open().await;
    let (one, x, _) = furnish(&store).await;
    let other = database.open().await;
    for day in 0..4 {
        let now = NOW + day * DAY;
        let work = async {
            for n in 0..30u16 {
                store.enqueue(vec![job_at(now, n, &one, x)]).await.unwrap();
                let claimed = store.claim(1, now, 9, &[]).await.unwrap();
                let runs = claimed.iter().map(|job| Completion {
                    claim: Claim { id: job.job.id, attempt: 1 },
                    end: end_at(now),
                });
                assert!(store.complete(runs.collect()).await.unwrap().iter().all(|held| *held));
            }
        };
        let keep = Some(Duration::from_secs(86_400));
        let ((), first, second) =
            tokio::join!(work, store.maintain(now, keep), other.maintain(now, keep));
        first.unwrap();
        second.unwrap();
    }
    assert_eq!(listed(&store, &one).await.len(), 60);
    assert_eq!(store.counts(&one).await.unwrap().completed, 60);
}

/// Reads of whole tables, row by row, since the server counts.
async fn rows_read(database: &Database) -> i64 {
    // Counted when a connection ends.
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for _ in 0..500 {
        if database.sql(others) == "0" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(database.sql(others), "0");
    let sql = "SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables WHERE relname ~ '^(job|finished)_[0-9]+$'";
    database.sql(sql).parse().unwrap()
}

#[tokio::test]
async fn nobody_reads_whole_days_to_find_single_jobs() {
    let (database, store) = open().await;
    let (one, x, _) = furnish(&store).await;
    store.maintain(NOW, None).await.unwrap();
    store
        .record_durably(RunRecord { job: job_at(NOW, 0, &one, x), end: end_at(NOW) })
        .await
        .unwrap();
    let copy = |table: &str| {
        let columns = format!(
            "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0 AND attname <> 'id'"
        );
        let columns = database.sql(&columns);
        database
            .sql(&format!("INSERT INTO {table} (id, {columns}) SELECT id + 4096 * n, {columns} FROM {table}, generate_series(1, 40000) n"));
        database.sql(&format!("ANALYZE {table}"));
    };
    copy("job");
    copy("finished");
    drop(store);
    let before = rows_read(&database).await;

    let store = database.open().await;
    let foreign =
        |n: u32| -> JobId { format!("{n:08x}-1111-4111-9111-000000000000").parse().unwrap() };
    let all: Vec<NewJob> = (1..200)
        .map(|n| NewJob { id: foreign(n), ..job_at(NOW + 200_000_000, 1, &one, x) })
        .collect();
    for _ in 0..8 {
        // Often enough for plans that are kept.
        let (known, new) = (id_at(NOW, 0), JobId::from_parts(5, 5, 5));
        assert_eq!(
            store.ended(&[(one.clone(), known), (one.clone(), new)]).await.unwrap(),
            [known, new]
        );
        assert!(matches!(
            store.enqueue(vec![job_at(NOW, 0, &one, x)]).await,
            Err(StoreError::Conflict(_))
        ));
    }
    store.enqueue(all[..100].to_vec()).await.unwrap();
    for job in &all[100..] {
        store.record_durably(RunRecord { job: job.clone(), end: end_at(NOW) }).await.unwrap();
        store.ended(&[(one.clone(), job.id)]).await.unwrap();
    }
    let claimed = store.claim(1, NOW + 300_000_000, 100, &[]).await.unwrap();
    let claims: Vec<Claim> =
        claimed.iter().map(|job| Claim { id: job.job.id, attempt: job.attempt }).collect();
    assert_eq!(store.release(1, &claims[..50]).await.unwrap(), 50);
    let runs = claims[50..].iter().map(|claim| Completion { claim: *claim, end: end_at(NOW) });
    assert_eq!(store.complete(runs.collect()).await.unwrap(), [true; 50]);
    assert_eq!(
        store
            .erase(&one, &all[50..].iter().map(|job| job.id).collect::<Vec<JobId>>())
            .await
            .unwrap(),
        149
    );
    drop(store);
    assert_eq!(rows_read(&database).await - before, 0);
}
