//! `wasmill run`: call a script.

use super::client::Connection;
use super::result::CliResult;
use std::io::{Read as _, Write as _};
use std::process::ExitCode;

/// Arguments of `run`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A path (u/... or f/...: the newest version) or a hash (64 hex digits: exactly that one)
    script: String,
    /// Arguments as JSON; @file reads a file, - reads stdin
    #[arg(long, short, default_value = "{}")]
    data: String,
    /// Queue it and print the job's id
    #[arg(long = "async")]
    queued: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Calls, prints the answer, and fails when the run failed.
pub(crate) fn run(args: &Args) -> CliResult {
    let client = args.connection.open()?;
    let target = if args.script.contains('/') {
        format!("p/{}", args.script)
    } else {
        format!("h/{}", args.script)
    };
    let data = match args.data.strip_prefix('@') {
        Some(file) => {
            std::fs::read(file).map_err(|error| format!("{file} cannot be read: {error}"))?
        }
        None if args.data == "-" => {
            let mut data = Vec::new();
            std::io::stdin()
                .read_to_end(&mut data)
                .map_err(|error| format!("stdin cannot be read: {error}"))?;
            data
        }
        None => args.data.clone().into_bytes(),
    };
    let mode = if args.queued { "run" } else { "run_wait_result" };
    let response = client.post(
        &client.in_workspace(&format!("jobs/{mode}/{target}")),
        "application/json",
        &data,
    )?;
    let failed_run = response.failed_run;
    // A status that the script chose is its answer; one without a run is the host's refusal.
    let response = if failed_run || args.queued { response.ok()? } else { response };
    let mut out = std::io::stdout().lock();
    let written = out
        .write_all(&response.body)
        .and_then(|()| if response.body.ends_with(b"\n") { Ok(()) } else { out.write_all(b"\n") });
    written.map_err(|error| format!("the answer cannot be printed: {error}"))?;
    Ok(if failed_run || response.status >= 400 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
