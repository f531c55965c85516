//! `wasmill serve`: put the parts together, listen, and stop cleanly.

use super::config::{self, Config};
use super::stores::Opened;
use super::{CliResult, keys, start_logging};
use crate::clock::{self, IdSource};
use crate::files;
use crate::host::{Host, Role, Settings};
use crate::jobs::lease::{self, Lease};
use crate::jobs::running::RunningJobs;
use crate::jobs::{house, worker};
use crate::nodes;
use crate::nodes::waiters::Waiters;
use crate::outbox::{Outbox, dispatcher};
use crate::random;
use crate::resolve::Resolver;
use crate::serve::accept;
use crate::serve::admit::Admission;
use crate::serve::auth::Tokens;
use crate::shelf::Shelf;
use crate::stop::{Signals, Stop};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use wasmill_core::answer::Policy;
use wasmill_core::limits::CompileLimits;
use wasmill_core::outbox::Backoff;
use wasmill_core::token::PlainToken;
use wasmill_core::{HostLimits, RunLimits, UserName, WorkspaceId};
use wasmill_sandbox::{ArtefactShelf, Sandbox, SandboxConfig};
use wasmill_store::blobs::Blobs;
use wasmill_store::{NewToken, Store, User, WorkerId};

/// Arguments of `serve`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where everything is kept
    #[arg(long, default_value = "data", env = "WASMILL_DATA")]
    data: PathBuf,
    /// Database that several hosts share: postgres://user:password@address:5432/name. Unless set, a
    /// file in the data directory keeps everything, for this host alone
    #[arg(long, env = "WASMILL_DATABASE", hide_env_values = true)]
    database: Option<String>,
    /// What this host does: answer requests, run queued jobs, or both
    #[arg(long, value_enum, default_value_t = Role::All)]
    role: Role,
    /// Tags of the queued jobs that this host runs, comma separated; unless set, all
    #[arg(long, value_delimiter = ',')]
    tags: Vec<String>,
    /// Seconds without a sign of life after which others take over the jobs that a host runs
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(2..=3_600))]
    lease: u64,
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
    /// Days for which finished jobs are kept, 30 unless set; 0 for ever. Workspaces and scripts can
    /// have them kept shorter
    #[arg(long, value_name = "DAYS")]
    keep_runs: Option<u32>,
    /// The same in seconds
    #[arg(long, value_name = "SECONDS", env = "JOB_RETENTION_SECS")]
    keep_runs_secs: Option<u64>,
    /// The key that variables and resources are sealed with; <data>/value-key unless set
    #[arg(long, env = "WASMILL_VALUE_KEY_FILE")]
    value_key_file: Option<PathBuf>,
    /// Where modules are kept: a directory, or s3://BUCKET/PREFIX?region=...&endpoint=...;
    /// <data>/modules unless set
    #[arg(long, value_name = "PLACE", env = "WASMILL_BLOBS")]
    blobs: Option<String>,
    /// The key that authenticates compiled scripts: the same one on all hosts with the same
    /// --blobs, which then share what they compile; <data>/host-secret unless set
    #[arg(long, value_name = "FILE", env = "WASMILL_ARTEFACT_KEY_FILE")]
    artefact_key_file: Option<PathBuf>,
    /// Compiled scripts kept ready in memory, MiB; those used longest ago are dropped, and loaded
    /// from disk when called
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    warm_scripts: u64,
    /// Compiled scripts kept on disk, MiB; those used longest ago are removed
    #[arg(long, value_name = "MIB", default_value_t = 10_240)]
    artefact_cache: u64,
    /// Make synchronous callers wait until their run's record is on disk
    #[arg(long)]
    durable_sync: bool,
    /// Let workspaces' webhooks be on addresses that are not public: loopback, private networks
    #[arg(long)]
    allow_private_webhooks: bool,
    /// Milliseconds between the first two attempts to tell a workspace's webhook; all later times
    /// scale with it
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    webhook_retry_base: u64,
}

impl Args {
    /// How long finished jobs are kept; `None`: for ever.
    fn keep_runs(&self) -> Option<Duration> {
        let days = self.keep_runs.map(|days| u64::from(days) * 86_400);
        match days.or(self.keep_runs_secs) {
            None => HostLimits::default().keep_runs,
            Some(seconds) => Some(seconds).filter(|seconds| *seconds > 0).map(Duration::from_secs),
        }
    }

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
            keep_runs: self.keep_runs(),
            warm_bytes: self.warm_scripts.saturating_mul(MIB),
            artefact_bytes: self.artefact_cache.saturating_mul(MIB),
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
            role: self.role,
            workers: if self.role == Role::Front { 0 } else { self.workers },
            tags: self.tags.clone(),
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
    files::allow_many_open();
    files::make_folder(&args.data).map_err(|error| {
        format!("the data directory {} cannot be made: {error}", args.data.display())
    })?;
    let data = std::fs::canonicalize(&args.data).map_err(|error| {
        format!("the data directory {} cannot be used: {error}", args.data.display())
    })?;
    let opened = Opened::open(args.database.as_deref(), &data).await?;
    let store = opened.store();
    if opened.is_shared() && args.blobs.is_none() {
        return Err(NO_BLOBS.into());
    }
    let blobs = open_blobs(args.blobs.as_deref(), &data).await?;
    let compiler = std::env::current_exe()
        .map_err(|error| format!("this program's own file is not known: {error}"))?;
    let sandbox = SandboxConfig {
        limits: settings.limits,
        cache_dir: data.join("artefacts"),
        artefact_key: keys::artefact_key(args.artefact_key_file.as_deref(), &data)?,
        shelf: shelf(&args, &blobs),
        compiler,
        environment: Vec::new(),
    };
    let sandbox = Sandbox::new(sandbox).map_err(|error| error.to_string())?;
    let listener = TcpListener::bind(&args.listen)
        .await
        .map_err(|error| format!("{} cannot be listened on: {error}", args.listen))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let base_url = args
        .base_url
        .map_or_else(|| format!("http://{address}"), |url| url.trim_end_matches('/').to_owned());

    let token_file = data.join("admin-token");
    let worker_id =
        getrandom::u64().map_err(|error| format!("the system has no randomness: {error}"))? as i64
            & i64::MAX;
    let first = first_start(&*store, worker_id, opened.is_shared(), &token_file).await?;
    if !opened.is_shared() {
        // Nobody else has this directory: what runs according to it was cut off.
        let lost = store.rescue(clock::now(), true).await.map_err(|error| error.to_string())?;
        if lost > 0 {
            tracing::warn!(
                jobs = lost,
                "jobs that were running when the host ended are queued again"
            );
        }
    }
    let value_key_file = args.value_key_file.unwrap_or_else(|| data.join("value-key"));
    let value_key = keys::value_key(&value_key_file, &*store).await?;
    if opened.is_shared() {
        keys::agree(&value_key_file, &value_key, &*store).await?;
    }
    let host = Arc::new(Host {
        resolver: Resolver::new(settings.run_limits),
        admission: Admission::new(&settings.limits),
        base_url: base_url.clone(),
        store,
        shared: opened.is_shared(),
        blobs,
        sandbox,
        tokens: Tokens::default(),
        running: RunningJobs::default(),
        value_key,
        value_writes: Mutex::default(),
        workspace_writes: Mutex::default(),
        house: house::lead(),
        retention_changed: Notify::new(),
        worker: worker_id,
        lease: Lease::of(Duration::from_secs(args.lease)),
        waiters: Arc::new(Waiters::default()),
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
    let config =
        Config { url: base_url.clone(), workspace: "main".into(), token_file: token_file.clone() };
    if token_file.exists()
        && let Err(error) = config::write(&config)
    {
        tracing::warn!(%error, "the client's configuration file could not be written; give --url and --token to the other commands");
    }
    // Before anybody is told that the host is there: who has read that may stop it.
    let signals =
        Signals::listen().map_err(|error| format!("signals cannot be listened to: {error}"))?;
    greet(address, &token_file, first);

    // Before the first claim: a worker without a lease counts as one that went away.
    lease::extend(&host).await;
    let tasks = [
        tokio::spawn(accept::serve(host.clone(), listener)),
        tokio::spawn(at_work(host.clone())),
        tokio::spawn(dispatcher::run(host.clone())),
    ];
    let aside = [
        spawn(&host, |host| async move { house::keep(host).await }),
        spawn(&host, |host| async move { lease::keep(&host).await }),
        spawn(&host, nodes::listen),
    ];
    let code = wait_for_end(&host, &opened, signals, tasks).await;
    for task in aside {
        task.abort();
    }
    house::close(&host).await;
    if let Err(error) = opened.close().await {
        return Err(format!("the store could not be closed cleanly: {error}"));
    }
    tracing::info!("stopped");
    Ok(code)
}

/// What goes on beside requests and jobs until both have ended.
fn spawn<F: Future<Output = ()> + Send + 'static>(
    host: &Arc<Host>,
    task: impl FnOnce(Arc<Host>) -> F,
) -> JoinHandle<()> {
    tokio::spawn(task(host.clone()))
}

/// Runs queued jobs, where that is this process's to do.
async fn at_work(host: Arc<Host>) {
    match host.settings.workers {
        0 => host.stop.draining.cancelled().await,
        _ => worker::work(host).await,
    }
}

/// The place of modules, once it is known to work.
async fn open_blobs(place: Option<&str>, data: &Path) -> Result<Blobs, String> {
    let blobs = match place {
        None => Blobs::local(&data.join("modules")),
        Some(place) => Blobs::open(place),
    };
    let blobs = blobs.map_err(|error| error.to_string())?;
    blobs.check().await.map_err(|error| error.to_string())?;
    Ok(blobs)
}

/// Where compiled scripts are shared: beside modules that are not this host's alone, given a key
/// that isn't either.
fn shelf(args: &Args, blobs: &Blobs) -> Option<Arc<dyn ArtefactShelf>> {
    let (_, _) = (args.blobs.as_ref()?, args.artefact_key_file.as_ref()?);
    Some(Arc::new(Shelf(blobs.clone())))
}

/// Waits for a signal or the store's death, then stops in two phases. A second signal ends the
/// process at once.
async fn wait_for_end(
    host: &Arc<Host>,
    opened: &Opened,
    mut signals: Signals,
    tasks: [JoinHandle<()>; 3],
) -> ExitCode {
    let code = tokio::select! {
        () = signals.next() => ExitCode::SUCCESS,
        reason = opened.failed() => {
            tracing::error!(reason, "the store has failed; the host stops, for nothing more can be kept");
            ExitCode::FAILURE
        }
    };
    tracing::info!(
        grace_seconds = host.settings.limits.stop_grace.as_secs(),
        "stopping: nothing new is taken"
    );
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

/// Where several hosts share a database, they must share the modules too.
const NO_BLOBS: &str = "hosts that share a database must share their modules too: name a bucket by --blobs s3://bucket/prefix, or a \
    directory that all of them have by --blobs /path";

/// The task that only one of several hosts does, which start at once on an empty database.
const FIRST_START: &str = "first start";

/// Makes workspace, user and token where there are none. True when this is the first start.
///
/// The token's row is written before its file, so a start that was cut off between them makes
/// another token. Where the store is shared only a token that nobody has at all is made: the file
/// may be on another machine.
async fn first_start(
    store: &dyn Store,
    node: WorkerId,
    shared: bool,
    token_file: &Path,
) -> Result<bool, String> {
    let failed = |error: wasmill_store::StoreError| format!("the first start failed: {error}");
    // Long enough for two rows and a file, short enough to wait for.
    while !store
        .lead(FIRST_START, node, clock::now(), clock::now() + 5_000_000)
        .await
        .map_err(failed)?
    {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let admin: UserName =
        "admin".parse().map_err(|error: wasmill_core::InvalidName| error.to_string())?;
    let known = !store.list_workspaces().await.map_err(failed)?.is_empty();
    if known
        && (token_file.exists()
            || (shared && !store.list_tokens(&admin).await.map_err(failed)?.is_empty()))
    {
        return Ok(false);
    }
    let workspace: WorkspaceId =
        "main".parse().map_err(|error: wasmill_core::InvalidName| error.to_string())?;
    let now = clock::now();
    match store.create_workspace(&workspace, "Main", now).await {
        Ok(()) | Err(wasmill_store::StoreError::Conflict(_)) => {}
        Err(error) => return Err(failed(error)),
    }
    let admin =
        User { name: admin, email: "admin@localhost".into(), super_admin: true, created: now };
    store.put_user(&admin).await.map_err(failed)?;
    store.put_member(&workspace, &admin.name, wasmill_store::Role::Admin).await.map_err(failed)?;
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
    files::write_private(token_file, token.reveal())
        .map_err(|error| format!("{} cannot be written: {error}", token_file.display()))?;
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
