//! `wasmill logs`: a job's log, once or as it grows.

use super::client::{Client, Connection};
use super::result::CliResult;
use serde_json::Value;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

/// How often a growing log is asked for.
const FOLLOW: Duration = Duration::from_millis(300);

/// Arguments of `logs`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The job's id
    id: String,
    /// Go on printing until the job is over
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Prints.
pub(crate) fn run(args: &Args) -> CliResult {
    let client = args.connection.open()?;
    let mut printed = 0;
    loop {
        // Asked for first, so that nothing logged before the end is missed.
        let over = !args.follow || completed(&client, &args.id)?;
        let log =
            client.get(&client.in_workspace(&format!("jobs_u/get_logs/{}", args.id)))?.ok()?.body;
        let mut out = std::io::stdout().lock();
        let new = log.get(printed..).unwrap_or_default();
        out.write_all(new)
            .and_then(|()| out.flush())
            .map_err(|error| format!("the log cannot be printed: {error}"))?;
        printed = printed.max(log.len());
        if over {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(FOLLOW);
    }
}

fn completed(client: &Client, id: &str) -> Result<bool, String> {
    let maybe: Value = client
        .get(&client.in_workspace(&format!("jobs_u/completed/get_result_maybe/{id}")))?
        .ok()?
        .json()?;
    Ok(maybe.get("completed").and_then(Value::as_bool).unwrap_or_default())
}
