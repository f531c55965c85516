//! Measures what a call costs, next to the least that it could cost on the same machine in the same
//! minute.
//!
//! `in-process` calls the sandbox in a loop, beside an engine with nothing around it, and `choices`
//! such an engine with other settings. `http` sends requests to the real
//! binary, beside a server that answers the same natively. `peers` sends them to other servers too.
//! `queue` gives jobs to the stores, beside their bare engines. These go over their candidates in
//! rounds and report medians and ratios, because a machine that is shared is never the same twice.
//! `versions` and `large` tell what single things take. `instructions` counts instead of measuring,
//! so that two counts can be compared whatever the machine did meanwhile.

#![forbid(unsafe_code)]

mod bare;
mod cell;
mod figures;
mod http;
mod in_process;
mod instructions;
mod large;
mod load;
mod machine;
mod neighbour;
mod peers;
mod queue;
mod report;
mod server;
mod table;
mod versions;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Measures what a call costs, next to the least that it could cost.
#[derive(Parser)]
#[command(name = "wasmill-bench", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fresh-instance calls within one process: the sandbox beside a bare engine
    InProcess(in_process::Args),
    /// The same call with one thing of the sandbox's design done otherwise
    Choices(in_process::choices::Args),
    /// Requests to the real host, beside a server without WebAssembly
    Http(http::Args),
    /// The host beside other servers, and beside a process for each call
    Peers(peers::Args),
    /// Uploads, first calls, and memory of versions and instances
    Versions(versions::Args),
    /// Large bodies, long logs, a thousand calls at once
    Large(large::Args),
    /// Calls beside a workspace that does its worst
    Neighbour(neighbour::Args),
    /// Jobs in the store: queueing, draining, fairness, lists; beside the bare engines
    Queue(queue::Args),
    /// Instructions of a call and of a queued job, counted and compared with the committed ones
    Instructions(instructions::Args),
    /// Puts what was measured on the page `docs/performance.md`
    Report(report::Args),
    /// One candidate of `in-process` in a loop, for a profiler
    Repeat(in_process::RepeatArgs),
    /// The servers to compare with
    #[command(hide = true)]
    Bare(bare::Args),
    /// The compile child of the sandbox
    #[command(hide = true)]
    Compile,
}

/// The host's: what is measured beside it shall not lose by another one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::InProcess(args) => in_process::run(&args),
        Command::Choices(args) => in_process::choices::run(&args),
        Command::Http(args) => http::run(&args),
        Command::Peers(args) => peers::run(&args),
        Command::Versions(args) => versions::run(&args),
        Command::Large(args) => large::run(&args),
        Command::Neighbour(args) => neighbour::run(&args),
        Command::Queue(args) => queue::run(&args),
        Command::Instructions(args) => instructions::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Repeat(args) => in_process::repeat(&args),
        Command::Bare(args) => bare::serve(&args),
        Command::Compile => return wasmill_sandbox::compile_child(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wasmill-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Where `cargo xtask guests` puts the scripts.
fn guests_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guests")
}

/// Where `cargo xtask bench` installs the peers.
fn peers_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench/peers")
}

/// `hello` without its line of log, as it is in the other languages and servers.
const QUIET: &str = "hello-quiet";

fn read_guest(folder: &Path, name: &str) -> Result<Vec<u8>> {
    let file = folder.join(format!("{name}.wasm"));
    std::fs::read(&file).with_context(|| {
        format!("{} cannot be read; `cargo xtask guests` builds it", file.display())
    })
}

/// Writes a report for programs.
fn write_json(file: Option<&Path>, report: &impl Serialize) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    let text = serde_json::to_string_pretty(report)?;
    std::fs::write(file, text + "\n")
        .with_context(|| format!("{} cannot be written", file.display()))
}
