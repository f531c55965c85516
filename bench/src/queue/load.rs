//! The jobs that stores are given, and how long they take with them.

use anyhow::{Result, ensure};
use bytes::Bytes;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wasmill_core::limits::DeclaredLimits;
use wasmill_core::{Digest, JobId, Kind, Manifest, Runnable, VersionHash, WorkspaceId};
use wasmill_store::{
    Claim, ClaimedJob, Completion, Micros, NewJob, NewVersion, RunEnd, RunStatus, Store, Trigger,
};

/// Bytes of a job's arguments, as those that were seen.
const ARGS: usize = 600;
/// Bytes of its result.
const RESULT: usize = 300;
/// Jobs of a claim, as a worker takes them.
pub(super) const CLAIM: usize = 64;
/// Claims that are worked on at the same time.
const WORKERS: usize = 4;

/// Two workspaces with a script each.
pub(super) struct Furnished {
    pub(super) one: WorkspaceId,
    two: WorkspaceId,
    pub(super) version: VersionHash,
}

pub(super) fn now() -> Micros {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as Micros)
}

/// The id of one that was created then, the only one of its millisecond.
pub(super) fn id_of(at: Micros) -> JobId {
    let millis = at as u64 / 1_000;
    JobId::from_parts(millis, 0, millis.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Ids of this process, all different: those that seem to be older than the last one are of its
/// time.
pub(super) fn id(at: Micros) -> JobId {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let fresh = (at as u64 / 1_000) << 12;
    let step = |last: u64| Some(fresh.max(last + 1));
    let last =
        LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).unwrap_or_else(|last| last);
    let key = fresh.max(last + 1);
    JobId::from_parts(key >> 12, (key & 0xfff) as u16, key.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

pub(super) async fn furnish(store: &dyn Store) -> Result<Furnished> {
    let (one, two): (WorkspaceId, WorkspaceId) = ("one".parse()?, "two".parse()?);
    let path: wasmill_core::ScriptPath = "u/bench/job".parse()?;
    let runnable = Runnable::Module { module: Digest::of(b"module"), kind: Kind::Typed };
    let (manifest, hash) =
        Manifest::new(path.clone(), runnable.clone(), DeclaredLimits::default()).canonical()?;
    for workspace in [&one, &two] {
        store.create_workspace(workspace, "Bench", now()).await?;
        let version = NewVersion {
            hash,
            manifest: manifest.clone(),
            path: path.clone(),
            runnable: runnable.clone(),
            module_bytes: 6,
            limits: DeclaredLimits::default(),
            schema: None,
            summary: String::new(),
            created_by: "bench".into(),
            created: now(),
        };
        store.deploy(workspace, &version).await?;
    }
    Ok(Furnished { one, two, version: hash })
}

fn job(workspace: &WorkspaceId, version: VersionHash) -> NewJob {
    let at = now();
    let args = format!(r#"{{"text":"{}"}}"#, "x".repeat(ARGS - 11));
    NewJob::new(
        id(at),
        workspace.clone(),
        version,
        "bench",
        Trigger::Webhook,
        at,
        Bytes::from(args),
    )
}

/// Queues jobs from many callers, each waiting for one before the next, and returns how long that
/// took.
pub(super) async fn enqueue(
    store: &Arc<dyn Store>,
    furnished: &Furnished,
    callers: usize,
    jobs: usize,
) -> Result<Duration> {
    let begun = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let (store, workspace, version) =
                (store.clone(), furnished.one.clone(), furnished.version);
            let share = jobs / callers + usize::from(caller < jobs % callers);
            tokio::spawn(async move {
                for _ in 0..share {
                    store.enqueue(vec![job(&workspace, version)]).await?;
                }
                Ok::<_, wasmill_store::StoreError>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(begun.elapsed())
}

fn end(started: Micros) -> Result<RunEnd> {
    Ok(RunEnd {
        status: RunStatus::Success,
        started,
        duration: Duration::from_micros(30),
        memory_peak_bytes: 1 << 20,
        result: RawValue::from_string(format!("\"{}\"", "y".repeat(RESULT - 2)))?,
        log: Bytes::new(),
        deleted: false,
    })
}

/// Completes what was claimed.
async fn complete(store: &dyn Store, claimed: &[ClaimedJob]) -> Result<()> {
    let at = now();
    let ends = claimed.iter().map(|job| {
        Ok(Completion { claim: Claim { id: job.job.id, attempt: job.attempt }, end: end(at)? })
    });
    let held = store.complete(ends.collect::<Result<_>>()?).await?;
    ensure!(held.iter().all(|held| *held), "a job was lost to another worker");
    Ok(())
}

/// Claims and completes everything that waits, and returns how long that took.
pub(super) async fn drain(store: &Arc<dyn Store>, jobs: usize) -> Result<Duration> {
    let begun = Instant::now();
    let tasks: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut done = 0;
                store.extend_lease(worker as i64 + 1, now() + 3_600_000_000).await?;
                loop {
                    let claimed = store.claim(worker as i64 + 1, now(), CLAIM as u32, &[]).await?;
                    if claimed.is_empty() {
                        return anyhow::Ok(done);
                    }
                    done += claimed.len();
                    complete(&*store, &claimed).await?;
                }
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    ensure!(done == jobs, "{done} of {jobs} jobs were claimed");
    Ok(begun.elapsed())
}

/// Claims and completes one claim's worth.
pub(super) async fn work_off(store: &dyn Store) -> Result<()> {
    store.extend_lease(1, now() + 3_600_000_000).await?;
    complete(store, &store.claim(1, now(), CLAIM as u32, &[]).await?).await
}

/// Queues a backlog.
pub(super) async fn pile_up(store: &dyn Store, furnished: &Furnished, jobs: usize) -> Result<()> {
    for batch in (0..jobs).collect::<Vec<_>>().chunks(1_000) {
        store
            .enqueue(batch.iter().map(|_| job(&furnished.one, furnished.version)).collect())
            .await?;
    }
    Ok(())
}

/// How long a single job waited for its claim.
pub(super) struct Waited {
    pub(super) time: Duration,
    pub(super) claims: u32,
}

/// Queues one job of the second workspace at a time, and claims like a busy worker until it has it.
pub(super) async fn delays(
    store: &dyn Store,
    furnished: &Furnished,
    rounds: usize,
) -> Result<Vec<Waited>> {
    let mut delays = Vec::new();
    store.extend_lease(9, now() + 3_600_000_000).await?;
    for _ in 0..rounds {
        let begun = Instant::now();
        store.enqueue(vec![job(&furnished.two, furnished.version)]).await?;
        let mut claims = 0;
        loop {
            claims += 1;
            let claimed = store.claim(9, now(), CLAIM as u32, &[]).await?;
            let found = claimed.iter().any(|job| job.job.workspace == furnished.two);
            if found {
                delays.push(Waited { time: begun.elapsed(), claims });
            }
            complete(store, &claimed).await?;
            if found {
                break;
            }
            ensure!(claims < 1_000, "the single job is never claimed");
        }
    }
    Ok(delays)
}
