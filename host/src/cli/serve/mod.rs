//! `wasmill serve`: put the parts together, listen, and stop cleanly.

mod args;
mod first_start;
mod open;
mod stop;

pub(crate) use args::Args;

use super::config::{self, Config};
use super::logging::start_logging;
use super::result::CliResult;
use crate::host::Host;
use crate::nodes::listen::listen;
use crate::outbox::dispatcher;
use crate::serve::accept;
use crate::settings::Role;
use crate::stop::Signals;
use open::Ready;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Serves until a signal comes.
pub(crate) fn run(args: Args) -> CliResult {
    start_logging();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the runtime cannot be started: {error}"))?;
    let outcome = runtime.block_on(serve(args));
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

async fn serve(args: Args) -> CliResult {
    let Ready { host, store, listener, address, base_url, token_file, first } =
        open::open(&args).await?;
    write_config(base_url, &token_file);
    // Before anybody is told that the host is there: who has read that may stop it.
    let signals =
        Signals::listen().map_err(|error| format!("signals cannot be listened to: {error}"))?;
    greet(address, &token_file, first);

    // Before the first claim: a worker without a lease counts as one that went away.
    host.lease.extend().await;
    let until_drained = until_drained(&host, listener);
    let until_stopped = until_stopped(&host);
    let code = stop::wait_for_end(&host, &store, signals, until_drained).await;
    for task in until_stopped {
        task.abort();
    }
    host.close().await;
    if let Err(error) = store.close().await {
        return Err(format!("the store could not be closed cleanly: {error}"));
    }
    tracing::info!("stopped");
    Ok(code)
}

/// What ends by itself once draining begins: connections, the worker, and the outbox.
fn until_drained(host: &Arc<Host>, listener: TcpListener) -> Vec<JoinHandle<()>> {
    let mut tasks = vec![tokio::spawn(accept::serve(host.clone(), listener))];
    if host.settings.workers > 0 {
        tasks.push(tokio::spawn(host.worker().work()));
    }
    if host.settings.role != Role::Worker {
        let (outbox, lead, stop) = (host.outbox.clone(), host.lead("outbox"), host.stop.clone());
        tasks.push(tokio::spawn(dispatcher::run(outbox, lead, stop)));
    }
    tasks
}

/// What goes on beside requests and jobs until both have ended.
fn until_stopped(host: &Arc<Host>) -> Vec<JoinHandle<()>> {
    let (store, notifier) = (host.store.clone(), host.notifier.clone());
    let waiters = notifier.waiters.clone();
    let mut tasks = vec![
        tokio::spawn(listen(store, notifier)),
        tokio::spawn(async move { waiters.look().await }),
    ];
    tasks.extend(host.periodic_tasks().into_iter().map(|task| tokio::spawn(task.run())));
    tasks
}

/// Lets the other commands of this machine find the host.
fn write_config(base_url: String, token_file: &Path) {
    let config =
        Config { url: base_url, workspace: "main".into(), token_file: token_file.to_owned() };
    if token_file.exists()
        && let Err(error) = config::write(&config)
    {
        tracing::warn!(%error, "the client's configuration file could not be written; give --url and --token to the other commands");
    }
}

/// The first line is for programs: the address that was chosen.
fn greet(address: std::net::SocketAddr, token_file: &Path, first: bool) {
    let mut text = format!("listening on http://{address}\n");
    if first {
        text.push_str(&format!(
            "\nThis is the first start. There is a workspace 'main' and a user 'admin';\nthe admin's token is in {}\n\nNext, in another terminal:\n  wasmill push script.wasm --path u/admin/hello\n  wasmill run u/admin/hello --data '{{\"name\":\"Ann\"}}'\n",
            token_file.display()
        ));
    }
    let mut out = std::io::stdout().lock();
    // A closed stdout is no reason not to serve.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
