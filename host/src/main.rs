//! The `wasmill` binary: command line in, exit code out.

#![forbid(unsafe_code)]

mod api;
mod backup;
mod cli;
mod clock;
mod files;
mod host;
mod jobs;
mod modules;
mod nodes;
mod outbox;
mod random;
mod resolve;
mod serve;
mod shelf;
mod stop;
mod values;
mod webhook;

fn main() -> std::process::ExitCode {
    cli::main()
}
