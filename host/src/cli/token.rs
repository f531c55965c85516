//! `wasmill token`: make, list and revoke tokens.

use super::client::Connection;
use super::result::CliResult;
use super::table;
use std::process::ExitCode;
use wasmill_core::wire::{NewToken, Token};

/// Arguments of `token`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a token and print it: the only time that it is shown
    Create {
        /// For people
        #[arg(long, default_value = "")]
        label: String,
        /// A right, such as jobs:run:scripts:f/folder/*; may be given several times. None: all of
        /// yours
        #[arg(long = "scope")]
        scopes: Vec<String>,
        /// When it stops working, such as 2030-01-31T09:00:00Z
        #[arg(long)]
        expires: Option<String>,
        /// Works in this workspace alone
        #[arg(long)]
        only: Option<String>,
    },
    /// List your tokens, without their secrets
    List {
        /// Print the host's JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke the token with this prefix, as the list shows it
    Revoke {
        /// The first 10 characters
        prefix: String,
    },
}

/// Does what was asked.
pub(crate) fn run(args: &Args) -> CliResult {
    let client = args.connection.open()?;
    match &args.command {
        Command::Create { label, scopes, expires, only } => {
            let asked = NewToken {
                label: Some(label.clone()).filter(|label| !label.is_empty()),
                expiration: expires.clone(),
                scopes: Some(scopes.clone()).filter(|scopes| !scopes.is_empty()),
                workspace_id: only.clone(),
            };
            let body = serde_json::to_vec(&asked).map_err(|error| error.to_string())?;
            let response = client
                .post(&client.outside("users/tokens/create"), "application/json", &body)?
                .ok()?;
            println!("{}", String::from_utf8_lossy(&response.body));
        }
        Command::List { json } => {
            let response = client.get(&client.outside("users/tokens/list"))?.ok()?;
            if *json {
                println!("{:#}", response.json::<serde_json::Value>()?);
                return Ok(ExitCode::SUCCESS);
            }
            let or = |text: Option<String>, other: &str| text.unwrap_or_else(|| other.to_owned());
            let rows: Vec<[String; 6]> = response
                .json::<Vec<Token>>()?
                .into_iter()
                .map(|t| {
                    [
                        t.token_prefix,
                        or(t.label, ""),
                        or(t.scopes.map(|s| s.join(" ")), "all"),
                        or(t.workspace_id, "all"),
                        or(t.expiration, "never"),
                        or(t.last_used_at, "never"),
                    ]
                })
                .collect();
            table::print(["PREFIX", "LABEL", "SCOPES", "WORKSPACE", "EXPIRES", "LAST USED"], &rows);
        }
        Command::Revoke { prefix } => {
            let response =
                client.delete(&client.outside(&format!("users/tokens/delete/{prefix}")))?.ok()?;
            println!("{}", String::from_utf8_lossy(&response.body));
        }
    }
    Ok(ExitCode::SUCCESS)
}
