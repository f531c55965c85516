//! Several nodes on one queue: nothing is given out twice, nothing is lost, and limits hold.

use super::{Database, open};
use crate::fixtures::*;
use crate::postgres::PostgresStore;
use crate::*;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use wasmill_core::queue::Concurrency;
use wasmill_core::{JobId, VersionHash, WorkspaceId};

const NOW: Micros = 1_700_000_000_000_000;

/// So many stores on one database, the first of them furnished.
async fn nodes(count: usize) -> (Database, Vec<Arc<PostgresStore>>, WorkspaceId, VersionHash) {
    let (database, first) = open().await;
    let (one, x, _) = furnish(&first).await;
    let mut stores = vec![Arc::new(first)];
    while stores.len() < count {
        stores.push(Arc::new(database.open().await));
    }
    (database, stores, one, x)
}

fn done(job: &ClaimedJob) -> Completion {
    Completion {
        claim: Claim { id: job.job.id, attempt: job.attempt },
        end: end(RunStatus::Success, "1"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_job_is_given_out_once() {
    const JOBS: u16 = 600;
    let (_database, stores, one, x) = nodes(4).await;
    // Some of one call, some of calls of their own, from every node at once.
    let mut producers = Vec::new();
    for (n, store) in stores.iter().enumerate() {
        let (store, one, n) = (Arc::clone(store), one.clone(), n as u16);
        producers.push(tokio::spawn(async move {
            let ids = (0..JOBS / 4).map(|k| id(n * (JOBS / 4) + k));
            let (mut together, mut alone) = (Vec::new(), Vec::new());
            for (k, id) in ids.enumerate() {
                if k % 3 == 0 {
                    together.push(job(id, &one, x))
                } else {
                    alone.push(job(id, &one, x))
                }
            }
            store.enqueue(together).await.unwrap();
            let calls = alone.into_iter().map(|job| store.enqueue(vec![job]));
            for call in futures_util::future::join_all(calls).await {
                call.unwrap();
            }
        }));
    }
    let mut workers = Vec::new();
    let over = Arc::new(AtomicU32::new(0));
    for (n, store) in stores.iter().enumerate() {
        let (store, over) = (Arc::clone(store), Arc::clone(&over));
        workers.push(tokio::spawn(async move {
            let mut mine = Vec::new();
            while over.load(Ordering::Relaxed) < u32::from(JOBS) {
                let claimed = store.claim(n as i64, NOW + 1_000_000, 7, &[]).await.unwrap();
                if claimed.is_empty() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                }
                mine.extend(claimed.iter().map(|job| (job.job.id, job.attempt)));
                let results = store.complete(claimed.iter().map(done).collect()).await.unwrap();
                assert!(results.iter().all(|held| *held));
                over.fetch_add(results.len() as u32, Ordering::Relaxed);
            }
            mine
        }));
    }
    for producer in producers {
        producer.await.unwrap();
    }
    let mut given = HashSet::new();
    for worker in workers {
        for (id, attempt) in worker.await.unwrap() {
            assert_eq!(attempt, 1);
            assert!(given.insert(id), "{id} was given out twice");
        }
    }
    assert_eq!(given.len(), usize::from(JOBS));
    let counts = stores[2].counts(&one).await.unwrap();
    assert_eq!(counts, Counts { completed: JOBS.into(), ..Counts::default() });
}

/// Jobs of a few keys with different limits, done by several nodes at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn limits_hold_exactly_and_nobody_is_forgotten() {
    const JOBS: u16 = 240;
    let (_database, stores, one, x) = nodes(4).await;
    let limit_of = |n: u16| match n % 4 {
        0 => Some(Concurrency { key: 1, limit: 1 }),
        1 => Some(Concurrency { key: -2, limit: 3 }),
        2 => Some(Concurrency { key: i64::MAX, limit: 1 + u32::from(n / 4 % 2) }),
        _ => None,
    };
    let jobs = (0..JOBS).map(|n| NewJob {
        concurrency: limit_of(n),
        priority: i16::try_from(n % 3).unwrap(),
        tag: if n % 5 == 0 { "big".into() } else { DEFAULT_TAG.into() },
        ..job(id(n), &one, x)
    });
    stores[0].enqueue(jobs.collect()).await.unwrap();
    // How many of each key this test knows to run: at least so many do. It counts down before it
    // says so to the store.
    let running: Arc<HashMap<i64, AtomicU32>> =
        Arc::new([1, -2, i64::MAX].into_iter().map(|key| (key, AtomicU32::new(0))).collect());
    let over = Arc::new(AtomicU32::new(0));
    let most = Arc::new(AtomicU32::new(0));
    let mut workers = Vec::new();
    for (n, store) in stores.iter().enumerate() {
        let (store, running, over, most) =
            (Arc::clone(store), Arc::clone(&running), Arc::clone(&over), Arc::clone(&most));
        workers.push(tokio::spawn(async move {
            let deadline = Instant::now() + Duration::from_secs(120);
            let worker = n as i64 + 1;
            let mut turn = 0u32;
            while over.load(Ordering::Relaxed) < u32::from(JOBS) {
                assert!(
                    Instant::now() < deadline,
                    "{} of {JOBS} are over: some wait for ever",
                    over.load(Ordering::Relaxed)
                );
                turn += 1;
                let tags = if turn.is_multiple_of(4) { vec!["big".to_owned()] } else { vec![] };
                let claimed = store.claim(worker, NOW + 1_000_000, 5, &tags).await.unwrap();
                for job in &claimed {
                    if let Some(limit) = job.job.concurrency {
                        let now = running[&limit.key].fetch_add(1, Ordering::SeqCst) + 1;
                        // One with a lower limit may have been there before another that has a
                        // higher one, and be seen after it.
                        let may = HashMap::from([(1, 1), (-2, 3), (i64::MAX, 2)])[&limit.key];
                        assert!(
                            now <= may,
                            "{now} of the key {} run beside each other, and {may} may",
                            limit.key
                        );
                        most.fetch_max(now, Ordering::Relaxed);
                    }
                }
                for (k, job) in claimed.iter().enumerate() {
                    if let Some(limit) = job.job.concurrency {
                        running[&limit.key].fetch_sub(1, Ordering::SeqCst);
                    }
                    let claim = Claim { id: job.job.id, attempt: job.attempt };
                    // Each way in which a place becomes free.
                    match (turn as usize + k) % 7 {
                        0 => assert_eq!(store.release(worker, &[claim]).await.unwrap(), 1),
                        1 if job.failures < 2 => {
                            let retry = Retry {
                                claim,
                                end: end(RunStatus::Failure, "1"),
                                run_at: job.job.run_at,
                            };
                            assert_eq!(store.retry(vec![retry]).await.unwrap(), [true]);
                        }
                        _ => {
                            assert_eq!(store.complete(vec![done(job)]).await.unwrap(), [true]);
                            over.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
                if claimed.is_empty() {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        }));
    }
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(
        stores[0].counts(&one).await.unwrap(),
        Counts { completed: JOBS.into(), ..Counts::default() }
    );
    assert!(most.load(Ordering::Relaxed) > 1, "the limits were never tried");
}

/// Whoever frees the only place of a key while somebody else finds it taken must see who waits for
/// it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost() {
    const ROUNDS: u16 = 60;
    let (_database, stores, one, x) = nodes(2).await;
    for n in 0..ROUNDS {
        let limited = |n: u16| NewJob {
            concurrency: Some(Concurrency { key: 5, limit: 1 }),
            ..job(id(n), &one, x)
        };
        stores[0].enqueue(vec![limited(2 * n), limited(2 * n + 1)]).await.unwrap();
        let first = stores[0].claim(1, NOW + 1_000_000, 1, &[]).await.unwrap();
        // The second is held by the claim, or let go by the completion, whichever comes last.
        let (held, _) = tokio::join!(
            async {
                if n % 2 == 0 {
                    tokio::task::yield_now().await;
                }
                stores[1].claim(2, NOW + 1_000_000, 1, &[]).await.unwrap()
            },
            stores[0].complete(first.iter().map(done).collect())
        );
        let second = if held.is_empty() {
            stores[1].claim(2, NOW + 1_000_000, 1, &[]).await.unwrap()
        } else {
            held
        };
        assert_eq!(second.len(), 1, "round {n}");
        stores[1].complete(second.iter().map(done).collect()).await.unwrap();
    }
}

/// Nodes do make ids with the same key: all of one moment and of one counter here.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twins_of_keys_have_places_of_their_own() {
    const EACH: u16 = 60;
    let (_database, stores, one, x) = nodes(3).await;
    let mut calls = Vec::new();
    for (n, store) in stores.iter().enumerate() {
        for k in 0..EACH {
            let (store, one) = (Arc::clone(store), one.clone());
            calls.push(tokio::spawn(async move {
                let twin =
                    JobId::from_parts(1_700_000_000_000 + u64::from(k / 20), k % 20, 1 + n as u64);
                match k % 3 {
                    0 => store.enqueue(vec![job(twin, &one, x)]).await.unwrap(),
                    1 => assert!(store.record(RunRecord {
                        job: job(twin, &one, x),
                        end: end(RunStatus::Success, "1")
                    })),
                    _ => drop(store.adopt(job(twin, &one, x), 9, NOW).await.unwrap()),
                }
                twin
            }));
        }
    }
    let mut ids = HashSet::new();
    for call in calls {
        ids.insert(call.await.unwrap());
    }
    assert_eq!(ids.len(), 3 * usize::from(EACH));
    for store in &stores {
        store.flush().await.unwrap();
        assert_eq!(store.dropped_records(), 0);
    }
    for id in &ids {
        let found = stores[1].job(&one, *id).await.unwrap().unwrap();
        assert_eq!(found.job.id, *id);
        let taken = stores[2].enqueue(vec![job(*id, &one, x)]).await.unwrap_err();
        assert!(matches!(taken, StoreError::Conflict(_)), "{taken}");
    }
    let all = JobFilter { limit: MAX_LIST, ..JobFilter::default() };
    let listed: HashSet<JobId> =
        stores[0].list_jobs(&one, &all).await.unwrap().iter().map(|job| job.job.id).collect();
    assert_eq!(listed, ids);
    // Claimed by one, completed by another that has never seen the assigned key.
    let claimed = stores[0].claim(1, NOW + 1_000_000, 1_000, &[]).await.unwrap();
    assert_eq!(claimed.len(), usize::from(EACH));
    let results = stores[1].complete(claimed.iter().map(done).collect()).await.unwrap();
    assert!(results.iter().all(|held| *held));
    let again = stores[0].complete(claimed.iter().map(done).collect()).await.unwrap();
    assert!(again.iter().all(|held| !held));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_id_is_taken_once() {
    let (_database, stores, one, x) = nodes(3).await;
    for n in 0..20 {
        let calls = stores.iter().flat_map(|store| {
            let (alone, together) =
                (job(id(n), &one, x), vec![job(id(100 + n), &one, x), job(id(n), &one, x)]);
            [store.enqueue(vec![alone]), store.enqueue(together)]
        });
        let queued = futures_util::future::join_all(calls).await;
        let conflicts =
            queued.iter().filter(|done| matches!(done, Err(StoreError::Conflict(_)))).count();
        assert_eq!(
            (queued.iter().filter(|done| done.is_ok()).count(), conflicts),
            (1, 5),
            "{queued:?}"
        );
    }
    // Those of a call that was refused are not there.
    let depth = stores[0].counts(&one).await.unwrap().queued;
    let all = JobFilter { limit: MAX_LIST, ..JobFilter::default() };
    assert_eq!(stores[1].list_jobs(&one, &all).await.unwrap().len() as u64, depth);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_are_used_once_by_all_nodes() {
    let (_database, stores, one, x) = nodes(3).await;
    for n in 0..20u16 {
        let key = IdempotencyKey { digest: [n as u8; 32], body: [1; 32], expires: NOW + 5 };
        let calls = stores
            .iter()
            .enumerate()
            .map(|(k, store)| store.enqueue_once(&key, job(id(n * 3 + k as u16), &one, x)));
        let done: Vec<Enqueued> = futures_util::future::join_all(calls)
            .await
            .into_iter()
            .map(|done| done.unwrap())
            .collect();
        let first = done.iter().position(|done| *done == Enqueued::New).unwrap();
        let expected = Enqueued::Existing(id(n * 3 + first as u16));
        assert!(
            done.iter().enumerate().all(|(k, done)| k == first || *done == expected),
            "{done:?}"
        );
    }
    assert_eq!(stores[0].queue_depth(&one).await.unwrap(), 20);
}

#[tokio::test]
async fn fencing_works_across_nodes() {
    let (_database, stores, one, x) = nodes(2).await;
    stores[0].enqueue(vec![job(id(1), &one, x)]).await.unwrap();
    stores[0].extend_lease(1, NOW + 10).await.unwrap();
    let stale = stores[0].claim(1, NOW, 1, &[]).await.unwrap();
    assert_eq!(stores[1].rescue(NOW + 11, false).await.unwrap(), 1);
    assert!(!stores[0].extend_lease(1, NOW + 50).await.unwrap());
    let fresh = stores[1].claim(2, NOW + 11, 1, &[]).await.unwrap();
    assert_eq!(fresh[0].attempt, 2);
    let claim = Claim { id: id(1), attempt: 1 };
    assert_eq!(stores[0].complete(vec![done(&stale[0])]).await.unwrap(), [false]);
    let retry = Retry { claim, end: end(RunStatus::Failure, "1"), run_at: NOW };
    assert_eq!(stores[0].retry(vec![retry]).await.unwrap(), [false]);
    assert_eq!(stores[0].release(1, &[claim]).await.unwrap(), 0);
    assert_eq!(stores[1].complete(vec![done(&fresh[0])]).await.unwrap(), [true]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rescues_at_the_same_time_rescue_once() {
    let (_database, stores, one, x) = nodes(3).await;
    for round in 0..10u16 {
        let jobs = (0..12).map(|n| job(id(round * 12 + n), &one, x)).collect();
        stores[0].enqueue(jobs).await.unwrap();
        for worker in [11, 12, 13] {
            stores[0].extend_lease(worker, NOW + 10).await.unwrap();
            assert_eq!(stores[0].claim(worker, NOW, 4, &[]).await.unwrap().len(), 4);
        }
        let rescues = stores.iter().map(|store| store.rescue(NOW + 11, false));
        let rescued: u64 = futures_util::future::join_all(rescues)
            .await
            .into_iter()
            .map(|rescued| rescued.unwrap())
            .sum();
        assert_eq!(rescued, 12);
        let again = stores[1].claim(20, NOW + 11, 100, &[]).await.unwrap();
        assert!(again.len() == 12 && again.iter().all(|job| job.attempt == 2), "{}", again.len());
        stores[1].complete(again.iter().map(done).collect()).await.unwrap();
    }
}

/// A worker that extends its lease while it is given up either keeps its jobs or hears that it lost
/// them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lease_is_kept_or_lost_as_a_whole() {
    let (_database, stores, one, x) = nodes(2).await;
    let mut kept = 0;
    for round in 0..40u16 {
        stores[0].enqueue(vec![job(id(round), &one, x)]).await.unwrap();
        stores[0].extend_lease(1, NOW + 10).await.unwrap();
        let claimed = stores[0].claim(1, NOW, 1, &[]).await.unwrap();
        let (alive, rescued) =
            tokio::join!(stores[0].extend_lease(1, NOW + 50), stores[1].rescue(NOW + 11, false));
        let (alive, rescued) = (alive.unwrap(), rescued.unwrap());
        assert_eq!(alive, rescued == 0, "round {round}");
        kept += u32::from(alive);
        assert_eq!(stores[0].complete(claimed.iter().map(done).collect()).await.unwrap(), [alive]);
        stores[0].rescue(NOW, true).await.unwrap();
        let left = stores[0].claim(2, NOW + 100, 10, &[]).await.unwrap();
        stores[0].complete(left.iter().map(done).collect()).await.unwrap();
    }
    println!("{kept} of 40 were kept");
}

/// A caller that goes away in the midst of a claim takes nothing with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_nobody_heard_of_is_given_back() {
    let (_database, stores, one, x) = nodes(1).await;
    let store = &stores[0];
    let jobs = (0..40).map(|n| job(id(n), &one, x)).collect();
    store.enqueue(jobs).await.unwrap();
    store.extend_lease(1, NOW + 1_000).await.unwrap();
    for patience in 0..60 {
        let claim = store.claim(1, NOW + 1_000_000, 2, &[]);
        if let Ok(claimed) =
            tokio::time::timeout(Duration::from_micros(100 * patience), claim).await
        {
            let claims: Vec<Claim> = claimed
                .unwrap()
                .iter()
                .map(|job| Claim { id: job.job.id, attempt: job.attempt })
                .collect();
            store.release(1, &claims).await.unwrap();
        }
    }
    let claimed = store.claim(1, NOW + 1_000_000, 100, &[]).await.unwrap();
    assert_eq!(claimed.len(), 40);
    assert!(claimed.iter().all(|job| job.attempt == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cancelling_and_claiming_at_once_leaves_nothing_between() {
    let (_database, stores, one, x) = nodes(2).await;
    for round in 0..20u16 {
        let ids: Vec<JobId> = (0..8).map(|n| id(round * 8 + n)).collect();
        let limited = |n: usize| n.is_multiple_of(2).then_some(Concurrency { key: 3, limit: 1 });
        let jobs = ids
            .iter()
            .enumerate()
            .map(|(n, id)| NewJob { concurrency: limited(n), ..job(*id, &one, x) })
            .collect();
        stores[0].enqueue(jobs).await.unwrap();
        let ann = cancellation("ann", None, NOW);
        let (claimed, outcomes) = tokio::join!(
            stores[0].claim(1, NOW + 1_000_000, 8, &[]),
            stores[1].cancel(&one, &ids, &ann)
        );
        let (claimed, outcomes) = (claimed.unwrap(), outcomes.unwrap());
        let taken: HashSet<JobId> = claimed.iter().map(|job| job.job.id).collect();
        for (id, outcome) in ids.iter().zip(outcomes) {
            let expected =
                if taken.contains(id) { CancelOutcome::Running } else { CancelOutcome::Canceled };
            assert_eq!(outcome, expected, "round {round}");
        }
        assert_eq!(stores[0].canceled(1).await.unwrap().len(), claimed.len());
        stores[1].complete(claimed.iter().map(done).collect()).await.unwrap();
        assert_eq!(stores[0].counts(&one).await.unwrap().completed, u64::from(round + 1) * 8);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn depths_follow_those_of_other_nodes() {
    let (_database, stores, one, x) = nodes(2).await;
    assert_eq!(stores[1].queue_depth(&one).await.unwrap(), 0);
    let calls = (0..64).map(|n| stores[0].enqueue(vec![job(id(n), &one, x)]));
    futures_util::future::join_all(calls).await.into_iter().for_each(|done| done.unwrap());
    assert_eq!(stores[0].queue_depth(&one).await.unwrap(), 64);
    let deadline = Instant::now() + Duration::from_secs(10);
    while stores[1].queue_depth(&one).await.unwrap() != 64 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // While there is writing all the time, too.
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, stop, one) = (Arc::clone(&stores[0]), Arc::clone(&stop), one.clone());
        async move {
            let mut n = 64u16;
            while !stop.load(Ordering::Relaxed) {
                store.enqueue(vec![job(id(n), &one, x)]).await.unwrap();
                n += 1;
            }
            n
        }
    });
    for _ in 0..200 {
        assert!(stores[0].queue_depth(&one).await.unwrap() >= 63);
    }
    stop.store(true, Ordering::Relaxed);
    let written = writer.await.unwrap();
    assert_eq!(stores[0].queue_depth(&one).await.unwrap(), u64::from(written));
}

#[tokio::test]
async fn signals_reach_other_nodes() {
    let (_database, stores, one, _) = nodes(2).await;
    let (mut own, mut other) = (stores[0].signals(), stores[1].signals());
    let mut outbox = stores[1].outbox_changes();
    outbox.mark_unchanged();
    let many: Vec<JobId> = (0..1_000).map(id).collect();
    stores[0].signal(Signal::Ended(many.clone()));
    for _ in 0..500 {
        stores[0].signal(Signal::Queued);
    }
    let hook = Webhook {
        url: "https://a.example/".into(),
        secret: vec![1],
        changed_by: "ann".into(),
        changed: NOW,
    };
    stores[0].set_webhook(&one, &hook).await.unwrap();
    stores[0].archive(&one, &path("f/a/x"), NOW).await.unwrap();
    let heard = async |told: &mut tokio::sync::broadcast::Receiver<Signal>| {
        let (mut ids, mut queued) = (HashSet::new(), 0);
        while ids.len() < many.len() || queued == 0 {
            match tokio::time::timeout(Duration::from_secs(10), told.recv()).await.unwrap() {
                Ok(Signal::Ended(some)) => ids.extend(some),
                Ok(Signal::Queued) => queued += 1,
                _ => {}
            }
        }
        queued
    };
    heard(&mut own).await;
    assert!(heard(&mut other).await < 100, "signals must be sent together");
    tokio::time::timeout(Duration::from_secs(10), outbox.changed()).await.unwrap().unwrap();
}
