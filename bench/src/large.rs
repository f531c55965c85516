//! Large things: bodies of 10 MiB, logs of 10,000 lines, a thousand calls that wait.

use crate::figures::{self, Spread};
use crate::load::{self, Shot};
use crate::machine::{Cpu, Machine, Resident};
use crate::server::Host;
use crate::{guests_folder, read_guest, table, write_json};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const JSON: &str = "application/json";
const MIB: f64 = 1_048_576.0;
/// How long a processor may still work after an answer.
const SETTLE: Duration = Duration::from_secs(4);

/// Arguments of `large`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Calls of each kind
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// One of each, and smaller: shows that it works, measures little
    #[arg(long)]
    quick: bool,
    /// Write the report to this file as well
    #[arg(long)]
    json: Option<PathBuf>,
}

/// One kind of call.
#[derive(Serialize)]
struct Row {
    name: String,
    /// Milliseconds until the answer was read.
    time_ms: Spread,
    /// Milliseconds of the host's processor time, the record included.
    cpu_ms: Spread,
}

/// Calls that wait, all at the same time.
#[derive(Serialize)]
struct Waiting {
    calls: usize,
    /// How long each of them sleeps.
    seconds: u64,
    /// How long all of them took together.
    took: f64,
    /// Processor seconds of the host.
    cpu: f64,
    /// Bytes of memory more than before, while they slept.
    bytes: u64,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    rounds: usize,
    rows: Vec<Row>,
    waiting: Waiting,
}

/// Measures and reports.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut machine = Machine::look();
    let (rounds, mib, lines, calls) =
        if args.quick { (1, 1, 1_000, 50) } else { (args.rounds.max(1), 10, 10_000, 1_000) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let host = Host::start(None, &["--concurrency", "1000", "--body-limit", "16"])?;
    for guest in ["echo", "misbehave", "slow"] {
        host.deploy(
            &runtime,
            "main",
            &format!("u/admin/{guest}"),
            read_guest(&guests_folder(), guest)?,
        )?;
    }
    let shot = |guest: &str, body: Bytes| {
        host.shot(Method::POST, &format!("jobs/run_wait_result/p/u/admin/{guest}"), JSON, body)
    };
    let text = "x".repeat(mib << 20);
    let kinds = [
        (
            format!("{mib} MiB in and out"),
            shot("echo", format!("{{\"text\":\"{text}\"}}").into()),
            mib << 20,
        ),
        (
            format!("{mib} MiB in"),
            shot("misbehave", format!("{{\"op\":\"random\",\"text\":\"{text}\"}}").into()),
            1,
        ),
        (
            format!("{mib} MiB out"),
            shot("misbehave", format!("{{\"op\":\"result\",\"bytes\":{}}}", mib << 20).into()),
            mib << 20,
        ),
        (
            format!("{lines} lines of log"),
            shot("misbehave", format!("{{\"op\":\"lines\",\"lines\":{lines}}}").into()),
            1,
        ),
    ];
    let mut rows = Vec::new();
    for (name, shot, least) in kinds {
        rows.push(measure(&runtime, &host, name, &shot, least, rounds)?);
    }
    let cell =
        |spread: Spread| format!("{:.1} ({:.1}..{:.1})", spread.median, spread.min, spread.max);
    let lines: Vec<[String; 3]> =
        rows.iter().map(|row| [row.name.clone(), cell(row.time_ms), cell(row.cpu_ms)]).collect();
    table::print(["one call", "ms (min..max)", "cpu ms"], &lines);
    let waiting =
        wait(&runtime, &host, &shot("slow", Bytes::from_static(br#"{"seconds":2}"#)), calls, 2)?;
    println!(
        "{} calls that sleep {} s, at once: {:.2} s, {:.2} s of processor time, {:.0} MiB more memory\n",
        waiting.calls,
        waiting.seconds,
        waiting.took,
        waiting.cpu,
        waiting.bytes as f64 / MIB
    );
    machine.close();
    write_json(args.json.as_deref(), &Report { machine, rounds, rows, waiting })
}

/// The same call again and again. The first one warms up and does not count.
fn measure(
    runtime: &Runtime,
    host: &Host,
    name: String,
    shot: &Shot,
    least: usize,
    rounds: usize,
) -> Result<Row> {
    let pid = host.server().pid();
    let (mut time, mut cpu) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let (before, begun) = (Cpu::settle(pid, SETTLE)?, Instant::now());
        let answer = host.ask(runtime, shot).with_context(|| name.clone())?;
        let elapsed = begun.elapsed();
        ensure!(answer.body.len() >= least, "{name}: the answer has {} bytes", answer.body.len());
        let after = Cpu::settle(pid, SETTLE)?;
        if round > 0 {
            time.push(elapsed.as_secs_f64() * 1e3);
            cpu.push(after.total.saturating_sub(before.total).as_secs_f64() * 1e3);
        }
    }
    Ok(Row { name, time_ms: figures::spread(time), cpu_ms: figures::spread(cpu) })
}

/// Many calls at the same time, each on a connection of its own.
fn wait(
    runtime: &Runtime,
    host: &Host,
    shot: &Shot,
    calls: usize,
    seconds: u64,
) -> Result<Waiting> {
    let (pid, address) = (host.server().pid(), host.server().address);
    host.ask(runtime, shot)?;
    let (cpu, before, begun) = (Cpu::settle(pid, SETTLE)?, Resident::of(pid)?, Instant::now());
    let during = runtime.block_on(async {
        let mut asked = JoinSet::new();
        for _ in 0..calls {
            let shot = shot.clone();
            asked.spawn(async move { load::once(address, &shot).await });
        }
        tokio::time::sleep(Duration::from_millis(seconds * 1000 * 3 / 4)).await;
        let during = Resident::of(pid);
        while let Some(answer) = asked.join_next().await {
            let answer = answer.context("a caller failed")??;
            ensure!(answer.status == StatusCode::OK, "a slow call is answered {answer:?}");
        }
        during
    })?;
    let took = begun.elapsed().as_secs_f64();
    let cpu = Cpu::settle(pid, SETTLE)?.total.saturating_sub(cpu.total).as_secs_f64();
    Ok(Waiting { calls, seconds, took, cpu, bytes: during.total().saturating_sub(before.total()) })
}
