//! `wasmill scripts`: what is deployed.

use super::client::Connection;
use super::result::CliResult;
use super::table;
use std::process::ExitCode;
use wasmill_core::wire::Script;

/// Arguments of `scripts`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print the host's JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Lists.
pub(crate) fn run(args: &Args) -> CliResult {
    let client = args.connection.open()?;
    let response = client.get(&client.in_workspace("scripts/list"))?.ok()?;
    if args.json {
        println!("{:#}", response.json::<serde_json::Value>()?);
        return Ok(ExitCode::SUCCESS);
    }
    let scripts: Vec<Script> = response.json()?;
    let rows: Vec<[String; 5]> = scripts
        .into_iter()
        .map(|script| {
            [
                script.path,
                script.kind_of_module.to_string(),
                script.hash.chars().take(12).collect(),
                format!("{} KiB", script.module_bytes.div_ceil(1024)),
                script.created_at,
            ]
        })
        .collect();
    table::print(["PATH", "KIND", "HASH", "SIZE", "DEPLOYED"], &rows);
    Ok(ExitCode::SUCCESS)
}
