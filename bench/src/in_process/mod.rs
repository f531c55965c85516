//! Fresh-instance calls in a loop within one process: the sandbox, the bare engine, and the rungs
//! between them.
//!
//! All candidates take turns within each round, in an order that is turned around every time, so
//! that a busy minute of the machine hits all of them.

pub(crate) mod bare;
pub(crate) mod choices;
mod ours;

use crate::figures::{self, Spread, Times};
use crate::machine::{self, Machine};
use crate::{guests_folder, read_guest, table, write_json};
use anyhow::{Context as _, Result, ensure};
use bare::{Bare, Settings};
use clap::ValueEnum;
use ours::Ours;
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Scripts and their arguments.
const SCRIPTS: [(&str, &str); 3] = [
    ("hello", r#"{"name":"Ann","times":2}"#),
    ("greet", r#"{"name":"Ann","times":2}"#),
    ("word-count", r#"{"text":"It was a dark and\nstormy night — again.\n"}"#),
];

/// Arguments of `in-process`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Rounds over all candidates
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Milliseconds of one candidate in one round
    #[arg(long, default_value_t = 100)]
    slice: u64,
    /// A few short rounds: shows that it works, measures little
    #[arg(long)]
    quick: bool,
    /// Only this script: hello, greet or word-count
    #[arg(long)]
    only: Option<String>,
    /// Where the compiled scripts are
    #[arg(long)]
    guests: Option<PathBuf>,
    /// Write the report to this file as well
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Arguments of `repeat`.
#[derive(clap::Args)]
pub(crate) struct RepeatArgs {
    /// The candidate
    #[arg(value_enum)]
    candidate: Name,
    /// The script: hello, greet or word-count
    #[arg(long, default_value = "hello")]
    script: String,
    /// Calls
    #[arg(long, default_value_t = 100_000)]
    calls: u64,
    /// Loops at the same time: what processors lose to each other by sharing one address space
    #[arg(long, default_value_t = 1)]
    tasks: u64,
    /// Where the compiled scripts are
    #[arg(long)]
    guests: Option<PathBuf>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Name {
    /// The engine alone
    Bare,
    /// And values of dynamic types
    Values,
    /// And limits
    Limits,
    /// And output and environment
    World,
    /// The sandbox
    Ours,
    /// The sandbox's own work before and after the instance
    Around,
    /// The sandbox's check of the arguments
    Check,
}

impl Name {
    /// The candidates for a script, in the order of the ladder.
    fn all(script: &str) -> Vec<Self> {
        let typed = script == "hello";
        Self::value_variants()
            .iter()
            .copied()
            .filter(|name| *name != Self::Values || typed)
            .collect()
    }

    fn words(self) -> &'static str {
        match self {
            Self::Bare => "bare engine",
            Self::Values => "  + dynamic values",
            Self::Limits => "  + limits",
            Self::World => "  + log and environment",
            Self::Ours => "sandbox",
            Self::Around => "  of it: around the instance",
            Self::Check => "  of it: arguments",
        }
    }
}

enum Candidate {
    Bare(Bare),
    Ours(Ours),
    Around(Ours),
    Check(Ours),
}

impl Candidate {
    async fn call(&self, args: &str) -> Result<String> {
        match self {
            Self::Bare(bare) => bare.call(args).await.map_err(foreign),
            Self::Ours(ours) => ours.call(args).await,
            Self::Around(ours) => ours.around(args),
            Self::Check(ours) => ours.check(args),
        }
    }
}

/// What one candidate did in all rounds.
#[derive(Serialize)]
struct Figures {
    candidate: Name,
    calls: u64,
    p50_us: Spread,
    p99_us: Spread,
    mean_us: Spread,
    cpu_us: Spread,
    /// p50 against the bare engine's of the same round.
    ratio: Spread,
}

#[derive(Serialize)]
struct ScriptReport {
    script: String,
    arguments: String,
    candidates: Vec<Figures>,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    rounds: usize,
    slice_ms: u64,
    scripts: Vec<ScriptReport>,
}

/// One round of one candidate.
struct Slice {
    times: Times,
    cpu: f64,
    calls: u64,
}

impl Slice {
    /// Calls until the time is over.
    async fn of<F: Future<Output = Result<String>>>(
        duration: Duration,
        call: impl Fn() -> F,
    ) -> Result<Self> {
        let mut nanos = Vec::with_capacity(1 << 16);
        let (cpu, end) = (machine::thread_time(), Instant::now() + duration);
        let mut before = Instant::now();
        while before < end {
            std::hint::black_box(call().await?);
            let now = Instant::now();
            nanos.push((now - before).as_nanos() as u64);
            before = now;
        }
        let cpu = (machine::thread_time() - cpu).as_secs_f64() * 1e6 / nanos.len() as f64;
        Ok(Self { calls: nanos.len() as u64, times: figures::times(&mut nanos), cpu })
    }
}

/// The candidates, set up once for all scripts.
struct Bench {
    runtime: tokio::runtime::Runtime,
    engine: wasmtime::Engine,
    sandbox: std::sync::Arc<wasmill_sandbox::Sandbox>,
    guests: PathBuf,
    // Removed at the end.
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new(guests: Option<&PathBuf>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        Ok(Self {
            runtime: tokio::runtime::Builder::new_multi_thread().enable_all().build()?,
            engine: Settings::HOST.engine().map_err(foreign)?,
            sandbox: ours::sandbox(folder.path())?,
            guests: guests.cloned().unwrap_or_else(guests_folder),
            _folder: folder,
        })
    }

    fn candidate(&self, name: Name, script: &str) -> Result<Candidate> {
        let wasm = read_guest(&self.guests, script)?;
        let bare = |settings| {
            Bare::new(&self.engine, script, &wasm, settings).map(Candidate::Bare).map_err(foreign)
        };
        let ours = || self.runtime.block_on(Ours::new(&self.sandbox, wasm.clone()));
        match name {
            Name::Bare => bare(Settings::FLOOR),
            Name::Values => bare(Settings { values: true, ..Settings::FLOOR }),
            Name::Limits => bare(Settings { world: false, ..Settings::HOST }),
            Name::World => bare(Settings::HOST),
            Name::Ours => ours().map(Candidate::Ours),
            Name::Around => ours().map(Candidate::Around),
            Name::Check => ours().map(Candidate::Check),
        }
    }

    fn script(
        &self,
        script: &str,
        args: &str,
        rounds: usize,
        slice: Duration,
    ) -> Result<ScriptReport> {
        let names = Name::all(script);
        let candidates: Vec<Candidate> =
            names.iter().map(|name| self.candidate(*name, script)).collect::<Result<_>>()?;
        self.same_answers(&names, &candidates, args)?;
        let mut slices: Vec<Vec<Slice>> = names.iter().map(|_| Vec::new()).collect();
        for round in 0..=rounds {
            let mut order: Vec<(&Candidate, &mut Vec<Slice>)> =
                candidates.iter().zip(&mut slices).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for (candidate, slices) in order {
                let measured = self.runtime.block_on(Slice::of(slice, || candidate.call(args)))?;
                // The first round warms up.
                if round > 0 {
                    slices.push(measured);
                }
            }
        }
        let p50 = |slices: &[Slice]| slices.iter().map(|slice| slice.times.p50).collect::<Vec<_>>();
        let floor = slices.first().map(|slices| p50(slices)).unwrap_or_default();
        let figures = names.iter().zip(&slices).map(|(name, slices)| Figures {
            candidate: *name,
            calls: slices.iter().map(|slice| slice.calls).sum(),
            p50_us: figures::spread(p50(slices)),
            p99_us: figures::spread(slices.iter().map(|slice| slice.times.p99)),
            mean_us: figures::spread(slices.iter().map(|slice| slice.times.mean)),
            cpu_us: figures::spread(slices.iter().map(|slice| slice.cpu)),
            ratio: figures::ratios(&p50(slices), &floor),
        });
        Ok(ScriptReport {
            script: script.to_owned(),
            arguments: args.to_owned(),
            candidates: figures.collect(),
        })
    }

    /// Candidates that answer differently do different work, and must not be compared.
    fn same_answers(&self, names: &[Name], candidates: &[Candidate], args: &str) -> Result<()> {
        let mut first: Option<serde_json::Value> = None;
        for (name, candidate) in names
            .iter()
            .zip(candidates)
            .filter(|(name, _)| !matches!(name, Name::Around | Name::Check))
        {
            let text = self
                .runtime
                .block_on(candidate.call(args))
                .with_context(|| format!("{name:?} fails"))?;
            let value = serde_json::from_str(&text)
                .with_context(|| format!("{name:?} answers {text:?}"))?;
            let first = first.get_or_insert_with(|| serde_json::Value::clone(&value));
            ensure!(*first == value, "{name:?} answers {value}, the others {first}");
        }
        Ok(())
    }
}

/// The engine has an error type of its own.
pub(crate) fn foreign(error: wasmtime::Error) -> anyhow::Error {
    anyhow::Error::msg(format!("{error:#}"))
}

/// Measures and reports.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut machine = Machine::look();
    let bench = Bench::new(args.guests.as_ref())?;
    let (rounds, slice) = if args.quick { (3, 20) } else { (args.rounds.max(1), args.slice) };
    let mut scripts = Vec::new();
    for (script, arguments) in
        SCRIPTS.iter().filter(|(script, _)| args.only.as_deref().is_none_or(|only| only == *script))
    {
        let report = bench.script(script, arguments, rounds, Duration::from_millis(slice))?;
        print(&report);
        scripts.push(report);
    }
    machine.close();
    println!(
        "{rounds} rounds of {slice} ms each; medians over the rounds, ratios taken within each round"
    );
    write_json(args.json.as_deref(), &Report { machine, rounds, slice_ms: slice, scripts })
}

/// Calls one candidate many times, with nothing measured.
pub(crate) fn repeat(args: &RepeatArgs) -> Result<()> {
    let (_, arguments) = SCRIPTS
        .iter()
        .find(|(script, _)| *script == args.script)
        .context("there is no such script; known are hello, greet and word-count")?;
    let bench = Bench::new(args.guests.as_ref())?;
    let candidate = bench.candidate(args.candidate, &args.script)?;
    let calls = args.calls.div_ceil(args.tasks.max(1));
    let candidate = std::sync::Arc::new(candidate);
    let (begun, cpu) = (Instant::now(), machine::process_time());
    let loops = (0..args.tasks.max(1)).map(|_| {
        let candidate = candidate.clone();
        bench.runtime.spawn(async move {
            for _ in 0..calls {
                std::hint::black_box(candidate.call(arguments).await?);
            }
            anyhow::Ok(())
        })
    });
    for task in loops.collect::<Vec<_>>() {
        bench.runtime.block_on(task)??;
    }
    let (elapsed, cpu) = (begun.elapsed(), machine::process_time() - cpu);
    let calls = (calls * args.tasks.max(1)).max(1) as f64;
    println!(
        "{:.0} calls/s, {:.2} us of processor time per call",
        calls / elapsed.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / calls
    );
    Ok(())
}

fn print(report: &ScriptReport) {
    let rows: Vec<[String; 7]> = report
        .candidates
        .iter()
        .map(|figures| {
            let us = |spread: Spread| format!("{:.2}", spread.median);
            let range = |spread: Spread| {
                format!("{:.2} ({:.2}..{:.2})", spread.median, spread.min, spread.max)
            };
            [
                figures.candidate.words().to_owned(),
                range(figures.p50_us),
                us(figures.p99_us),
                us(figures.mean_us),
                us(figures.cpu_us),
                range(figures.ratio),
                figures.calls.to_string(),
            ]
        })
        .collect();
    table::print(
        [
            &format!("{}, µs per call", report.script),
            "p50 (min..max)",
            "p99",
            "mean",
            "cpu",
            "ratio to bare",
            "calls",
        ],
        &rows,
    );
}
