//! `wasmill serve`: put the parts together, listen, and stop cleanly.

use super::config::{self, Config};
use super::{CliResult, keys, start_logging};
use crate::clock::{self, IdSource};
use crate::files;
use crate::host::{Host, Settings};
use crate::jobs::running::RunningJobs;
use crate::jobs::{house, worker};
use crate::outbox::{Outbox, dispatcher};
use crate::random;
use crate::resolve::Resolver;
use crate::serve::accept;
use crate::serve::admit::Admission;
use crate::serve::auth::Tokens;
use crate::stop::{Signals, Stop};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify, RwLock};
use tokio_util::task::TaskTracker;
use wasmill_core::answer::Policy;
use wasmill_core::limits::CompileLimits;
use wasmill_core::outbox::Backoff;
use wasmill_core::token::PlainToken;
use wasmill_core::{HostLimits, RunLimits, WorkspaceId};
use wasmill_sandbox::{Sandbox, SandboxConfig};
use wasmill_store::blobs::Blobs;
use wasmill_store::sqlite::{Options, SqliteStore};
use wasmill_store::{Accounts, Jobs as _, NewToken, Role, Store, User};

/// Arguments of `serve`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where everything is kept
    #[arg(long, default_value = "data", env = "WASMILL_DATA")]
    data: PathBuf,
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8000", env = "WASMILL_LISTEN")]
    listen: String,
    /// The address that callers use, when it is not the one listened on
    #[arg(long, env = "WASMILL_BASE_URL")]
    base_url: Option<String>,
    /// Longest wait of a synchronous caller, seconds; then 504 and the run is cancelled
    #[arg(long, default_value_t = 600, env = "TIMEOUT_WAIT_RESULT")]
    sync_timeout: u64,
    /// Status of a synchronous call whose run failed
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(200..600))]
    sync_failure_status: u16,
    /// Headers that become arguments of every call, comma separated
    #[arg(long, default_value = "", env = "INCLUDE_HEADERS")]
    include_headers: String,
    /// Runs at the same time, synchronous and queued together
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..100_000))]
    concurrency: u32,
    /// Queued jobs that run at the same time; 0 leaves them in the queue
    #[arg(long, default_value_t = 32)]
    workers: u32,
    /// Longest run, seconds
    #[arg(long, default_value_t = 300)]
    run_timeout: u64,
    /// Memory of one run, MiB
    #[arg(long, default_value_t = 256)]
    run_memory: u64,
    /// Largest body of a call, MiB
    #[arg(long, default_value_t = 16)]
    body_limit: u64,
    /// Longest time for the body of a request to arrive, seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..86_400))]
    body_timeout: u64,
    /// Largest module, MiB
    #[arg(long, default_value_t = 64)]
    module_limit: u64,
    /// Processor seconds that compiling one module may take
    #[arg(long, default_value_t = 60)]
    compile_cpu: u64,
    /// Memory that compiling one module may take, MiB
    #[arg(long, default_value_t = 2048)]
    compile_memory: u64,
    /// Seconds that running requests and jobs get to finish when the host is stopped
    #[arg(long, default_value_t = 10)]
    stop_grace: u64,
    /// Jobs that may wait in one workspace; further ones are answered 429. 0 for any number
    #[arg(long, default_value_t = 1_000_000)]
    queue_limit: u64,
    /// The key that variables and resources are sealed with; <data>/value-key unless set
    #[arg(long, env = "WASMILL_VALUE_KEY_FILE")]
    value_key_file: Option<PathBuf>,
    /// Make synchronous callers wait until their run's record is on disk
    #[arg(long)]
    durable_sync: bool,
    /// Let workspaces' webhooks be on addresses that are not public: loopback, private networks
    #[arg(long)]
    allow_private_webhooks: bool,
    /// Milliseconds between the first two attempts to tell a workspace's webhook; all later times scale with it
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    webhook_retry_base: u64,
}

impl Args {
    fn settings(&self) -> Settings {
        const MIB: u64 = 1 << 20;
        let limits = HostLimits {
            sync_wait: Duration::from_secs(self.sync_timeout),
            concurrent_runs: self.concurrency,
            body_bytes: self.body_limit.saturating_mul(MIB),
            body_timeout: Duration::from_secs(self.body_timeout),
            module_bytes: self.module_limit.saturating_mul(MIB),
            stop_grace: Duration::from_secs(self.stop_grace),
            queued_jobs: self.queue_limit,
            compile: CompileLimits {
                cpu: Duration::from_secs(self.compile_cpu),
                address_space_bytes: self.compile_memory.saturating_mul(MIB),
                ..CompileLimits::default()
            },
            ..HostLimits::default()
        };
        let run_limits = RunLimits {
            wall: Duration::from_secs(self.run_timeout),
            memory_bytes: self.run_memory.saturating_mul(MIB),
            ..RunLimits::default()
        };
        Settings {
            limits,
            run_limits,
            answers: Policy { failure_status: self.sync_failure_status, own_origin: false },
            include_headers: self.include_headers.clone(),
            workers: self.workers,
            durable_sync: self.durable_sync,
        }
    }
}

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
    let settings = args.settings();
    files::make_folder(&args.data).map_err(|error| format!("the data directory {} cannot be made: {error}", args.data.display()))?;
    let data =
        std::fs::canonicalize(&args.data).map_err(|error| format!("the data directory {} cannot be used: {error}", args.data.display()))?;
    let sqlite = Arc::new(SqliteStore::open(&data, Options::default()).map_err(|error| error.to_string())?);
    let blobs = Blobs::local(&data.join("modules")).map_err(|error| error.to_string())?;
    let compiler = std::env::current_exe().map_err(|error| format!("this program's own file is not known: {error}"))?;
    let sandbox = SandboxConfig {
        limits: settings.limits,
        cache_dir: data.join("artefacts"),
        artefact_key: keys::host_secret(&data)?,
        compiler,
        environment: Vec::new(),
    };
    let sandbox = Sandbox::new(sandbox).map_err(|error| error.to_string())?;
    let listener = TcpListener::bind(&args.listen).await.map_err(|error| format!("{} cannot be listened on: {error}", args.listen))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let base_url = args.base_url.map_or_else(|| format!("http://{address}"), |url| url.trim_end_matches('/').to_owned());

    let token_file = data.join("admin-token");
    let first = first_start(&*sqlite, &token_file).await?;
    // Nobody else has this directory: what runs according to it was cut off.
    let lost = sqlite.rescue(clock::now(), true).await.map_err(|error| error.to_string())?;
    if lost > 0 {
        tracing::warn!(jobs = lost, "jobs that were running when the host ended are queued again");
    }
    let value_key = keys::value_key(&args.value_key_file.unwrap_or_else(|| data.join("value-key")), &*sqlite).await?;
    let worker_id = getrandom::u64().map_err(|error| format!("the system has no randomness: {error}"))? as i64 & i64::MAX;
    let store: Arc<dyn Store> = sqlite.clone();
    let host = Arc::new(Host {
        resolver: Resolver::new(settings.run_limits),
        admission: Admission::new(&settings.limits),
        base_url: base_url.clone(),
        store,
        blobs,
        modules: RwLock::new(()),
        sandbox,
        tokens: Tokens::default(),
        running: RunningJobs::default(),
        value_key,
        value_writes: Mutex::default(),
        worker: worker_id,
        unattended: TaskTracker::new(),
        ids: IdSource::default(),
        queued: Notify::new(),
        outbox: Outbox::new(
            args.allow_private_webhooks,
            Backoff::with_base(Duration::from_millis(args.webhook_retry_base)),
            settings.limits.delivery,
        ),
        stop: Stop::default(),
        settings,
    });
    let config = Config { url: base_url.clone(), workspace: "main".into(), token_file: token_file.clone() };
    if let Err(error) = config::write(&config) {
        tracing::warn!(%error, "the client's configuration file could not be written; give --url and --token to the other commands");
    }
    // Before anybody is told that the host is there: who has read that may stop it.
    let signals = Signals::listen().map_err(|error| format!("signals cannot be listened to: {error}"))?;
    greet(address, &token_file, first);

    let worker = tokio::spawn(worker::work(host.clone()));
    let house = tokio::spawn(house::keep(host.clone()));
    let telling = tokio::spawn(dispatcher::run(host.clone()));
    let front = tokio::spawn(accept::serve(host.clone(), listener));
    let code = wait_for_end(&host, &sqlite, signals, [front, worker, telling]).await;
    house.abort();
    house::write_uses(&host).await;
    if let Err(error) = sqlite.close().await {
        return Err(format!("the store could not be closed cleanly: {error}"));
    }
    tracing::info!("stopped");
    Ok(code)
}

/// Waits for a signal or the store's death, then stops in two phases. A second signal ends the process at once.
async fn wait_for_end(host: &Arc<Host>, sqlite: &SqliteStore, mut signals: Signals, tasks: [tokio::task::JoinHandle<()>; 3]) -> ExitCode {
    let code = tokio::select! {
        () = signals.next() => ExitCode::SUCCESS,
        reason = sqlite.failed() => {
            tracing::error!(reason, "the store has failed; the host stops, for nothing more can be kept");
            ExitCode::FAILURE
        }
    };
    tracing::info!(grace_seconds = host.settings.limits.stop_grace.as_secs(), "stopping: nothing new is taken");
    host.stop.draining.cancel();
    let ending = host.clone();
    let grace = tokio::spawn(async move {
        tokio::select! {
            () = tokio::time::sleep(ending.settings.limits.stop_grace) => tracing::warn!("the grace period is over; what still runs is cut off"),
            () = signals.next() => std::process::exit(1),
        }
        ending.stop.ending.cancel();
    });
    // They end by themselves: at the latest when `ending` tells them to.
    for task in tasks {
        let _ = task.await;
    }
    // Runs that outlasted their callers are given back by now, or are about to be.
    host.unattended.close();
    host.unattended.wait().await;
    grace.abort();
    code
}

/// Makes workspace, user and token where there are none. True when this is the first start.
///
/// The token's row is written before its file, so a start that was cut off between them makes another token.
async fn first_start(store: &dyn Accounts, token_file: &Path) -> Result<bool, String> {
    let failed = |error: wasmill_store::StoreError| format!("the first start failed: {error}");
    if !store.list_workspaces().await.map_err(failed)?.is_empty() && token_file.exists() {
        return Ok(false);
    }
    let workspace: WorkspaceId = "main".parse().map_err(|error: wasmill_core::InvalidName| error.to_string())?;
    let now = clock::now();
    match store.create_workspace(&workspace, "Main", now).await {
        Ok(()) | Err(wasmill_store::StoreError::Conflict(_)) => {}
        Err(error) => return Err(failed(error)),
    }
    let admin = User { name: "admin".into(), email: "admin@localhost".into(), super_admin: true, created: now };
    store.put_user(&admin).await.map_err(failed)?;
    store.put_member(&workspace, &admin.name, Role::Admin).await.map_err(failed)?;
    let token = PlainToken::from_random(&random::bytes()?);
    let stored = NewToken {
        digest: token.digest(),
        prefix: token.prefix().to_owned(),
        user: admin.name,
        workspace: None,
        label: "made at the first start".into(),
        scopes: None,
        created: now,
        expires: None,
    };
    store.put_token(&stored).await.map_err(failed)?;
    files::write_private(token_file, token.reveal()).map_err(|error| format!("{} cannot be written: {error}", token_file.display()))?;
    Ok(true)
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
