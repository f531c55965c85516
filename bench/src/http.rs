//! Requests to the real host beside the same to a server without WebAssembly, and to routes that do
//! part of the work.
//!
//! The rate depends on who else uses the processors, and on this program, which takes its share of
//! them. What a server spends of processor time on a request depends on neither, so that is the
//! figure to compare; the rate is shown as well.

use crate::cell::{self, Cell, Figures, Round};
use crate::figures::{self, Spread};
use crate::load::{Expect, Shot};
use crate::machine::Machine;
use crate::server::{Host, Server};
use crate::{guests_folder, load, read_guest, server, table, write_json};
use anyhow::{Result, ensure};
use bytes::Bytes;
use clap::ValueEnum;
use http::{Method, StatusCode};
use serde::Serialize;
use std::path::PathBuf;

const JSON: &str = "application/json";
const ARGUMENTS: &str = r#"{"name":"Ann","times":2}"#;
/// Where `hello` is called.
const CALL: &str = "jobs/run_wait_result/p/u/admin/hello";
/// And where its twin with a concurrency limit is.
const LIMITED: &str = "jobs/run_wait_result/p/u/admin/limited";

/// Arguments of `http`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Rounds over everything that is measured
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of load on each server in a round; the partial routes get half of it
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Few short rounds: shows that it works, measures little
    #[arg(long)]
    quick: bool,
    /// Put the servers on processor 0 and the load on processor 1, by taskset
    #[arg(long)]
    pin: bool,
    /// Also a host that answers after the run's record is on disk
    #[arg(long)]
    durable_sync: bool,
    /// Only these, for a profiler; without layers then
    #[arg(long, value_enum)]
    only: Vec<Name>,
    /// Where the compiled scripts are
    #[arg(long)]
    guests: Option<PathBuf>,
    /// Write the report to this file as well
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Name {
    /// The server without WebAssembly.
    Bare,
    /// The host, a whole synchronous call.
    Call,
    /// The same, answered after the record is on disk.
    CallDurable,
    /// A synchronous call that goes by the queue, as those of scripts with a concurrency limit do:
    /// queued, synced, claimed, run, stored as over, synced, answered.
    ByQueue,
    /// `GET /api/version`: the front end alone.
    Version,
    /// HEAD on the webhook: and token, version, rights.
    Probe,
    /// A body that breaks off: and reading the body, looking for the arguments.
    BrokenBody,
    /// An argument of another type than `hello` takes: and everything of a call but the instance.
    WrongArgument,
    /// An asynchronous call, and the run that follows.
    Enqueue,
}

impl Name {
    fn words(self) -> &'static str {
        match self {
            Self::Bare => "bare hyper",
            Self::Call => "wasmill, hello",
            Self::CallDurable => "wasmill, hello, durable",
            Self::ByQueue => "hello, by the queue",
            Self::Version => "GET version",
            Self::Probe => "HEAD hello",
            Self::BrokenBody => "hello, broken body",
            Self::WrongArgument => "hello, wrong argument",
            Self::Enqueue => "hello, queued and run",
        }
    }
}

#[derive(Serialize)]
struct Row {
    measured: Name,
    #[serde(flatten)]
    figures: Figures,
    /// Rate against the bare server's of the same round.
    rate_ratio: Spread,
    /// Processor time against the bare server's of the same round.
    cpu_ratio: Spread,
}

/// A layer of a call and its processor time.
#[derive(Serialize)]
struct Layer {
    layer: &'static str,
    cpu_us: Spread,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    rounds: usize,
    seconds: f64,
    pinned: bool,
    figures: Vec<Row>,
    layers: Vec<Layer>,
    /// What token, rights and the writing of the record are of a call's processor time.
    share: Spread,
}

/// Measures and reports.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut machine = Machine::look();
    let (rounds, seconds) = if args.quick { (1, 0.5) } else { (args.rounds.max(1), args.seconds) };
    let processor = args.pin.then_some(0);
    let runtime = cell::runtime(args.pin)?;
    let wasm = read_guest(&args.guests.clone().unwrap_or_else(guests_folder), crate::QUIET)?;
    let start = |arguments: &[&str]| -> Result<Host> {
        let host = Host::start(processor, arguments)?;
        host.deploy(&runtime, "main", "u/admin/hello", wasm.clone())?;
        // A thousand of it may run at once.
        host.deploy(&runtime, "main", "u/admin/limited?concurrent_limit=1000", wasm.clone())?;
        Ok(host)
    };
    let host = start(&[])?;
    let durable = args.durable_sync.then(|| start(&["--durable-sync"])).transpose()?;
    let bare = server::bare(processor, None)?;
    let mut cells = cells(&runtime, &bare, &host, durable.as_ref())?;
    cells.retain(|cell| args.only.is_empty() || args.only.contains(&cell.key));
    cell::measure(&runtime, &mut cells, rounds, seconds)?;
    let rows = rows(&cells);
    let layers = if args.only.is_empty() { layers(&cells) } else { Vec::new() };
    print(&rows, &layers);
    let share = share(&cells);
    if !layers.is_empty() {
        println!(
            "token and rights, and the record written: {:.2} ({:.2}..{:.2}) of a call\n",
            share.median, share.min, share.max
        );
    }
    machine.close();
    println!(
        "{rounds} rounds of {seconds} s{}; medians over the rounds, ratios taken within each round",
        if args.pin { ", pinned" } else { "" }
    );
    write_json(
        args.json.as_deref(),
        &Report { machine, rounds, seconds, pinned: args.pin, figures: rows, layers, share },
    )
}

fn cells<'a>(
    runtime: &tokio::runtime::Runtime,
    bare: &'a Server,
    host: &'a Host,
    durable: Option<&'a Host>,
) -> Result<Vec<Cell<'a, Name>>> {
    let call = host.shot(Method::POST, CALL, JSON, ARGUMENTS);
    let plain = |method, path: &str, body: &'static str| Shot {
        method,
        path: path.into(),
        token: None,
        content_type: JSON,
        body: Bytes::from_static(body.as_bytes()),
    };
    let mut wanted: Vec<(Name, &'a Server, Shot, usize, f64)> = Vec::new();
    for connections in [1, 32] {
        wanted.push((Name::Bare, bare, plain(Method::POST, "/", ARGUMENTS), connections, 1.0));
        wanted.push((Name::Call, host.server(), call.clone(), connections, 1.0));
        if let Some(durable) = durable {
            wanted.push((
                Name::CallDurable,
                durable.server(),
                durable.shot(Method::POST, CALL, JSON, ARGUMENTS),
                connections,
                1.0,
            ));
        }
    }
    // One after the other: how long a job takes on a host that has nothing else to do.
    wanted.push((
        Name::ByQueue,
        host.server(),
        host.shot(Method::POST, LIMITED, JSON, ARGUMENTS),
        1,
        0.5,
    ));
    let partial = [
        (Name::Version, plain(Method::GET, "/api/version", ""), 0.5),
        (Name::Probe, host.shot(Method::HEAD, CALL, JSON, ""), 0.5),
        (Name::BrokenBody, host.shot(Method::POST, CALL, JSON, r#"{"name":"Ann","times":2"#), 0.5),
        (
            Name::WrongArgument,
            host.shot(Method::POST, CALL, JSON, r#"{"name":"Ann","times":[]}"#),
            0.5,
        ),
        // Less of it: what is queued faster than it runs is waited for.
        (Name::Enqueue, host.shot(Method::POST, "jobs/run/p/u/admin/hello", JSON, ARGUMENTS), 0.2),
    ];
    wanted.extend(
        partial.into_iter().map(|(name, shot, share)| (name, host.server(), shot, 32, share)),
    );
    wanted
        .into_iter()
        .map(|(name, server, shot, connections, share)| {
            let answer = runtime.block_on(load::once(server.address, &shot))?;
            let status = match name {
                Name::BrokenBody => StatusCode::BAD_REQUEST,
                Name::Enqueue => StatusCode::CREATED,
                _ => StatusCode::OK,
            };
            ensure!(
                answer.status == status,
                "{name:?} is answered with {} {}",
                answer.status,
                String::from_utf8_lossy(&answer.body)
            );
            let greets =
                matches!(name, Name::Bare | Name::Call | Name::CallDurable | Name::ByQueue);
            let expected = r#"{"greeting":"Hello Ann! Hello Ann!","times":2}"#;
            ensure!(
                !greets || answer.body == expected,
                "{name:?} answers {}",
                String::from_utf8_lossy(&answer.body)
            );
            let expect = if name == Name::Enqueue {
                Expect::Status(status)
            } else {
                Expect::Exactly(answer)
            };
            Ok(Cell { key: name, server, shot, expect, connections, share, rounds: Vec::new() })
        })
        .collect()
}

fn rows(cells: &[Cell<'_, Name>]) -> Vec<Row> {
    let of = |cell: &Cell<'_, Name>| {
        let bare = cells
            .iter()
            .find(|other| other.key == Name::Bare && other.connections == cell.connections);
        let ratio = |figure: &dyn Fn(&Round) -> f64| {
            figures::ratios(
                &cell.each(figure),
                &bare.map(|bare| bare.each(figure)).unwrap_or_default(),
            )
        };
        Row {
            measured: cell.key,
            figures: cell.figures(),
            rate_ratio: ratio(&|round| round.volley.rate),
            cpu_ratio: ratio(&|round| round.cpu),
        }
    };
    cells.iter().map(of).collect()
}

/// A figure of each round of a row, under 32 connections.
fn each(cells: &[Cell<'_, Name>], name: Name, figure: &dyn Fn(&Round) -> f64) -> Vec<f64> {
    cells
        .iter()
        .find(|cell| cell.key == name && cell.connections == 32)
        .map(|cell| cell.each(figure))
        .unwrap_or_default()
}

/// Processor time without the writer's, whose share is a layer of its own.
fn front(round: &Round) -> f64 {
    round.cpu - round.writer
}

/// What each part of a call takes, from the differences between routes that do more and more of it,
/// within each round.
fn layers(cells: &[Cell<'_, Name>]) -> Vec<Layer> {
    let each = |name: Name, figure: &dyn Fn(&Round) -> f64| each(cells, name, figure);
    let between = |less: Name, more: Name| {
        figures::spread(
            each(more, &front).iter().zip(each(less, &front)).map(|(more, less)| more - less),
        )
    };
    vec![
        Layer {
            layer: "bare hyper, for comparison",
            cpu_us: figures::spread(each(Name::Bare, &|round| round.cpu)),
        },
        Layer { layer: "HTTP and route", cpu_us: figures::spread(each(Name::Version, &front)) },
        Layer { layer: "token, version, rights", cpu_us: between(Name::Version, Name::Probe) },
        Layer { layer: "body and arguments", cpu_us: between(Name::Probe, Name::BrokenBody) },
        Layer {
            layer: "call, answer, record made",
            cpu_us: between(Name::BrokenBody, Name::WrongArgument),
        },
        Layer { layer: "instance", cpu_us: between(Name::WrongArgument, Name::Call) },
        Layer {
            layer: "record written",
            cpu_us: figures::spread(each(Name::Call, &|round| round.writer)),
        },
        Layer {
            layer: "all of a call",
            cpu_us: figures::spread(each(Name::Call, &|round| round.cpu)),
        },
    ]
}

/// Token, rights and the writing of the record as a part of a call, within each round.
fn share(cells: &[Cell<'_, Name>]) -> Spread {
    let each = |name: Name, figure: &dyn Fn(&Round) -> f64| each(cells, name, figure);
    let token = each(Name::Probe, &front)
        .into_iter()
        .zip(each(Name::Version, &front))
        .map(|(more, less)| more - less);
    let call = each(Name::Call, &|round| round.cpu)
        .into_iter()
        .zip(each(Name::Call, &|round| round.writer));
    figures::spread(token.zip(call).map(|(token, (all, writer))| (token + writer) / all))
}

fn print(all: &[Row], layers: &[Layer]) {
    for connections in [1, 32] {
        let rows: Vec<[String; 8]> = all
            .iter()
            .filter(|row| row.figures.connections == connections)
            .map(|Row { measured, figures, rate_ratio, cpu_ratio }| {
                let whole = |spread: Spread| {
                    format!("{:.0} ({:.0}..{:.0})", spread.median, spread.min, spread.max)
                };
                let fine = |spread: Spread| {
                    format!("{:.1} ({:.1}..{:.1})", spread.median, spread.min, spread.max)
                };
                let ratio = |spread: Spread| format!("{:.2}", spread.median);
                [
                    measured.words().to_owned(),
                    whole(figures.rate),
                    ratio(*rate_ratio),
                    format!("{:.0}", figures.p50_us.median),
                    format!("{:.0}", figures.p99_us.median),
                    fine(figures.cpu_us),
                    format!("{:.1}", figures.writer_us.median),
                    ratio(*cpu_ratio),
                ]
            })
            .collect();
        if rows.is_empty() {
            continue;
        }
        let head = format!("{connections} connection{}", if connections == 1 { "" } else { "s" });
        table::print(
            [
                &head,
                "requests/s (min..max)",
                "to bare",
                "p50 µs",
                "p99 µs",
                "cpu µs/request",
                "writer",
                "cpu to bare",
            ],
            &rows,
        );
    }
    if layers.is_empty() {
        return;
    }
    let rows: Vec<[String; 2]> = layers
        .iter()
        .map(|layer| {
            [
                layer.layer.to_owned(),
                format!(
                    "{:.1} ({:.1}..{:.1})",
                    layer.cpu_us.median, layer.cpu_us.min, layer.cpu_us.max
                ),
            ]
        })
        .collect();
    table::print(["layers of a call, 32 connections", "cpu µs (min..max)"], &rows);
}
