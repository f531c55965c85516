use std::time::{Duration, Instant};
use wasmill_core::limits::DeclaredLimits;
use wasmill_core::*;
use wasmill_store::sqlite::{Options, SqliteStore};
use wasmill_store::*;

const NOW: Micros = 1_700_000_000_000_000;

fn version(at: &str) -> NewVersion {
    let (path, module): (ScriptPath, Digest) = (at.parse().unwrap(), Digest::of(b"m"));
    let limits = DeclaredLimits { timeout_s: Some(5), memory_mib: None };
    let (manifest, hash) = Manifest::new(path.clone(), module, Kind::Typed, limits).canonical().unwrap();
    NewVersion { hash, manifest, path, module, module_bytes: 1, kind: Kind::Typed, limits, schema: None, summary: "".into(), created_by: "admin".into(), created: 1 }
}

fn job(n: u64, workspace: &WorkspaceId, version: VersionHash) -> NewJob {
    let ms = 1_700_000_000_000 + n / 1000;
    let id = JobId::from_parts(ms, (n % 1000) as u16, n * 7);
    NewJob::new(id, workspace.clone(), version, "admin", Trigger::Webhook, (ms * 1000) as i64, r#"{"name":"Ann"}"#.as_bytes().to_vec())
}

async fn fill(store: &SqliteStore, ws: &WorkspaceId, v: VersionHash, from: u64, count: u64) {
    let mut n = from;
    while n < from + count {
        let to = (n + 1000).min(from + count);
        store.enqueue((n..to).map(|n| job(n, ws, v)).collect()).await.unwrap();
        n = to;
    }
}

async fn drain(store: &SqliteStore, complete: bool) -> (u64, Duration, f64) {
    let begin = Instant::now();
    let used = cpu();
    let mut jobs = 0;
    loop {
        let claimed = store.claim(1, i64::MAX / 2, 64, &[]).await.unwrap();
        if claimed.is_empty() {
            return (jobs, begin.elapsed(), cpu() - used);
        }
        jobs += claimed.len() as u64;
        if complete {
            let end = RunEnd { status: RunStatus::Success, started: NOW, duration: Duration::from_millis(1), memory_peak_bytes: 1 << 20, result: serde_json::value::RawValue::from_string("1".into()).unwrap(), log: Default::default(), deleted: false };
            store.complete(claimed.iter().map(|c| Completion { claim: Claim { id: c.job.id, attempt: c.attempt }, end: end.clone() }).collect()).await.unwrap();
        }
    }
}

fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn told(what: &str, (jobs, took, cpu): (u64, Duration, f64)) {
    println!(
        "\n{what}: {jobs} jobs, {:.0} claims/s, {:.0} jobs/s, {:.1} us CPU a job",
        (jobs as f64 / 64.0).ceil() / took.as_secs_f64(),
        jobs as f64 / took.as_secs_f64(),
        cpu * 1e6 / jobs as f64
    );
}

async fn open() -> (tempfile::TempDir, SqliteStore, WorkspaceId, VersionHash) {
    let dir = tempfile::tempdir_in("/work").unwrap();
    let store = SqliteStore::open(dir.path(), Options::default()).unwrap();
    let one: WorkspaceId = "one".parse().unwrap();
    store.create_workspace(&one, "One", 1).await.unwrap();
    let v = version("f/a/x");
    store.deploy(&one, &v).await.unwrap();
    (dir, store, one, v.hash)
}

#[tokio::test]
async fn one_workspace() {
    for _ in 0..1 {
        let (_dir, store, one, v) = open().await;
        fill(&store, &one, v, 0, std::env::var("JOBS").map_or(100_000, |n| n.parse().unwrap())).await;
        told("one workspace, claim", drain(&store, false).await);
        let (_dir, store, one, v) = open().await;
        fill(&store, &one, v, 0, std::env::var("JOBS").map_or(100_000, |n| n.parse().unwrap())).await;
        told("one workspace, claim+complete", drain(&store, true).await);
    }
}

#[tokio::test]
async fn many_workspaces() {
    let (_dir, store, _, v) = open().await;
    for n in 0..1000u64 {
        let ws: WorkspaceId = format!("w{n}").parse().unwrap();
        store.create_workspace(&ws, "W", 1).await.unwrap();
        store.deploy(&ws, &version("f/a/x")).await.unwrap();
        fill(&store, &ws, v, n * 100, 100).await;
    }
    told("1000 workspaces, claim", drain(&store, false).await);
}

#[tokio::test]
async fn a_million_beside_one() {
    let (_dir, store, one, v) = open().await;
    let two: WorkspaceId = "two".parse().unwrap();
    store.create_workspace(&two, "Two", 1).await.unwrap();
    store.deploy(&two, &version("f/a/x")).await.unwrap();
    fill(&store, &one, v, 0, 1_000_000).await;
    let begin = Instant::now();
    for _ in 0..100 {
        store.claim(1, i64::MAX / 2, 64, &[]).await.unwrap();
    }
    println!("\na million: {:?} a claim", begin.elapsed() / 100);
    store.enqueue(vec![job(2_000_000, &two, v)]).await.unwrap();
    for n in 0..20 {
        let begin = Instant::now();
        let claimed = store.claim(1, i64::MAX / 2, 64, &[]).await.unwrap();
        let took = begin.elapsed();
        if claimed.iter().any(|job| job.job.workspace == two) {
            println!("\nthe single job came with claim {n}, {took:?}");
            return;
        }
    }
    println!("\nthe single job did not come in 20 claims");
}

async fn fill_limited(store: &SqliteStore, ws: &WorkspaceId, v: VersionHash, from: u64, count: u64, keys: i64, limit: u32) {
    let mut n = from;
    while n < from + count {
        let to = (n + 1000).min(from + count);
        let limited = |n: u64| NewJob { concurrency: Some(wasmill_core::queue::Concurrency { key: n as i64 % keys, limit }), ..job(n, ws, v) };
        store.enqueue((n..to).map(limited).collect()).await.unwrap();
        n = to;
    }
}

#[tokio::test]
async fn limited() {
    for (keys, limit) in [(1, 8), (1, 64), (100, 2), (1000, 1)] {
        let (_dir, store, one, v) = open().await;
        fill_limited(&store, &one, v, 0, 50_000, keys, limit).await;
        let begin = Instant::now();
        let first = store.claim(1, i64::MAX / 2, 64, &[]).await.unwrap();
        println!("\nkeys {keys} limit {limit}: first claim {} jobs in {:?}", first.len(), begin.elapsed());
        let end = RunEnd { status: RunStatus::Success, started: NOW, duration: Duration::from_millis(1), memory_peak_bytes: 1 << 20, result: serde_json::value::RawValue::from_string("1".into()).unwrap(), log: Default::default(), deleted: false };
        store.complete(first.iter().map(|c| Completion { claim: Claim { id: c.job.id, attempt: c.attempt }, end: end.clone() }).collect()).await.unwrap();
        told(&format!("keys {keys} limit {limit}, claim+complete"), drain(&store, true).await);
    }
}

#[tokio::test]
async fn beside_a_limit() {
    let (_dir, store, one, v) = open().await;
    let two: WorkspaceId = "two".parse().unwrap();
    store.create_workspace(&two, "Two", 1).await.unwrap();
    store.deploy(&two, &version("f/a/x")).await.unwrap();
    fill_limited(&store, &one, v, 0, 100_000, 1, 1).await;
    fill(&store, &two, v, 200_000, 50_000).await;
    told("beside 100,000 of one key, claim", drain(&store, false).await);
    let mut most = Duration::ZERO;
    for _ in 0..20 {
        let begin = Instant::now();
        store.claim(1, i64::MAX / 2, 64, &[]).await.unwrap();
        most = most.max(begin.elapsed());
    }
    println!("\nempty claims: {most:?} at most");
    let begin = Instant::now();
    let due = store.next_due(&[]).await.unwrap();
    println!("\nnext_due {due:?} in {:?}", begin.elapsed());
}

#[tokio::test]
async fn purging() {
    let (_dir, store, one, v) = open().await;
    fill(&store, &one, v, 0, 50_000).await;
    drain(&store, true).await;
    let begin = Instant::now();
    assert_eq!(store.purge_runs(&one, None, NOW - 10_000_000, 1000).await.unwrap(), 0);
    println!("\nnothing to purge: {:?}", begin.elapsed());
    let begin = Instant::now();
    let used = cpu();
    let mut purged = 0;
    loop {
        match store.purge_runs(&one, None, NOW + 600_000_000, 1000).await.unwrap() {
            0 => break,
            n => purged += n,
        }
    }
    println!("\npurged {purged} in {:?}, {:.1} us CPU each", begin.elapsed(), (cpu() - used) * 1e6 / purged as f64);
}
