//! `hello` on the host beside what people would take instead: servers of other makes, and a process
//! for each call.
//!
//! Servers are on processor 0 and the load is on processor 1, unless there is only one. A peer that
//! is not installed is left out, and that is said: `cargo xtask bench` installs them all.

use crate::cell::{self, Cell, Figures, Round};
use crate::figures::{self, Spread};
use crate::load::{self, Answer, Expect, Shot};
use crate::machine::{self, Machine};
use crate::server::{self, Host, Says, Server};
use crate::{guests_folder, peers_folder, read_guest, table, write_json};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Serialize;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use tokio::runtime::Runtime;

const JSON: &str = "application/json";
const ARGUMENTS: &str = r#"{"name":"Ann","times":2}"#;
const ANSWER: &str = r#"{"greeting":"Hello Ann! Hello Ann!","times":2}"#;
/// Connections at the same time, in the order of the tables.
const CONNECTIONS: [usize; 3] = [1, 32, 256];

/// Arguments of `peers`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Rounds over everything that is measured
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds of load on each server in a round
    #[arg(long, default_value_t = 1.5)]
    seconds: f64,
    /// One short round: shows that it works, measures little
    #[arg(long)]
    quick: bool,
    /// Only these rows, for a profiler: their names in the report
    #[arg(long)]
    only: Vec<Peer>,
    /// Only so many connections
    #[arg(long)]
    connections: Option<usize>,
    /// Where `cargo xtask bench` installs the peers
    #[arg(long)]
    peers: Option<PathBuf>,
    /// Write the report to this file as well
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Peer {
    /// A server without WebAssembly.
    Hyper,
    /// The same with a bare engine behind it: a fresh instance for each request, but no token,
    /// record or limits.
    HyperEngine,
    /// The host, Rust.
    Wasmill,
    /// The same script with a line of log, which none of the others writes.
    WasmillLog,
    /// `wasmtime serve` as it comes, the same logic as a `wasi:http` component.
    Serve,
    /// The same with the host's settings of the allocator.
    ServeTuned,
    /// workerd, JavaScript, one isolate for all requests.
    Workerd,
    /// The host, JavaScript made with componentize-qjs.
    WasmillQjs,
    /// The host, JavaScript made with componentize-js.
    WasmillStarling,
    /// The host, Python made with componentize-py.
    WasmillPython,
    /// A process of bun for each call.
    Bun,
    /// A process of deno for each call.
    Deno,
    /// A process of Python for each call.
    Python,
}

impl Peer {
    fn words(self) -> &'static str {
        match self {
            Self::Hyper => "bare hyper",
            Self::HyperEngine => "hyper + bare engine",
            Self::Wasmill => "wasmill, Rust",
            Self::WasmillLog => "wasmill, Rust, with a log",
            Self::Serve => "wasmtime serve",
            Self::ServeTuned => "wasmtime serve, tuned",
            Self::Workerd => "workerd, JavaScript",
            Self::WasmillQjs => "wasmill, JavaScript (qjs)",
            Self::WasmillStarling => "wasmill, JavaScript (starling)",
            Self::WasmillPython => "wasmill, Python",
            Self::Bun => "process: bun",
            Self::Deno => "process: deno",
            Self::Python => "process: python",
        }
    }
}

/// What was installed, and where.
struct Installed {
    folder: PathBuf,
    /// What they run.
    sources: PathBuf,
    guests: PathBuf,
    processor: Option<usize>,
}

impl Installed {
    fn component(&self, name: &str) -> PathBuf {
        self.folder.join("components").join(format!("{name}.wasm"))
    }

    /// The program behind a package's name, not its wrapper.
    fn node(&self, path: &str) -> PathBuf {
        self.folder.join("node/node_modules").join(path)
    }

    /// The settings of the pooling allocator that the host uses.
    fn serve(&self, tuned: bool) -> Result<Server> {
        let mut command = server::program(&self.folder.join("cargo/bin/wasmtime"), self.processor);
        command.args(["serve", "--addr", "127.0.0.1:0", "-S", "cli"]);
        if tuned {
            command.args(["-O", "pooling-allocator=y,pooling-memory-keep-resident=1048576,pooling-table-keep-resident=131072"]);
            command.args(["-O", "pooling-pagemap-scan=auto,pooling-max-unused-warm-slots=256"]);
        }
        command.arg(self.component("serve"));
        Server::start(command, Says::Stderr)
    }

    fn workerd(&self) -> Result<Server> {
        let mut command =
            server::program(&self.node("@cloudflare/workerd-linux-64/bin/workerd"), self.processor);
        command
            .args(["serve", "--socket-addr", "http=127.0.0.1:0", "--control-fd=1"])
            .arg(self.sources.join("workerd.capnp"));
        Server::start(command, Says::Stdout)
    }

    /// A program that does one call.
    fn process(&self, peer: Peer) -> (PathBuf, Vec<PathBuf>) {
        match peer {
            Peer::Bun => (
                self.node("@oven/bun-linux-x64/bin/bun"),
                vec!["run".into(), self.sources.join("process.mjs")],
            ),
            Peer::Deno => (
                self.node("@deno/linux-x64-glibc/deno"),
                vec!["run".into(), self.sources.join("process.mjs")],
            ),
            _ => ("python3".into(), vec![self.sources.join("process.py")]),
        }
    }
}

/// The servers of one run.
struct Servers {
    host: Host,
    others: Vec<(Peer, Server)>,
    scripts: Vec<Peer>,
    missing: Vec<&'static str>,
}

impl Servers {
    fn start(
        runtime: &Runtime,
        installed: &Installed,
        wanted: &dyn Fn(Peer) -> bool,
    ) -> Result<Self> {
        let host = Host::start(installed.processor, &[])?;
        let (mut scripts, mut others, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for (peer, guest) in [(Peer::Wasmill, crate::QUIET), (Peer::WasmillLog, "hello")] {
            host.deploy(
                runtime,
                "main",
                &format!("u/admin/{}", route(peer)),
                read_guest(&installed.guests, guest)?,
            )?;
            scripts.push(peer);
        }
        for (peer, name) in [
            (Peer::WasmillQjs, "hello-qjs"),
            (Peer::WasmillStarling, "hello-starling"),
            (Peer::WasmillPython, "hello-python"),
        ] {
            if !wanted(peer) {
                continue;
            }
            match std::fs::read(installed.component(name)) {
                Ok(wasm) => {
                    host.deploy(runtime, "main", &format!("u/admin/{}", route(peer)), wasm)?;
                    scripts.push(peer);
                }
                Err(_) => missing.push(peer.words()),
            }
        }
        let hello = installed.guests.join(crate::QUIET).with_extension("wasm");
        let mut start = |peer: Peer,
                         needs: Option<PathBuf>,
                         start: &dyn Fn() -> Result<Server>|
         -> Result<()> {
            if wanted(peer) {
                match needs {
                    Some(needs) if !needs.exists() => missing.push(peer.words()),
                    _ => others.push((peer, start()?)),
                }
            }
            Ok(())
        };
        start(Peer::Hyper, None, &|| server::bare(installed.processor, None))?;
        start(Peer::HyperEngine, None, &|| server::bare(installed.processor, Some(&hello)))?;
        let wasmtime = installed.folder.join("cargo/bin/wasmtime");
        start(Peer::Serve, Some(wasmtime.clone()), &|| installed.serve(false))?;
        start(Peer::ServeTuned, Some(wasmtime), &|| installed.serve(true))?;
        start(
            Peer::Workerd,
            Some(installed.node("@cloudflare/workerd-linux-64/bin/workerd")),
            &|| installed.workerd(),
        )?;
        Ok(Self { host, others, scripts, missing })
    }

    /// What to measure: every server with every number of connections.
    fn cells(
        &self,
        runtime: &Runtime,
        wanted: &dyn Fn(Peer) -> bool,
        connections: &[usize],
    ) -> Result<Vec<Cell<'_, Peer>>> {
        let scripts = self.scripts.iter().map(|peer| {
            let call = format!("jobs/run_wait_result/p/u/admin/{}", route(*peer));
            (*peer, self.host.server(), self.host.shot(Method::POST, &call, JSON, ARGUMENTS))
        });
        let plain = Shot {
            method: Method::POST,
            path: "/".into(),
            token: None,
            content_type: JSON,
            body: Bytes::from_static(ARGUMENTS.as_bytes()),
        };
        let mut rows: Vec<_> = self
            .others
            .iter()
            .map(|(peer, server)| (*peer, server, plain.clone()))
            .chain(scripts)
            .collect();
        rows.retain(|(peer, ..)| wanted(*peer));
        rows.sort_by_key(|(peer, ..)| *peer);
        let mut cells = Vec::new();
        for &connections in connections {
            for (peer, server, shot) in &rows {
                let answer = runtime
                    .block_on(load::once(server.address, shot))
                    .with_context(|| format!("{peer:?}"))?;
                ensure!(
                    answer.status == StatusCode::OK && answer.body == ANSWER,
                    "{peer:?} answers {answer:?}"
                );
                let expect = Expect::Exactly(Answer {
                    status: StatusCode::OK,
                    body: Bytes::from_static(ANSWER.as_bytes()),
                });
                cells.push(Cell {
                    key: *peer,
                    server,
                    shot: shot.clone(),
                    expect,
                    connections,
                    share: 1.0,
                    rounds: Vec::new(),
                });
            }
        }
        Ok(cells)
    }
}

/// The last word of a script's path.
fn route(peer: Peer) -> &'static str {
    match peer {
        Peer::WasmillQjs => "qjs",
        Peer::WasmillStarling => "starling",
        Peer::WasmillPython => "python",
        Peer::WasmillLog => "wasmill-log",
        _ => "wasmill",
    }
}

/// Calls that start a process each.
struct Processes {
    peer: Peer,
    program: PathBuf,
    arguments: Vec<PathBuf>,
    processor: Option<usize>,
    rounds: Vec<ProcessRound>,
}

struct ProcessRound {
    rate: f64,
    cpu: f64,
}

impl Processes {
    fn once(&self) -> Result<()> {
        let mut command = server::program(&self.program, self.processor);
        let mut child = command
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        child.stdin.take().context("it has no input")?.write_all(ARGUMENTS.as_bytes())?;
        let output = child.wait_with_output()?;
        ensure!(
            output.stdout.trim_ascii() == ANSWER.as_bytes(),
            "{:?} answers {}",
            self.peer,
            String::from_utf8_lossy(&output.stdout)
        );
        Ok(())
    }

    fn measure(&self, calls: usize) -> Result<ProcessRound> {
        let (begun, cpu) = (Instant::now(), machine::children_time());
        for _ in 0..calls {
            self.once()?;
        }
        let elapsed = begun.elapsed().as_secs_f64();
        Ok(ProcessRound {
            rate: calls as f64 / elapsed,
            cpu: (machine::children_time() - cpu).as_secs_f64() * 1e6 / calls as f64,
        })
    }
}

#[derive(Serialize)]
struct Row {
    peer: Peer,
    name: &'static str,
    #[serde(flatten)]
    figures: Figures,
}

#[derive(Serialize)]
struct ProcessRow {
    peer: Peer,
    name: &'static str,
    rate: Spread,
    cpu_us: Spread,
}

/// A figure of one server against another's of the same round.
#[derive(Serialize)]
struct Ratio {
    ratio: String,
    connections: usize,
    /// What is hoped for, in words.
    goal: Option<String>,
    value: Spread,
    met: Option<bool>,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    rounds: usize,
    seconds: f64,
    pinned: bool,
    missing: Vec<&'static str>,
    rows: Vec<Row>,
    processes: Vec<ProcessRow>,
    ratios: Vec<Ratio>,
}

/// Measures and reports.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut machine = Machine::look();
    let (rounds, seconds) = if args.quick { (1, 0.3) } else { (args.rounds.max(1), args.seconds) };
    let pinned = machine.processors > 1;
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let installed = Installed {
        folder: args.peers.clone().unwrap_or_else(peers_folder),
        sources,
        guests: guests_folder(),
        processor: pinned.then_some(0),
    };
    let wanted = |peer: Peer| args.only.is_empty() || args.only.contains(&peer);
    let runtime = cell::runtime(pinned)?;
    let mut servers = Servers::start(&runtime, &installed, &wanted)?;
    let connections: Vec<usize> =
        args.connections.map_or_else(|| CONNECTIONS.to_vec(), |only| vec![only]);
    let mut missing = std::mem::take(&mut servers.missing);
    let mut cells = servers.cells(&runtime, &wanted, &connections)?;
    cell::measure(&runtime, &mut cells, rounds, seconds)?;
    let processes =
        processes(&installed, &wanted, rounds, if args.quick { 2 } else { 20 }, &mut missing)?;
    let ratios = ratios(&cells, &processes);
    let rows: Vec<Row> = cells
        .iter()
        .map(|cell| Row { peer: cell.key, name: cell.key.words(), figures: cell.figures() })
        .collect();
    let processes: Vec<ProcessRow> = processes
        .iter()
        .map(|process| ProcessRow {
            peer: process.peer,
            name: process.peer.words(),
            rate: figures::spread(process.rounds.iter().map(|round| round.rate)),
            cpu_us: figures::spread(process.rounds.iter().map(|round| round.cpu)),
        })
        .collect();
    print(&connections, &rows, &processes, &ratios);
    if !missing.is_empty() {
        println!(
            "not installed and left out: {}; `cargo xtask bench` installs them\n",
            missing.join(", ")
        );
    }
    machine.close();
    println!(
        "{rounds} rounds of {seconds} s{}; medians over the rounds, ratios taken within each round",
        if pinned { ", pinned" } else { "" }
    );
    write_json(
        args.json.as_deref(),
        &Report { machine, rounds, seconds, pinned, missing, rows, processes, ratios },
    )
}

/// Measures a process for each call, one call after the other.
fn processes(
    installed: &Installed,
    wanted: &dyn Fn(Peer) -> bool,
    rounds: usize,
    calls: usize,
    missing: &mut Vec<&'static str>,
) -> Result<Vec<Processes>> {
    let mut all = Vec::new();
    for peer in [Peer::Bun, Peer::Deno, Peer::Python].into_iter().filter(|peer| wanted(*peer)) {
        let (program, arguments) = installed.process(peer);
        if Command::new(&program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_err()
        {
            missing.push(peer.words());
            continue;
        }
        let process = Processes {
            peer,
            program,
            arguments,
            processor: installed.processor,
            rounds: Vec::new(),
        };
        process.once()?;
        all.push(process);
    }
    for _ in 0..rounds {
        for process in &mut all {
            process.rounds.push(process.measure(calls)?);
        }
    }
    Ok(all)
}

/// The comparisons that decide, each within its rounds.
fn ratios(cells: &[Cell<'_, Peer>], processes: &[Processes]) -> Vec<Ratio> {
    let find = |peer: Peer, connections: usize| {
        cells.iter().find(|cell| cell.key == peer && cell.connections == connections)
    };
    let p99 = |round: &Round| round.volley.times.p99;
    let mut ratios = Vec::new();
    let at_least = |value: Spread, least: f64| {
        (Some(format!("at least {least}")), Some(value.median >= least))
    };
    for connections in CONNECTIONS {
        // Goals are for 32 connections.
        let goal = |least: f64| (connections == 32).then_some(least);
        for (ours, theirs, least) in [
            (Peer::Wasmill, Peer::Serve, goal(3.0)),
            (Peer::Wasmill, Peer::ServeTuned, goal(2.5)),
            (Peer::Wasmill, Peer::Hyper, goal(0.5)),
            (Peer::Wasmill, Peer::Workerd, None),
            (Peer::Wasmill, Peer::HyperEngine, None),
            (Peer::WasmillQjs, Peer::Workerd, goal(1.0)),
            (Peer::WasmillStarling, Peer::Workerd, None),
        ] {
            let (Some(a), Some(b)) = (find(ours, connections), find(theirs, connections)) else {
                continue;
            };
            let value = figures::ratios(&a.rates(), &b.rates());
            let (goal, met) = least.map_or((None, None), |least| at_least(value, least));
            ratios.push(Ratio {
                ratio: format!("throughput: {} / {}", ours.words(), theirs.words()),
                connections,
                goal,
                value,
                met,
            });
        }
        if let (Some(ours), Some(bare)) =
            (find(Peer::Wasmill, connections), find(Peer::Hyper, connections))
        {
            let value = figures::ratios(&ours.each(p99), &bare.each(p99));
            let (goal, met) = if connections == 32 {
                (Some("at most 3".to_owned()), Some(value.median <= 3.0))
            } else {
                (None, None)
            };
            ratios.push(Ratio {
                ratio: format!("p99: {} / {}", Peer::Wasmill.words(), Peer::Hyper.words()),
                connections,
                goal,
                value,
                met,
            });
        }
    }
    for process in processes {
        let ours =
            if process.peer == Peer::Python { Peer::WasmillPython } else { Peer::WasmillQjs };
        let Some(cell) = find(ours, 1) else { continue };
        let value = figures::ratios(
            &cell.rates(),
            &process.rounds.iter().map(|round| round.rate).collect::<Vec<_>>(),
        );
        let (goal, met) =
            if ours == Peer::WasmillQjs { at_least(value, 100.0) } else { (None, None) };
        ratios.push(Ratio {
            ratio: format!("throughput: {} / {}", ours.words(), process.peer.words()),
            connections: 1,
            goal,
            value,
            met,
        });
    }
    ratios
}

fn print(connections: &[usize], rows: &[Row], processes: &[ProcessRow], ratios: &[Ratio]) {
    let whole =
        |spread: Spread| format!("{:.0} ({:.0}..{:.0})", spread.median, spread.min, spread.max);
    let fine =
        |spread: Spread| format!("{:.1} ({:.1}..{:.1})", spread.median, spread.min, spread.max);
    for &connections in connections {
        let lines: Vec<[String; 5]> = rows
            .iter()
            .filter(|row| row.figures.connections == connections)
            .map(|Row { name, figures, .. }| {
                [
                    (*name).to_owned(),
                    whole(figures.rate),
                    whole(figures.p50_us),
                    whole(figures.p99_us),
                    fine(figures.cpu_us),
                ]
            })
            .collect();
        let head = format!("{connections} connection{}", if connections == 1 { "" } else { "s" });
        table::print(
            [&head, "requests/s (min..max)", "p50 µs", "p99 µs", "cpu µs/request"],
            &lines,
        );
    }
    if !processes.is_empty() {
        let lines: Vec<[String; 3]> = processes
            .iter()
            .map(|row| [row.name.to_owned(), fine(row.rate), whole(row.cpu_us)])
            .collect();
        table::print(["one after the other", "calls/s (min..max)", "cpu µs/call"], &lines);
    }
    let lines: Vec<[String; 5]> = ratios
        .iter()
        .map(|ratio| {
            [
                ratio.ratio.clone(),
                ratio.connections.to_string(),
                format!(
                    "{:.2} ({:.2}..{:.2})",
                    ratio.value.median, ratio.value.min, ratio.value.max
                ),
                ratio.goal.clone().unwrap_or_default(),
                ratio.met.map_or("", |met| if met { "met" } else { "not met" }).to_owned(),
            ]
        })
        .collect();
    table::print(["ratio", "connections", "median (min..max)", "goal", ""], &lines);
}
