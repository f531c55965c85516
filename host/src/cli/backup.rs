//! `wasmill backup`: a copy of everything that a host keeps, while it runs.

use super::keys;
use super::progress::Progress;
use super::result::CliResult;
use crate::backup::restore::VALUE_KEY;
use crate::backup::take::{Source, take};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use wasmill_store::blobs::Blobs;
use wasmill_store::sqlite::DatabaseFile;

/// Arguments of `backup`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A new directory for the backup
    directory: PathBuf,
    /// The host's data directory
    #[arg(long, default_value = "data", env = "WASMILL_DATA")]
    data: PathBuf,
    /// Where the host keeps its modules; <data>/modules unless set
    #[arg(long, value_name = "PLACE", env = "WASMILL_BLOBS")]
    blobs: Option<String>,
    /// Take the keys along: who has the backup can then read every secret in it
    #[arg(long)]
    with_keys: bool,
    /// The key that variables and resources are sealed with; <data>/value-key unless set
    #[arg(long, value_name = "FILE", env = "WASMILL_VALUE_KEY_FILE")]
    value_key_file: Option<PathBuf>,
    /// Print one JSON object: directory, bytes, modules, keys, seconds
    #[arg(long)]
    json: bool,
}

/// Makes the backup.
pub(crate) fn run(args: &Args) -> CliResult {
    let begun = Instant::now();
    let database = DatabaseFile::open(&args.data).map_err(|error| error.to_string())?;
    let blobs = match &args.blobs {
        Some(place) => Blobs::open(place),
        None => Blobs::local(&args.data.join("modules")),
    };
    let blobs = blobs.map_err(|error| error.to_string())?;
    let value_key = args.value_key_file.clone().unwrap_or_else(|| args.data.join(VALUE_KEY));
    let keys = if args.with_keys { keys::present(&args.data, &value_key)? } else { Vec::new() };
    let progress = Progress::new();
    let source = Source { database: &database, blobs: &blobs, keys };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let manifest = runtime.block_on(take(&source, &args.directory, &|what, done, all| {
        progress.tell(what, done, all)
    }))?;
    drop(progress);

    let (directory, seconds) = (args.directory.display(), begun.elapsed().as_secs_f64());
    if args.json {
        let keys: Vec<&str> = manifest.keys().collect();
        let object = serde_json::json!({
            "directory": args.directory,
            "bytes": manifest.bytes(),
            "modules": manifest.modules(),
            "keys": keys,
            "seconds": (seconds * 1e3).round() / 1e3,
        });
        println!("{object:#}");
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "backed up the database and {} modules to {directory}: {} MiB in {seconds:.1} s",
        manifest.modules(),
        manifest.bytes().div_ceil(1 << 20)
    );
    if args.with_keys {
        println!(
            "It has the keys ({}): keep it as you keep secrets.",
            manifest.keys().collect::<Vec<_>>().join(", ")
        );
    } else {
        println!(
            "It has no keys. Keep {} somewhere else: without it, variables, resources and the secrets of webhooks cannot be opened.",
            value_key.display()
        );
    }
    println!("\nTo get it back:\n  wasmill restore {directory} --data NEW");
    Ok(ExitCode::SUCCESS)
}
