//! `wasmill jobs restart`: finished jobs run again.

use super::super::client::Client;
use super::table;
use crate::cli::result::CliResult;
use std::process::ExitCode;
use wasmill_core::wire::{Restarted, RestartedJob, SkippedJob};

/// Arguments of `jobs restart`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The jobs
    #[arg(required_unless_present_any = ["path", "failed", "after", "before"], conflicts_with_all = ["path", "failed", "after", "before"])]
    ids: Vec<String>,
    /// All of this script
    #[arg(long, short)]
    path: Option<String>,
    /// All that failed
    #[arg(long)]
    failed: bool,
    /// All that ended after this time, such as 2030-01-31T09:00:00Z
    #[arg(long, value_name = "TIME")]
    after: Option<String>,
    /// All that ended before this time
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
}

/// Restarts. Fails when one of the jobs cannot be.
pub(super) fn run(client: &Client, args: &Args) -> CliResult {
    let Restarted { restarted, skipped, .. } =
        if args.ids.is_empty() { by_filter(client, args)? } else { by_id(client, &args.ids)? };
    let rows: Vec<[String; 2]> = restarted.into_iter().map(|job| [job.id, job.new_id]).collect();
    table::print(["JOB", "RUNS AGAIN AS"], &rows);
    for SkippedJob { id, reason } in &skipped {
        eprintln!("{id} is not run again: {reason}");
    }
    Ok(if skipped.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn by_id(client: &Client, ids: &[String]) -> Result<Restarted, String> {
    let mut all = Restarted::default();
    for id in ids {
        let answer = client.post(
            &client.in_workspace(&format!("jobs/restart/{id}")),
            "application/json",
            b"",
        )?;
        match answer.ok() {
            Ok(answer) => {
                let new_id = String::from_utf8_lossy(&answer.body).into_owned();
                all.restarted.push(RestartedJob { id: id.clone(), new_id });
            }
            Err(reason) => all.skipped.push(SkippedJob { id: id.clone(), reason }),
        }
    }
    Ok(all)
}

fn by_filter(client: &Client, args: &Args) -> Result<Restarted, String> {
    let mut all = Restarted::default();
    let mut next: Option<String> = None;
    loop {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let status = args.failed.then(|| "failure".to_owned());
        let asked = [
            ("script_path_exact", &args.path),
            ("status", &status),
            ("completed_after", &args.after),
            ("completed_before", &args.before),
        ];
        for (name, value) in asked.into_iter().chain([("next", &next)]) {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        let url = client.in_workspace(&format!("jobs/restart?{}", query.finish()));
        let part: Result<Restarted, String> =
            client.post(&url, "application/json", b"").and_then(|answer| answer.ok()?.json());
        let part = match part {
            Ok(part) => part,
            Err(reason) if next.is_none() => return Err(reason),
            // What was restarted before has to be told.
            Err(reason) => {
                all.skipped.push(SkippedJob { id: "the rest".into(), reason });
                return Ok(all);
            }
        };
        all.restarted.extend(part.restarted);
        all.skipped.extend(part.skipped);
        next = part.next;
        if next.is_none() {
            return Ok(all);
        }
    }
}
