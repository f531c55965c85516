//! The arguments of `wasmill serve`.

use crate::outbox::Telling;
use crate::settings::{Role, Settings};
use std::path::PathBuf;
use std::time::Duration;
use wasmill_core::answer::Policy;
use wasmill_core::limits::CompileLimits;
use wasmill_core::outbox::Backoff;
use wasmill_core::{HostLimits, RunLimits};

/// Arguments of `serve`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where everything is kept
    #[arg(long, default_value = "data", env = "WASMILL_DATA")]
    pub(super) data: PathBuf,
    /// Database that several hosts share: postgres://user:password@address:5432/name. Unless set, a
    /// file in the data directory keeps everything, for this host alone
    #[arg(long, env = "WASMILL_DATABASE", hide_env_values = true)]
    pub(super) database: Option<String>,
    /// What this host does: answer requests, run queued jobs, or both
    #[arg(long, value_enum, default_value_t = Role::All)]
    pub(super) role: Role,
    /// Tags of the queued jobs that this host runs, comma separated; unless set, all
    #[arg(long, value_delimiter = ',')]
    pub(super) tags: Vec<String>,
    /// Seconds without a sign of life after which others take over the jobs that a host runs
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(2..=3_600))]
    pub(super) lease: u64,
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8000", env = "WASMILL_LISTEN")]
    pub(super) listen: String,
    /// The address that callers use, when it is not the one listened on
    #[arg(long, env = "WASMILL_BASE_URL")]
    pub(super) base_url: Option<String>,
    /// Longest wait of a synchronous caller, seconds; then 504 and the run is cancelled
    #[arg(long, default_value_t = 600, env = "TIMEOUT_WAIT_RESULT")]
    pub(super) sync_timeout: u64,
    /// Status of a synchronous call whose run failed
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(200..600))]
    pub(super) sync_failure_status: u16,
    /// Headers that become arguments of every call, comma separated
    #[arg(long, default_value = "", env = "INCLUDE_HEADERS")]
    pub(super) include_headers: String,
    /// Runs at the same time, synchronous and queued together
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..100_000))]
    pub(super) concurrency: u32,
    /// Queued jobs that run at the same time; 0 leaves them in the queue
    #[arg(long, default_value_t = 32)]
    pub(super) workers: u32,
    /// Longest run, seconds
    #[arg(long, default_value_t = 300)]
    pub(super) run_timeout: u64,
    /// Memory of one run, MiB
    #[arg(long, default_value_t = 256)]
    pub(super) run_memory: u64,
    /// Largest body of a call, MiB
    #[arg(long, default_value_t = 16)]
    pub(super) body_limit: u64,
    /// Longest time for the body of a request to arrive, seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..86_400))]
    pub(super) body_timeout: u64,
    /// Largest module, MiB
    #[arg(long, default_value_t = 64)]
    pub(super) module_limit: u64,
    /// Processor seconds that compiling one module may take
    #[arg(long, default_value_t = 60)]
    pub(super) compile_cpu: u64,
    /// Memory that compiling one module may take, MiB
    #[arg(long, default_value_t = 2048)]
    pub(super) compile_memory: u64,
    /// Seconds that running requests and jobs get to finish when the host is stopped
    #[arg(long, default_value_t = 10)]
    pub(super) stop_grace: u64,
    /// Jobs that may wait in one workspace; further ones are answered 429. 0 for any number
    #[arg(long, default_value_t = 1_000_000)]
    pub(super) queue_limit: u64,
    /// Days for which finished jobs are kept, 30 unless set; 0 for ever. Workspaces and scripts can
    /// have them kept shorter
    #[arg(long, value_name = "DAYS")]
    pub(super) keep_runs: Option<u32>,
    /// The same in seconds
    #[arg(long, value_name = "SECONDS", env = "JOB_RETENTION_SECS")]
    pub(super) keep_runs_secs: Option<u64>,
    /// The key that variables and resources are sealed with; <data>/value-key unless set
    #[arg(long, env = "WASMILL_VALUE_KEY_FILE")]
    pub(super) value_key_file: Option<PathBuf>,
    /// Where modules are kept: a directory, or s3://BUCKET/PREFIX?region=...&endpoint=...;
    /// <data>/modules unless set
    #[arg(long, value_name = "PLACE", env = "WASMILL_BLOBS")]
    pub(super) blobs: Option<String>,
    /// The key that authenticates compiled scripts: the same one on all hosts with the same
    /// --blobs, which then share what they compile; <data>/host-secret unless set
    #[arg(long, value_name = "FILE", env = "WASMILL_ARTEFACT_KEY_FILE")]
    pub(super) artefact_key_file: Option<PathBuf>,
    /// Compiled scripts kept ready in memory, MiB; those used longest ago are dropped, and loaded
    /// from disk when called
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    pub(super) warm_scripts: u64,
    /// Compiled scripts kept on disk, MiB; those used longest ago are removed
    #[arg(long, value_name = "MIB", default_value_t = 10_240)]
    pub(super) artefact_cache: u64,
    /// Make synchronous callers wait until their run's record is on disk
    #[arg(long)]
    pub(super) durable_sync: bool,
    /// Let workspaces' webhooks be on addresses that are not public: loopback, private networks
    #[arg(long)]
    pub(super) allow_private_webhooks: bool,
    /// Milliseconds between the first two attempts to tell a workspace's webhook; all later times
    /// scale with it
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub(super) webhook_retry_base: u64,
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

    /// How workspaces' webhooks are told of changes.
    pub(super) fn telling(&self) -> Telling {
        Telling {
            allow_private: self.allow_private_webhooks,
            backoff: Backoff::with_base(Duration::from_millis(self.webhook_retry_base)),
            limits: HostLimits::default().delivery,
        }
    }

    /// What they mean for the parts of the host.
    pub(super) fn settings(&self) -> Settings {
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
            lease: Duration::from_secs(self.lease),
        }
    }
}
