//! What jobs cost in the store, beside the bare engine writing the same bytes in the same batches.
//!
//! No HTTP and no sandbox here: jobs are queued, claimed and completed as fast as the store takes
//! them.

mod bare;
mod lists;
mod load;
mod river;

use crate::figures::{self, Spread};
use crate::machine::Machine;
use crate::{table, write_json};
use anyhow::Result;
use clap::ValueEnum;
use load::Furnished;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use wasmill_store::Store;
use wasmill_store::postgres::{self, PostgresStore};
use wasmill_store::sqlite::{Options, SqliteStore};
use wasmill_test_servers::{Postgres, PostgresOptions};

/// Arguments of `queue`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Rounds over everything that is measured
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Jobs in each measurement of a round
    #[arg(long, default_value_t = 40_000)]
    jobs: usize,
    /// Callers that queue at the same time, each one job after the other
    #[arg(long, default_value_t = 256)]
    callers: usize,
    /// Jobs that one workspace has queued while another one queues a single job
    #[arg(long, default_value_t = 1_000_000)]
    backlog: usize,
    /// Finished runs in the store whose lists are measured
    #[arg(long, default_value_t = 5_000_000)]
    runs: usize,
    /// Few short rounds: shows that it works, measures little
    #[arg(long)]
    quick: bool,
    /// Only these engines
    #[arg(long, value_enum)]
    engine: Vec<Engine>,
    /// Only these measurements
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// River's program, built in bench/river, to be measured beside PostgreSQL
    #[arg(long)]
    river: Option<PathBuf>,
    /// Where the files are put; a temporary folder unless set
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Write the report to this file as well
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What keeps the jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Engine {
    Sqlite,
    Postgres,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Part {
    /// Durable enqueues a second.
    Enqueue,
    /// Jobs a second from the queue to the run records.
    Drain,
    /// One job beside another workspace's backlog.
    Fairness,
    /// Pages of the list of runs.
    Lists,
}

/// An open store and what goes away with it.
struct Site {
    store: Arc<dyn Store>,
    /// Where the bare engine works.
    bare: bare::Bare,
    _folder: tempfile::TempDir,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    rates: Vec<Rate>,
    river: Vec<river::Beside>,
    fairness: Vec<Delay>,
    lists: Vec<lists::Pages>,
}

/// A rate beside the bare engine's.
#[derive(Serialize)]
struct Rate {
    engine: Engine,
    part: Part,
    /// Jobs a second.
    ours: Spread,
    /// The same of the bare engine.
    bare: Spread,
    /// Ours over the bare one's, round by round.
    ratio: Spread,
    /// Jobs that a transaction of the bare engine has: as many as ours had on average.
    batch: f64,
}

/// What a single job waits for beside a backlog.
#[derive(Serialize)]
struct Delay {
    engine: Engine,
    backlog: usize,
    /// Milliseconds from its being queued to its being claimed, with the backlog and without.
    beside: Spread,
    alone: Spread,
    /// Claims before the one that had it.
    claims: Spread,
}

/// Measures and prints.
pub(crate) fn run(args: &Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(args))
}

async fn measure(args: &Args) -> Result<()> {
    let (rounds, jobs, backlog, runs) = if args.quick {
        (1, 2_000, 5_000, 5_000)
    } else {
        (args.rounds, args.jobs, args.backlog, args.runs)
    };
    let wants = |part: Part| args.only.is_empty() || args.only.contains(&part);
    let engines =
        if args.engine.is_empty() { &[Engine::Sqlite, Engine::Postgres][..] } else { &args.engine };
    let mut report = Report {
        machine: Machine::look(),
        rates: Vec::new(),
        river: Vec::new(),
        fairness: Vec::new(),
        lists: Vec::new(),
    };
    for &engine in engines {
        let server = (engine == Engine::Postgres).then(|| {
            let settings = [("shared_buffers", "512MB"), ("max_wal_size", "4GB")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
            Postgres::start(PostgresOptions {
                fsync: true,
                settings: settings.into(),
                ..PostgresOptions::default()
            })
        });
        if wants(Part::Enqueue) || wants(Part::Drain) {
            let rates = rates(args, engine, server.as_ref(), rounds, jobs).await?;
            if let (Some(server), Some(program)) = (&server, &args.river) {
                let url = server.url(&server.create_database());
                report.river =
                    river::measure(program, &url, jobs, args.callers.min(jobs), rounds, &rates)?;
            }
            report.rates.extend(rates.into_iter().filter(|rate| wants(rate.part)));
        }
        if wants(Part::Fairness) {
            let site = open(args, engine, server.as_ref()).await?;
            report.fairness.push(fairness(engine, &*site.store, rounds.max(3), backlog).await?);
        }
        if wants(Part::Lists) {
            let site = open(args, engine, server.as_ref()).await?;
            report.lists.push(lists::measure(engine, &*site.store, runs).await?);
        }
    }
    print(&mut report);
    write_json(args.json.as_deref(), &report)
}

async fn open(args: &Args, engine: Engine, server: Option<&Postgres>) -> Result<Site> {
    let folder = match &args.folder {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    }?;
    match (engine, server) {
        (Engine::Postgres, Some(server)) => {
            let options = postgres::Options::from_url(&server.url(&server.create_database()))?;
            let bare = bare::Bare::postgres(&server.url(&server.create_database())).await?;
            Ok(Site {
                store: Arc::new(PostgresStore::open(&options).await?),
                bare,
                _folder: folder,
            })
        }
        _ => {
            let store =
                Arc::new(SqliteStore::open(&folder.path().join("ours"), Options::default())?);
            let bare = bare::Bare::sqlite(&folder.path().join("bare")).await?;
            Ok(Site { store, bare, _folder: folder })
        }
    }
}

async fn rates(
    args: &Args,
    engine: Engine,
    server: Option<&Postgres>,
    rounds: usize,
    jobs: usize,
) -> Result<[Rate; 2]> {
    let site = open(args, engine, server).await?;
    let store = site.store.clone();
    let furnished = load::furnish(&*store).await?;
    let callers = args.callers.min(jobs);
    // As many callers as there are make a batch, at most.
    let (mut enqueue, mut drain) =
        (Rounds::of(Part::Enqueue, callers), Rounds::of(Part::Drain, load::CLAIM));
    for round in 0..=rounds {
        let enqueued = load::enqueue(&store, &furnished, callers, jobs).await?;
        let drained = load::drain(&store, jobs).await?;
        let bare_enqueued = site.bare.enqueue(jobs, enqueue.batch).await?;
        let bare_drained = site.bare.drain(jobs, drain.batch).await?;
        // The first one warms up.
        if round > 0 || rounds == 1 {
            enqueue.add(jobs, enqueued, bare_enqueued);
            drain.add(jobs, drained, bare_drained);
        }
    }
    Ok([enqueue.rate(engine), drain.rate(engine)])
}

/// The rounds of one measurement.
struct Rounds {
    part: Part,
    batch: usize,
    ours: Vec<f64>,
    bare: Vec<f64>,
}

impl Rounds {
    fn of(part: Part, batch: usize) -> Self {
        Self { part, batch, ours: Vec::new(), bare: Vec::new() }
    }

    fn add(&mut self, jobs: usize, ours: Duration, bare: Duration) {
        self.ours.push(jobs as f64 / ours.as_secs_f64());
        self.bare.push(jobs as f64 / bare.as_secs_f64());
    }

    fn rate(&self, engine: Engine) -> Rate {
        let ratio = figures::ratios(&self.ours, &self.bare);
        let [ours, bare] =
            [&self.ours, &self.bare].map(|rates| figures::spread(rates.iter().copied()));
        Rate { engine, part: self.part, ours, bare, ratio, batch: self.batch as f64 }
    }
}

async fn fairness(
    engine: Engine,
    store: &dyn Store,
    rounds: usize,
    backlog: usize,
) -> Result<Delay> {
    let furnished: Furnished = load::furnish(store).await?;
    let alone = load::delays(store, &furnished, rounds).await?;
    load::pile_up(store, &furnished, backlog).await?;
    let beside = load::delays(store, &furnished, rounds).await?;
    let millis = |delays: &[load::Waited]| {
        figures::spread(delays.iter().map(|waited| waited.time.as_secs_f64() * 1e3))
    };
    let claims = figures::spread(beside.iter().map(|waited| f64::from(waited.claims)));
    Ok(Delay { engine, backlog, beside: millis(&beside), alone: millis(&alone), claims })
}

fn print(report: &mut Report) {
    let whole =
        |spread: Spread| format!("{:.0} ({:.0}..{:.0})", spread.median, spread.min, spread.max);
    let fine =
        |spread: Spread| format!("{:.2} ({:.2}..{:.2})", spread.median, spread.min, spread.max);
    let name = |value: &dyn std::fmt::Debug| format!("{value:?}").to_lowercase();
    let rows: Vec<[String; 6]> = report
        .rates
        .iter()
        .map(|rate| {
            let batch = format!("{:.0}", rate.batch);
            [
                name(&rate.engine),
                name(&rate.part),
                batch,
                whole(rate.ours),
                whole(rate.bare),
                fine(rate.ratio),
            ]
        })
        .collect();
    table::print(["engine", "", "batch", "ours/s", "bare/s", "ratio"], &rows);
    let rows: Vec<[String; 4]> = report
        .river
        .iter()
        .map(|beside| {
            [
                beside.name.to_owned(),
                whole(beside.ours),
                whole(beside.river),
                format!("{:.2}", beside.ratio),
            ]
        })
        .collect();
    if !rows.is_empty() {
        table::print(["PostgreSQL", "ours/s", "River/s", "ratio"], &rows);
    }
    let rows: Vec<[String; 5]> = report
        .fairness
        .iter()
        .map(|delay| {
            [
                name(&delay.engine),
                delay.backlog.to_string(),
                fine(delay.beside),
                fine(delay.alone),
                whole(delay.claims),
            ]
        })
        .collect();
    table::print(["engine", "backlog", "one job, ms", "alone, ms", "claims"], &rows);
    let rows: Vec<[String; 4]> = report
        .lists
        .iter()
        .flat_map(|pages| {
            pages.filters.iter().map(|filter| {
                [
                    name(&pages.engine),
                    filter.name.to_owned(),
                    format!("{:.2}", filter.times.p50 / 1e3),
                    format!("{:.2}", filter.times.p99 / 1e3),
                ]
            })
        })
        .collect();
    table::print(["engine", "page of 50 runs", "p50 ms", "p99 ms"], &rows);
    report.machine.close();
}
