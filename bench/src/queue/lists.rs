//! Pages of the list of runs, in a store that has many.

use super::{Engine, load};
use crate::figures::{Times, times};
use anyhow::{Result, ensure};
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use std::time::{Duration, Instant};
use wasmill_store::{JobFilter, NewJob, RunEnd, RunRecord, RunStatus, Span, Store, Trigger};

/// Pages of each sort that are asked for.
const PAGES: usize = 200;
/// Which page is asked for, by the place of a run among all.
type Sort<'a> = Box<dyn Fn(usize) -> JobFilter + Send + 'a>;

/// Days over which the runs are spread, as on a host that keeps them for so long.
const DAYS: i64 = 30;
/// One run in so many fails.
const FAILURES: usize = 200;

/// How long pages took, by what was asked for.
#[derive(Serialize)]
pub(super) struct Pages {
    pub(super) engine: Engine,
    runs: usize,
    pub(super) filters: Vec<Filter>,
}

/// One sort of page.
#[derive(Serialize)]
pub(super) struct Filter {
    pub(super) name: &'static str,
    pub(super) times: Times,
}

/// Fills a store and asks it.
pub(super) async fn measure(engine: Engine, store: &dyn Store, runs: usize) -> Result<Pages> {
    let furnished = load::furnish(store).await?;
    let (day, now) = (86_400_000_000, load::now());
    ensure!((runs as i64) < DAYS * day / 1_000, "there are fewer milliseconds than runs");
    let begin = now - DAYS * day;
    for week in 0..=DAYS / 7 {
        store.maintain(begin + week * 7 * day, None).await?;
    }
    let mut ids = Vec::with_capacity(runs);
    for number in 0..runs {
        let at = begin + (now - begin) / runs as i64 * number as i64;
        let id = load::id_of(at);
        ids.push(id);
        let job = NewJob::new(
            id,
            furnished.one.clone(),
            furnished.version,
            "bench",
            Trigger::Webhook,
            at,
            Bytes::from_static(b"{}"),
        );
        let status = if number % FAILURES == 0 { RunStatus::Failure } else { RunStatus::Success };
        let (started, duration, result) =
            (at, Duration::from_micros(30), RawValue::from_string("1".into())?);
        let end = RunEnd {
            status,
            started,
            duration,
            memory_peak_bytes: 0,
            result,
            log: Bytes::new(),
            deleted: false,
        };
        // A full channel is one that the disk has to catch up with.
        while !store.record(RunRecord { job: job.clone(), end: end.clone() }) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if number % 20_000 == 0 {
            store.flush().await?;
        }
    }
    store.flush().await?;
    store.maintain(load::now(), None).await?;
    let path = Some("u/bench/job".parse()?);
    let page = JobFilter { limit: 50, ..JobFilter::default() };
    let created = |at: usize| ids.get(at).map(|id| id.millis() as i64 * 1_000);
    let sorts: [(&'static str, Sort<'_>); 6] = [
        ("newest", Box::new(|_| page.clone())),
        ("of a script", Box::new(|_| JobFilter { path: path.clone(), ..page.clone() })),
        ("failed", Box::new(|_| JobFilter { success: Some(false), ..page.clone() })),
        (
            "of a script, failed",
            Box::new(|_| JobFilter { path: path.clone(), success: Some(false), ..page.clone() }),
        ),
        ("deep", Box::new(|at| JobFilter { before: ids.get(at).copied(), ..page.clone() })),
        (
            "of a time",
            Box::new(|at| JobFilter {
                created: Span { after: None, before: created(at) },
                ..page.clone()
            }),
        ),
    ];
    let mut filters = Vec::new();
    for (name, filter) in &sorts {
        let mut nanos = Vec::with_capacity(PAGES);
        for n in 0..PAGES {
            let filter = filter(runs / PAGES * n + runs / PAGES / 2);
            let begun = Instant::now();
            let found = store.list_jobs(&furnished.one, &filter).await?;
            nanos.push(begun.elapsed().as_nanos() as u64);
            ensure!(!found.is_empty() || n == 0, "{name}: an empty page");
        }
        filters.push(Filter { name, times: times(&mut nanos) });
    }
    Ok(Pages { engine, runs, filters })
}
