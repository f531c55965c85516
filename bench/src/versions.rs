//! Versions of scripts: what it takes to upload one, to call it for the first time, and to keep it.
//!
//! Scripts are made different from each other by a custom section, which changes their digest and
//! nothing else.

use crate::figures::{self, Spread};
use crate::load::{self, Shot};
use crate::machine::{Cpu, Machine, Resident};
use crate::server::Host;
use crate::{guests_folder, peers_folder, read_guest, table, write_json};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::Method;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const JSON: &str = "application/json";
const ARGUMENTS: &str = r#"{"name":"Ann","times":2}"#;
const MIB: f64 = 1_048_576.0;
/// How long nobody calls before the memory is looked at again: twice the time between two looks for
/// versions that nobody calls.
const REST: Duration = Duration::from_secs(25);
/// MiB of ready scripts that the host with very many of them may keep.
const BOUND: &str = "64";

/// Arguments of `versions`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Uploads and restarts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Versions that are all kept ready
    #[arg(long, default_value_t = 1_000)]
    versions: usize,
    /// Versions, more than are kept ready
    #[arg(long, default_value_t = 10_000)]
    many: usize,
    /// Few of everything: shows that it works, measures little
    #[arg(long)]
    quick: bool,
    /// Where `cargo xtask bench` installs the peers, and makes scripts of other languages
    #[arg(long)]
    peers: Option<PathBuf>,
    /// Write the report to this file as well
    #[arg(long)]
    json: Option<PathBuf>,
}

/// A script of one language. Times in milliseconds.
#[derive(Serialize)]
struct Script {
    name: &'static str,
    bytes: usize,
    /// Checked, compiled, written and answered.
    upload: Spread,
    /// The first call after that.
    pushed: Spread,
    /// The first call of a host that was started again: with the token looked up, the version
    /// found, the code read.
    restarted: Spread,
    /// The call after that.
    warm: Spread,
    /// What the first call after a restart may take.
    goal: Option<f64>,
}

/// Many versions in one host. Memory in bytes, times in milliseconds.
#[derive(Serialize)]
struct Many {
    versions: usize,
    upload: Spread,
    /// After a restart: each of them called for the first time.
    first: Calls,
    /// Each of them called once more.
    second: Calls,
    /// Of a host that was just started.
    before: Resident,
    /// With all of them called.
    after: Resident,
    /// Once more, when nobody has called any of them for a while.
    rested: Resident,
}

/// Calls one after the other, in milliseconds.
#[derive(Serialize, Clone, Copy)]
struct Calls {
    p50: f64,
    p99: f64,
}

#[derive(Serialize)]
struct Running {
    instances: usize,
    bytes_each: f64,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    rounds: usize,
    scripts: Vec<Script>,
    kept: Many,
    evicted: Many,
    running: Running,
}

/// Measures and reports.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut machine = Machine::look();
    let (rounds, kept, many, instances) = if args.quick {
        (1, 10, 20, 10)
    } else {
        (args.rounds.max(1), args.versions, args.many, 200)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let peers = args.peers.clone().unwrap_or_else(peers_folder);
    let hello = read_guest(&guests_folder(), "hello")?;

    let scripts = scripts(&runtime, &hello, &peers.join("components"), rounds)?;
    print_scripts(&scripts);
    let rest = if args.quick { Duration::from_millis(100) } else { REST };
    let wasm = |version: usize| variant(&hello, version);
    let kept = many_versions(&runtime, &[], kept, rest, &wasm)?;
    let small = wat::parse_str(SMALL)?;
    let evicted = many_versions(&runtime, &["--warm-scripts", BOUND], many, rest, &|version| {
        variant(&small, version)
    })?;
    print_many(&kept, &evicted);
    let running = running(&runtime, instances)?;
    println!(
        "{} running instances: {:.0} KiB each\n",
        running.instances,
        running.bytes_each / 1024.0
    );
    machine.close();
    println!("{rounds} rounds; medians (smallest to largest)");
    write_json(args.json.as_deref(), &Report { machine, rounds, scripts, kept, evicted, running })
}

/// A script that is quickly compiled: the length of a text.
const SMALL: &str = r#"(component
    (core module $m
        (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
        (func (export "main") (param i32 i32 i32 i32) (result i32) (local.get 1)))
    (core instance $i (instantiate $m))
    (func (export "main") (param "name" string) (param "times" (option u32)) (result u32)
        (canon lift (core func $i "main") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#;

/// The same script under another digest: with a custom section that nobody reads.
fn variant(wasm: &[u8], version: usize) -> Bytes {
    const NAME: &[u8] = b"variant";
    let text = format!("{version:012}");
    let mut bytes = wasm.to_vec();
    // Section 0, its length, its name with that one's length: all of them below 128, and so one
    // byte each.
    bytes.extend([0, (1 + NAME.len() + text.len()) as u8, NAME.len() as u8]);
    bytes.extend(NAME);
    bytes.extend(text.as_bytes());
    bytes.into()
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn call(host: &Host, path: &str) -> Shot {
    host.shot(Method::POST, &format!("jobs/run_wait_result/p/{path}"), JSON, ARGUMENTS)
}

/// Milliseconds until the answer is there.
fn ask(runtime: &Runtime, host: &Host, shot: &Shot) -> Result<f64> {
    let begun = Instant::now();
    host.ask(runtime, shot)?;
    Ok(millis(begun.elapsed()))
}

/// Uploads, first calls and first calls after a restart of scripts in several languages.
fn scripts(
    runtime: &Runtime,
    hello: &[u8],
    components: &Path,
    rounds: usize,
) -> Result<Vec<Script>> {
    let mut sources = vec![("Rust", "rust", hello.to_vec(), Some(5.0))];
    for (name, path, file) in [
        ("JavaScript (qjs)", "qjs", "hello-qjs"),
        ("JavaScript (starling)", "starling", "hello-starling"),
        ("Python", "python", "hello-python"),
    ] {
        match std::fs::read(components.join(format!("{file}.wasm"))) {
            Ok(wasm) => sources.push((name, path, wasm, Some(30.0))),
            Err(_) => {
                println!("left out, for it is not made: {name}; `cargo xtask bench` makes it")
            }
        }
    }
    let mut scripts = Vec::new();
    for (name, path, wasm, goal) in sources {
        let mut host = Host::start(None, &[])?;
        let (mut upload, mut pushed, mut restarted, mut warm) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for round in 0..rounds {
            let path = format!("u/admin/{path}_{round}");
            let begun = Instant::now();
            host.deploy(runtime, "main", &path, variant(&wasm, round))?;
            upload.push(millis(begun.elapsed()));
            pushed.push(ask(runtime, &host, &call(&host, &path))?);
            host = host.restart()?;
            // What a host does when it starts is not the call's.
            Cpu::settle(host.server().pid(), Duration::from_secs(2))?;
            let shot = call(&host, &path);
            restarted.push(ask(runtime, &host, &shot)?);
            warm.push(ask(runtime, &host, &shot)?);
        }
        let [upload, pushed, restarted, warm] =
            [upload, pushed, restarted, warm].map(figures::spread);
        scripts.push(Script { name, bytes: wasm.len(), upload, pushed, restarted, warm, goal });
    }
    Ok(scripts)
}

/// Uploads many versions, starts the host again, and calls each of them twice.
fn many_versions(
    runtime: &Runtime,
    arguments: &[&str],
    versions: usize,
    rest: Duration,
    wasm: &dyn Fn(usize) -> Bytes,
) -> Result<Many> {
    let host = Host::start(None, arguments)?;
    let mut uploads = Vec::new();
    for version in 0..versions {
        let begun = Instant::now();
        host.deploy(runtime, "main", &format!("u/admin/v{version}"), wasm(version))?;
        uploads.push(millis(begun.elapsed()));
    }
    let host = host.restart()?;
    let before = Resident::of(host.server().pid())?;
    let calls = || -> Result<Calls> {
        let mut nanos = Vec::with_capacity(versions);
        for version in 0..versions {
            let shot = call(&host, &format!("u/admin/v{version}"));
            nanos.push((ask(runtime, &host, &shot)? * 1e6) as u64);
        }
        let times = figures::times(&mut nanos);
        Ok(Calls { p50: times.p50 / 1e3, p99: times.p99 / 1e3 })
    };
    let first = calls()?;
    let after = Resident::of(host.server().pid())?;
    let second = calls()?;
    std::thread::sleep(rest);
    let rested = Resident::of(host.server().pid())?;
    Ok(Many { versions, upload: figures::spread(uploads), first, second, before, after, rested })
}

/// How much more memory a host has with many runs that wait.
fn running(runtime: &Runtime, instances: usize) -> Result<Running> {
    const SECONDS: u64 = 3;
    let host = Host::start(None, &[])?;
    host.deploy(runtime, "main", "u/admin/slow", read_guest(&guests_folder(), "slow")?)?;
    let shot = |seconds: u64| {
        host.shot(
            Method::POST,
            "jobs/run_wait_result/p/u/admin/slow",
            JSON,
            format!("{{\"seconds\":{seconds}}}"),
        )
    };
    host.ask(runtime, &shot(0))?;
    let (pid, address, slow) = (host.server().pid(), host.server().address, shot(SECONDS));
    let before = Resident::of(pid)?;
    let during = runtime.block_on(async {
        let mut calls = JoinSet::new();
        for _ in 0..instances {
            let slow = slow.clone();
            calls.spawn(async move { load::once(address, &slow).await });
        }
        tokio::time::sleep(Duration::from_millis(SECONDS * 1000 / 2)).await;
        let during = Resident::of(pid);
        while let Some(answer) = calls.join_next().await {
            let answer = answer.context("a caller failed")??;
            ensure!(answer.status.is_success(), "a slow call is answered {answer:?}");
        }
        during
    })?;
    let bytes_each = during.total().saturating_sub(before.total()) as f64 / instances as f64;
    Ok(Running { instances, bytes_each })
}

fn print_scripts(scripts: &[Script]) {
    let cell =
        |spread: Spread| format!("{:.1} ({:.1}..{:.1})", spread.median, spread.min, spread.max);
    let lines: Vec<[String; 7]> = scripts
        .iter()
        .map(|script| {
            [
                script.name.to_owned(),
                format!("{:.0}", script.bytes as f64 / 1024.0),
                cell(script.upload),
                cell(script.pushed),
                cell(script.restarted),
                cell(script.warm),
                script.goal.map_or_else(String::new, |goal| {
                    format!(
                        "below {goal:.0}: {}",
                        if script.restarted.median < goal { "met" } else { "not met" }
                    )
                }),
            ]
        })
        .collect();
    table::print(
        [
            "milliseconds",
            "KiB",
            "upload",
            "first call, pushed",
            "first call, restarted",
            "next call",
            "restarted",
        ],
        &lines,
    );
}

fn print_many(kept: &Many, evicted: &Many) {
    let lines =
        [("kept ready", kept), ("more than are kept ready", evicted)].map(|(name, many)| {
            [
                format!("{} versions, {name}", many.versions),
                format!("{:.1}", many.upload.median),
                format!("{:.2} / {:.2}", many.first.p50, many.first.p99),
                format!("{:.2} / {:.2}", many.second.p50, many.second.p99),
                format!("{:.0}", many.before.total() as f64 / MIB),
                format!("{:.0}", many.after.total() as f64 / MIB),
                format!("{:.0}", many.after.anonymous as f64 / MIB),
                format!("{:.0}", many.rested.total() as f64 / MIB),
                format!(
                    "{:.0}",
                    (many.after.total().saturating_sub(many.before.total())) as f64
                        / 1024.0
                        / many.versions.max(1) as f64
                ),
            ]
        });
    let head = [
        "",
        "upload ms",
        "first call ms p50/p99",
        "second",
        "MiB started",
        "MiB called",
        "of it not files",
        "MiB at rest",
        "KiB each",
    ];
    table::print(head, &lines);
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill_core::limits::CompileLimits;

    #[test]
    fn variants_are_modules_of_their_own() {
        let small = wat::parse_str(SMALL).unwrap();
        assert_ne!(variant(&small, 1), variant(&small, 2));
        let read =
            wasmill_sandbox::inspect(&variant(&small, 7), &CompileLimits::default()).unwrap();
        assert_eq!(read.kind, wasmill_core::Kind::Typed);
    }
}
