//! `wasmill push`: upload a script and say where it runs.

use super::client::Connection;
use super::result::CliResult;
use super::retry::Retry;
use super::sample;
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;
use wasmill_core::wire::{Uploaded, Urls};

/// Arguments of `push`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The wasm file
    file: PathBuf,
    /// Where to deploy it: u/<user>/<name> or f/<folder>/<name>
    #[arg(long, short)]
    path: String,
    /// One line about the script, for lists
    #[arg(long, default_value = "")]
    summary: String,
    /// Longest run, seconds; never above the host's own limit
    #[arg(long)]
    timeout: Option<u64>,
    /// Memory of a run, MiB; never above the host's own limit
    #[arg(long)]
    memory: Option<u64>,
    /// Never write arguments, result and log of synchronous runs; erase those of queued ones once
    /// the result was read
    #[arg(long)]
    delete_after_use: bool,
    /// Erase arguments, result and log this many seconds after a run's end
    #[arg(long, value_name = "SECONDS")]
    delete_after_secs: Option<u32>,
    /// A synchronous run whose caller hangs up: cancel it, or let it continue as a job
    #[arg(long, value_name = "cancel|continue", default_value = "cancel")]
    on_hang_up: String,
    /// A synchronous run that takes longer than its caller may wait: cancel it, or let it continue
    /// as a job
    #[arg(long, value_name = "cancel|continue", default_value = "cancel")]
    on_sync_timeout: String,
    #[command(flatten)]
    retry: Retry,
    /// Runs at the same time at most; further ones wait
    #[arg(long, value_name = "N")]
    concurrent_limit: Option<u32>,
    /// What that limit counts together, for instance '$args[customer]'; else all runs of the script
    #[arg(long, value_name = "KEY", requires = "concurrent_limit")]
    concurrency_key: Option<String>,
    /// Print one JSON object: hash, kind, path, urls, created
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Uploads.
pub(crate) fn run(args: &Args) -> CliResult {
    let client = args.connection.open()?;
    let wasm = std::fs::read(&args.file)
        .map_err(|error| format!("{} cannot be read: {error}", args.file.display()))?;
    let mut query = form_urlencoded::Serializer::new(String::new());
    if !args.summary.is_empty() {
        query.append_pair("summary", &args.summary);
    }
    if let Some(seconds) = args.timeout {
        query.append_pair("timeout_s", &seconds.to_string());
    }
    if let Some(mib) = args.memory {
        query.append_pair("memory_mib", &mib.to_string());
    }
    if args.delete_after_use {
        query.append_pair("delete_after_use", "true");
    }
    if let Some(seconds) = args.delete_after_secs {
        query.append_pair("delete_after_secs", &seconds.to_string());
    }
    for (name, setting) in
        [("on_hang_up", &args.on_hang_up), ("on_sync_timeout", &args.on_sync_timeout)]
    {
        if setting != "cancel" {
            query.append_pair(name, setting);
        }
    }
    if let Some(policy) = args.retry.policy()? {
        query.append_pair("retry", &policy);
    }
    if let Some(limit) = args.concurrent_limit {
        query.append_pair("concurrent_limit", &limit.to_string());
    }
    if let Some(key) = &args.concurrency_key {
        query.append_pair("concurrency_key", key);
    }
    let url = format!(
        "{}?{}",
        client.in_workspace(&format!("scripts/upload/p/{}", args.path)),
        query.finish()
    );
    let uploaded: Uploaded = client.post(&url, "application/wasm", &wasm)?.ok()?.json()?;
    let urls = Urls::new(&client.url, &client.workspace, &uploaded.path, &uploaded.hash);
    if args.json {
        let object = serde_json::json!({"hash": uploaded.hash, "kind": uploaded.kind, "path": uploaded.path, "urls": urls, "created": uploaded.created});
        println!("{object:#}");
        return Ok(ExitCode::SUCCESS);
    }
    let schema = uploaded
        .schema
        .as_ref()
        .and_then(|schema| serde_json::from_str::<Value>(schema.0.get()).ok());
    println!(
        "{} {} ({})",
        if uploaded.created { "deployed" } else { "unchanged:" },
        uploaded.path,
        uploaded.kind
    );
    println!("hash      {}", uploaded.hash);
    println!();
    println!("newest version    result  {}", urls.sync_path);
    println!("                  job id  {}", urls.async_path);
    println!("exactly this one  result  {}", urls.sync_hash);
    println!("                  job id  {}", urls.async_hash);
    println!();
    let arguments = sample::arguments(schema.as_ref()).to_string().replace('\'', "'\\''");
    println!(
        "curl -H \"Authorization: Bearer {}\" --json '{arguments}' {}",
        client.token_for_shell, urls.sync_path
    );
    Ok(ExitCode::SUCCESS)
}
