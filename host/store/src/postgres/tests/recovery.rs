//! A server that ends in the midst of work: what was acknowledged is there, and nothing else was
//! acknowledged.

use crate::fixtures::*;
use crate::postgres::{Options, PostgresStore};
use crate::*;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wasmill_core::{JobId, VersionHash, WorkspaceId};
use wasmill_test_servers::{Postgres, PostgresOptions};

const NOW: Micros = 1_700_000_000_000_000;

async fn synced() -> (Postgres, Options, WorkspaceId, VersionHash) {
    let server = Postgres::start(PostgresOptions { fsync: true, ..PostgresOptions::default() });
    let database = server.create_database();
    let options = Options { connections: 6, ..Options::from_url(&server.url(&database)).unwrap() };
    let store = PostgresStore::open(&options).await.unwrap();
    let (one, x, _) = furnish(&store).await;
    (server, options, one, x)
}

fn id_of(n: u64) -> JobId {
    JobId::from_parts(1_700_000_000_000 + n / 1_000, (n % 1_000) as u16, n)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_survives_and_nothing_else_was() {
    let (server, options, one, x) = synced().await;
    let store = Arc::new(PostgresStore::open(&options).await.unwrap());
    let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let producers = (0..16).map(|_| {
        let (store, stop, next, one) =
            (Arc::clone(&store), Arc::clone(&stop), Arc::clone(&next), one.clone());
        tokio::spawn(async move {
            let (mut queued, mut refused) = (Vec::new(), 0u32);
            while !stop.load(Ordering::Relaxed) {
                let id = id_of(next.fetch_add(1, Ordering::Relaxed));
                let begun = Instant::now();
                match store.enqueue(vec![NewJob { created: NOW, ..job(id, &one, x) }]).await {
                    Ok(()) => queued.push(id),
                    Err(StoreError::Unavailable(_)) => refused += 1,
                    Err(other) => panic!("{other}"),
                }
                assert!(begun.elapsed() < Duration::from_secs(10));
                // What is refused at once is not asked for at once again.
                if begun.elapsed() < Duration::from_millis(1) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            (queued, refused)
        })
    });
    let producers: Vec<_> = producers.collect();
    let worker = tokio::spawn({
        let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
        async move {
            let (mut done, mut held) = (Vec::new(), Vec::new());
            while !stop.load(Ordering::Relaxed) {
                if held.is_empty() {
                    held = store.claim(1, NOW + 60_000_000, 16, &[]).await.unwrap_or_default();
                }
                let runs: Vec<Completion> = held
                    .iter()
                    .map(|job: &ClaimedJob| Completion {
                        claim: Claim { id: job.job.id, attempt: job.attempt },
                        end: end(RunStatus::Success, "1"),
                    })
                    .collect();
                if runs.is_empty() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                } else if let Ok(results) = store.complete(runs).await {
                    done.extend(held.drain(..).zip(results).map(|(job, held)| (job.job.id, held)));
                }
            }
            done
        }
    });
    for stop in [Postgres::stop_immediately, Postgres::kill] {
        tokio::time::sleep(Duration::from_millis(700)).await;
        stop(&server);
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.restart();
        // It works again before the next time.
        let deadline = Instant::now() + Duration::from_secs(20);
        let acknowledged = next.load(Ordering::Relaxed) + 200;
        while next.load(Ordering::Relaxed) < acknowledged || store.next_due(&[]).await.is_err() {
            assert!(Instant::now() < deadline, "the store does not come back");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let (mut acknowledged, mut refusals) = (HashSet::new(), 0);
    for producer in producers {
        let (queued, refused) = producer.await.unwrap();
        acknowledged.extend(queued);
        refusals += refused;
    }
    let done = worker.await.unwrap();
    assert!(
        refusals > 0 && acknowledged.len() > 100,
        "{refusals} refused, {} acknowledged",
        acknowledged.len()
    );
    let mut found = HashSet::new();
    let mut after = None;
    loop {
        let page = JobFilter { ascending: true, limit: 5_000, after, ..JobFilter::default() };
        let page = store.list_jobs(&one, &page).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.job.id);
        found.extend(page.iter().map(|job| job.job.id));
    }
    let lost = acknowledged.difference(&found).count();
    assert_eq!(lost, 0, "of {} acknowledged ones", acknowledged.len());
    // Not acknowledged, and there nevertheless: only what was on its way when the server ended.
    let doubtful = found.difference(&acknowledged).count();
    assert!(doubtful <= 64, "{doubtful} jobs were queued and not acknowledged");
    let mut over = HashSet::new();
    for (id, held) in done {
        if held {
            assert!(over.insert(id), "{id} was completed twice");
            let found = store.job(&one, id).await.unwrap().unwrap();
            assert!(matches!(found.state, JobState::Finished(_)));
        }
    }
    let counts = store.counts(&one).await.unwrap();
    assert_eq!(counts.queued + counts.running + counts.completed, found.len() as u64);
    assert!(counts.completed >= over.len() as u64);
    println!(
        "{} acknowledged, {refusals} refused, {doubtful} doubtful, {} completed",
        acknowledged.len(),
        over.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn records_wait_for_the_server_as_far_as_there_is_room() {
    let (server, options, one, x) = synced().await;
    let options = Options { channel: 64, ..options };
    let store = PostgresStore::open(&options).await.unwrap();
    let run = |n: u64| RunRecord {
        job: NewJob { created: NOW, ..job(id_of(n), &one, x) },
        end: end(RunStatus::Success, "1"),
    };
    // So that its names are known, and it is on its way when the server is gone.
    assert!(store.record(run(0)));
    store.flush().await.unwrap();
    server.stop_immediately();
    let mut kept = vec![0];
    kept.extend((1..400).filter(|n| store.record(run(*n))));
    let dropped = store.dropped_records();
    assert_eq!(kept.len() as u64 + dropped, 400);
    assert!(dropped > 0 && store.dropped_payloads() > 0);
    let begun = Instant::now();
    assert!(matches!(store.job(&one, id_of(1)).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.flush().await, Err(StoreError::Unavailable(_))));
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    server.restart();
    let deadline = Instant::now() + Duration::from_secs(20);
    while store.flush().await.is_err() {
        assert!(Instant::now() < deadline, "records are not written");
    }
    assert_eq!(store.dropped_records(), dropped);
    for n in &kept {
        assert!(store.job(&one, id_of(*n)).await.unwrap().is_some(), "{n}");
    }
    assert_eq!(store.counts(&one).await.unwrap().completed, kept.len() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn other_nodes_are_heard_again() {
    let (server, options, ..) = synced().await;
    let (one, other) = (
        PostgresStore::open(&options).await.unwrap(),
        PostgresStore::open(&options).await.unwrap(),
    );
    let mut told = other.signals();
    let mut hears = async || {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            assert!(Instant::now() < deadline, "nothing is heard");
            one.signal(Signal::Ended(vec![id_of(7)]));
            let heard = tokio::time::timeout(Duration::from_millis(100), told.recv()).await;
            if let Ok(Ok(Signal::Ended(ids))) = heard {
                assert_eq!(ids, [id_of(7)]);
                return;
            }
        }
    };
    hears().await;
    server.restart();
    hears().await;
}
