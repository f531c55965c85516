//! `wasmill jobs`: what ran and what waits; and what is to run again.

mod restart;

use super::client::Connection;
use super::result::CliResult;
use super::table;
use serde_json::Value;
use std::process::ExitCode;

/// Arguments of `jobs`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only of this script
    #[arg(long, short)]
    path: Option<String>,
    /// Only failed ones
    #[arg(long)]
    failed: bool,
    /// So many at most
    #[arg(long, short = 'n', default_value_t = 20)]
    limit: u32,
    /// Print the host's JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Run finished jobs again: those with these ids, or those that fit the flags
    Restart(restart::Args),
}

/// Lists, or restarts.
pub(crate) fn run(args: &Args) -> CliResult {
    let client = args.connection.open()?;
    if let Some(Command::Restart(args)) = &args.command {
        return restart::run(&client, args);
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("per_page", &args.limit.to_string());
    if let Some(path) = &args.path {
        query.append_pair("script_path_exact", path);
    }
    if args.failed {
        query.append_pair("success", "false");
    }
    let jobs: Vec<Value> =
        client.get(&client.in_workspace(&format!("jobs/list?{}", query.finish())))?.ok()?.json()?;
    if args.json {
        println!("{:#}", Value::Array(jobs));
        return Ok(ExitCode::SUCCESS);
    }
    let text = |job: &Value, key: &str| {
        job.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let is = |job: &Value, key: &str| job.get(key).and_then(Value::as_bool).unwrap_or_default();
    let rows: Vec<[String; 5]> = jobs
        .iter()
        .map(|job| {
            let state = match job.get("type").and_then(Value::as_str) {
                Some("QueuedJob") if is(job, "running") => "running",
                Some("QueuedJob") => "waiting",
                _ if is(job, "canceled") => "canceled",
                _ if is(job, "success") => "success",
                _ => "failure",
            };
            let duration = job
                .get("duration_ms")
                .and_then(Value::as_u64)
                .map(|ms| format!("{ms} ms"))
                .unwrap_or_default();
            [
                text(job, "id"),
                state.to_owned(),
                duration,
                text(job, "created_at"),
                text(job, "script_path"),
            ]
        })
        .collect();
    table::print(["JOB", "STATE", "TOOK", "CREATED", "SCRIPT"], &rows);
    Ok(ExitCode::SUCCESS)
}
