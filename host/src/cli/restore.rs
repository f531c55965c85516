//! `wasmill restore`: a data directory out of a backup.

use super::progress::Progress;
use super::result::CliResult;
use crate::backup::restore::{VALUE_KEY, restore};
use std::path::PathBuf;
use std::process::ExitCode;
use wasmill_store::blobs::Blobs;

/// Arguments of `restore`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The backup's directory
    from: PathBuf,
    /// The data directory to make; it must be new or empty
    #[arg(long)]
    data: PathBuf,
    /// Where the modules shall be kept; <data>/modules unless set
    #[arg(long, value_name = "PLACE")]
    blobs: Option<String>,
    /// Print one JSON object: data, bytes, modules, keys, needs_value_key
    #[arg(long)]
    json: bool,
}

/// Restores.
pub(crate) fn run(args: &Args) -> CliResult {
    let progress = Progress::new();
    let place = async || {
        let blobs = match &args.blobs {
            Some(place) => Blobs::open(place),
            None => Blobs::local(&args.data.join("modules")),
        };
        let blobs = blobs.map_err(|error| error.to_string())?;
        blobs.check().await.map_err(|error| error.to_string())?;
        Ok(blobs)
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let restored =
        runtime.block_on(restore(&args.from, &args.data, place, &|what, done, all| {
            progress.tell(what, done, all)
        }))?;
    drop(progress);

    let (manifest, data) = (&restored.manifest, args.data.display());
    if args.json {
        let keys: Vec<&str> = manifest.keys().collect();
        let object = serde_json::json!({
            "data": args.data,
            "bytes": manifest.bytes(),
            "modules": manifest.modules(),
            "keys": keys,
            "needs_value_key": restored.needs_value_key,
        });
        println!("{object:#}");
        return Ok(ExitCode::SUCCESS);
    }
    println!("restored the database and {} modules to {data}", manifest.modules());
    if restored.needs_value_key {
        println!(
            "The backup has no keys, but variables, resources or webhooks: put the host's {VALUE_KEY} into {data} first."
        );
    }
    println!(
        "\nNext:\n  wasmill serve --data {data}{}",
        args.blobs.as_ref().map(|place| format!(" --blobs '{place}'")).unwrap_or_default()
    );
    Ok(ExitCode::SUCCESS)
}
