//! A noisy neighbour: what callers of one workspace notice of another that runs endless loops and
//! takes all the memory it may.

use crate::cell;
use crate::figures::{self, Spread};
use crate::load::{self, Answer, Expect, Shot, Volley};
use crate::machine::{Cpu, Machine};
use crate::server::Host;
use crate::{guests_folder, read_guest, table, write_json};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const JSON: &str = "application/json";
const ARGUMENTS: &str = r#"{"name":"Ann","times":2}"#;
const ANSWER: &str = r#"{"greeting":"Hello Ann! Hello Ann!","times":2}"#;
/// Connections at the same time, in the order of the table.
const CONNECTIONS: [usize; 2] = [1, 32];
/// Callers of each kind of noise.
const CALLERS: usize = 32;
/// Jobs of endless loops in the queue.
const QUEUED: usize = 64;
/// Seconds after which an endless loop is ended, and begun again by its caller.
const RUN: &str = "5";
/// What is done to be noisy.
const NOISE: [&str; 2] = [r#"{"op":"spin"}"#, r#"{"op":"grow"}"#];

/// Arguments of `neighbour`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Rounds, each of them quiet and noisy
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds of load in a round
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// One short round: shows that it works, measures little
    #[arg(long)]
    quick: bool,
    /// Write the report to this file as well
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Calls with one number of connections. Times in microseconds.
#[derive(Serialize)]
struct Row {
    connections: usize,
    quiet_p50: Spread,
    quiet_p99: Spread,
    noisy_p50: Spread,
    noisy_p99: Spread,
    /// The longest of all.
    quiet_max: Spread,
    noisy_max: Spread,
    /// Noisy against quiet, within each round.
    p99_ratio: Spread,
    /// The same of the rates.
    rate_ratio: Spread,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    rounds: usize,
    seconds: f64,
    rows: Vec<Row>,
}

/// Measures and reports.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut machine = Machine::look();
    let (rounds, seconds) = if args.quick { (1, 0.5) } else { (args.rounds.max(1), args.seconds) };
    let pinned = machine.processors > 1;
    let runtime = cell::runtime(pinned)?;
    let host = Host::start(pinned.then_some(0), &["--run-timeout", RUN])?;
    host.deploy(&runtime, "main", "u/admin/hello", read_guest(&guests_folder(), "hello")?)?;
    let create = Shot {
        path: "/api/workspaces/create".into(),
        ..host.shot(Method::POST, "", JSON, r#"{"id":"noisy","name":"Noisy"}"#)
    };
    host.ask(&runtime, &create)?;
    host.deploy(
        &runtime,
        "noisy",
        "u/admin/misbehave",
        read_guest(&guests_folder(), "misbehave")?,
    )?;
    let mut measured: Vec<[Vec<Volley>; 2]> =
        CONNECTIONS.iter().map(|_| [Vec::new(), Vec::new()]).collect();
    for _ in 0..rounds {
        for (connections, [quiet, noisy]) in CONNECTIONS.into_iter().zip(&mut measured) {
            Cpu::settle(host.server().pid(), Duration::from_secs(10))?;
            quiet.push(calls(&runtime, &host, connections, seconds)?);
            let noise = Noise::begin(&runtime, &host)?;
            noisy.push(calls(&runtime, &host, connections, seconds)?);
            noise.end(&runtime, &host)?;
        }
    }
    let rows: Vec<Row> = CONNECTIONS
        .into_iter()
        .zip(&measured)
        .map(|(connections, volleys)| row(connections, volleys))
        .collect();
    let whole =
        |spread: Spread| format!("{:.0} ({:.0}..{:.0})", spread.median, spread.min, spread.max);
    let fine =
        |spread: Spread| format!("{:.2} ({:.2}..{:.2})", spread.median, spread.min, spread.max);
    let lines: Vec<[String; 9]> = rows
        .iter()
        .map(|row| {
            [
                row.connections.to_string(),
                whole(row.quiet_p50),
                whole(row.noisy_p50),
                whole(row.quiet_p99),
                whole(row.noisy_p99),
                whole(row.quiet_max),
                whole(row.noisy_max),
                fine(row.p99_ratio),
                fine(row.rate_ratio),
            ]
        })
        .collect();
    let head = [
        "connections",
        "p50 µs, quiet",
        "noisy",
        "p99 µs, quiet",
        "noisy",
        "longest, quiet",
        "noisy",
        "p99 ratio (goal: at most 2)",
        "rate ratio",
    ];
    table::print(head, &lines);
    machine.close();
    println!(
        "{rounds} rounds of {seconds} s, quiet and noisy{}",
        if pinned { ", pinned" } else { "" }
    );
    write_json(args.json.as_deref(), &Report { machine, rounds, seconds, rows })
}

fn calls(runtime: &Runtime, host: &Host, connections: usize, seconds: f64) -> Result<Volley> {
    let shot = host.shot(Method::POST, "jobs/run_wait_result/p/u/admin/hello", JSON, ARGUMENTS);
    let expect = Expect::Exactly(Answer {
        status: StatusCode::OK,
        body: Bytes::from_static(ANSWER.as_bytes()),
    });
    runtime.block_on(load::fire(
        host.server().address,
        &shot,
        &expect,
        connections,
        Duration::from_secs_f64(seconds),
    ))
}

fn row(connections: usize, [quiet, noisy]: &[Vec<Volley>; 2]) -> Row {
    let each = |volleys: &[Volley], figure: fn(&Volley) -> f64| {
        volleys.iter().map(figure).collect::<Vec<_>>()
    };
    let [p50, p99, max, rate]: [fn(&Volley) -> f64; 4] = [
        |volley| volley.times.p50,
        |volley| volley.times.p99,
        |volley| volley.times.max,
        |volley| volley.rate,
    ];
    Row {
        connections,
        quiet_p50: figures::spread(each(quiet, p50)),
        quiet_p99: figures::spread(each(quiet, p99)),
        noisy_p50: figures::spread(each(noisy, p50)),
        noisy_p99: figures::spread(each(noisy, p99)),
        quiet_max: figures::spread(each(quiet, max)),
        noisy_max: figures::spread(each(noisy, max)),
        p99_ratio: figures::ratios(&each(noisy, p99), &each(quiet, p99)),
        rate_ratio: figures::ratios(&each(noisy, rate), &each(quiet, rate)),
    }
}

/// Everything that a workspace can do at once: callers that wait for loops and for memory, and
/// loops in the queue.
struct Noise {
    callers: JoinSet<()>,
}

impl Noise {
    fn begin(runtime: &Runtime, host: &Host) -> Result<Self> {
        let address = host.server().address;
        let shot = |mode: &str, body: &'static str| {
            host.shot_in(
                "noisy",
                Method::POST,
                &format!("jobs/{mode}/p/u/admin/misbehave"),
                JSON,
                body,
            )
        };
        for _ in 0..QUEUED {
            host.ask(runtime, &shot("run", NOISE.first().context("no noise")?))?;
        }
        let mut callers = JoinSet::new();
        let _entered = runtime.enter();
        for body in NOISE {
            for _ in 0..CALLERS {
                let shot = shot("run_wait_result", body);
                callers.spawn(async move {
                    loop {
                        // They end by their limits, or are refused: noise all the same.
                        if load::once(address, &shot).await.is_err() {
                            tokio::time::sleep(Duration::from_millis(10)).await;
                        }
                    }
                });
            }
        }
        runtime.block_on(tokio::time::sleep(Duration::from_secs(1)));
        Ok(Self { callers })
    }

    /// Hangs up, and cancels what is queued.
    fn end(mut self, runtime: &Runtime, host: &Host) -> Result<()> {
        runtime.block_on(self.callers.shutdown());
        let listed = host.ask(
            runtime,
            &host.shot_in(
                "noisy",
                Method::GET,
                "jobs/queue/list?per_page=1000",
                JSON,
                Bytes::new(),
            ),
        )?;
        let jobs: Vec<serde_json::Value> =
            serde_json::from_slice(&listed.body).context("the list of jobs")?;
        for id in jobs.iter().filter_map(|job| job.get("id")?.as_str()) {
            // One that has ended meanwhile is refused.
            let cancel = host.shot_in(
                "noisy",
                Method::POST,
                &format!("jobs_u/queue/cancel/{id}"),
                JSON,
                "{}",
            );
            let _ = host.ask(runtime, &cancel);
        }
        Ok(())
    }
}
