//! The command line: `serve` is the host, the rest are its clients.

mod backup;
mod client;
mod config;
mod inspect;
mod jobs;
mod keys;
mod logging;
mod logs;
mod progress;
mod push;
mod restore;
mod result;
mod retry;
mod run;
mod sample;
mod scripts;
mod serve;
mod stores;
mod table;
mod token;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// A webhook host for WebAssembly scripts.
#[derive(Parser)]
#[command(name = "wasmill", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the host: scripts, jobs and webhooks on one address
    Serve(Box<serve::Args>),
    /// Upload a script; it runs at once under its path
    Push(push::Args),
    /// Call a script by path or by hash and print its answer
    Run(run::Args),
    /// List jobs, newest first
    Jobs(jobs::Args),
    /// Print a job's log
    Logs(logs::Args),
    /// List scripts
    Scripts(scripts::Args),
    /// Create, list and revoke tokens
    Token(token::Args),
    /// Say what a wasm file is and whether it would be accepted
    Inspect(inspect::Args),
    /// Copy everything that a host keeps into a directory, while it runs
    Backup(backup::Args),
    /// Make a data directory out of a backup
    Restore(restore::Args),
    /// Compile one module from stdin to stdout, under limits (used by the host itself)
    #[command(hide = true, disable_help_flag = true)]
    Compile {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        _rest: Vec<String>,
    },
}

/// Runs the command that was asked for. Errors go to stderr as one sentence, with exit code 1;
/// wrong usage is 2.
pub(crate) fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(args) => serve::run(*args),
        Command::Push(args) => push::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Jobs(args) => jobs::run(&args),
        Command::Logs(args) => logs::run(&args),
        Command::Scripts(args) => scripts::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Compile { .. } => return wasmill_sandbox::compile_child(),
    };
    outcome.unwrap_or_else(|message| {
        eprintln!("wasmill: {message}");
        ExitCode::FAILURE
    })
}
