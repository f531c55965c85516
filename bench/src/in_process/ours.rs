//! The sandbox, called as the host calls it for a webhook.

use anyhow::{Result, bail};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use wasmill_core::{Digest, HostLimits, Outcome, RunLimits};
use wasmill_sandbox::{Call, Environment, LogBuffer, Prepared, Sandbox, SandboxConfig};

/// The longest wait of a synchronous caller, which the host wraps every call in.
const SYNC_WAIT: Duration = Duration::from_secs(600);

/// The variables that the host gives to every run, of ordinary lengths.
pub(crate) fn environment() -> Vec<(String, String)> {
    vec![
        ("WM_WORKSPACE".into(), "main".into()),
        ("WM_JOB_ID".into(), "01937f4e-0000-7000-8000-000000000000".into()),
        ("WM_SCRIPT_PATH".into(), "u/admin/hello".into()),
        (
            "WM_SCRIPT_HASH".into(),
            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef".into(),
        ),
        ("WM_BASE_URL".into(), "http://127.0.0.1:8000".into()),
    ]
}

/// A sandbox of its own in `folder`.
pub(crate) fn sandbox(folder: &std::path::Path) -> Result<Arc<Sandbox>> {
    Ok(Sandbox::new(SandboxConfig {
        limits: HostLimits::default(),
        cache_dir: folder.join("artefacts"),
        artefact_key: [7; 32],
        shared_artefacts: None,
        compiler: std::env::current_exe()?,
        environment: Vec::new(),
    })?)
}

/// One script in the sandbox.
pub(crate) struct Ours {
    sandbox: Arc<Sandbox>,
    digest: Digest,
    script: Arc<Prepared>,
    ending: CancellationToken,
}

impl Ours {
    /// Uploads a script.
    pub(crate) async fn new(sandbox: &Arc<Sandbox>, wasm: Vec<u8>) -> Result<Self> {
        let wasm = Bytes::from(wasm);
        let admitted = sandbox.admit(wasm.clone()).await?;
        let script = sandbox.prepare(admitted.digest, admitted.kind, || async { Ok(wasm) }).await?;
        Ok(Self {
            sandbox: sandbox.clone(),
            digest: admitted.digest,
            script,
            ending: CancellationToken::new(),
        })
    }

    /// One call, from JSON to JSON; the log is taken too, as the host does for its record.
    pub(crate) async fn call(&self, args: &str) -> Result<String> {
        let Some(script) = self.sandbox.prepared(&self.digest) else {
            bail!("the script was forgotten")
        };
        let limits = RunLimits::default();
        let log = Arc::new(LogBuffer::new(limits.log_bytes));
        let call = Call {
            args: args.to_owned().into(),
            confidential: false,
            environment: Environment::new(environment),
            limits,
            log: log.clone(),
            cancel: self.ending.child_token(),
        };
        let run = timeout(SYNC_WAIT, self.sandbox.invoke(&script, call)).await?;
        std::hint::black_box(log.finish());
        match run.outcome {
            Outcome::Success(result) => Ok(Box::<str>::from(result).into_string()),
            Outcome::Failure(failure) => bail!("{}: {}", failure.name.as_str(), failure.message),
        }
    }

    /// What a call does before and after the instance: the call put together, its arguments checked
    /// and converted, the log taken.
    pub(crate) fn around(&self, args: &str) -> Result<String> {
        let Some(script) = self.sandbox.prepared(&self.digest) else {
            bail!("the script was forgotten")
        };
        let limits = RunLimits::default();
        let log = Arc::new(LogBuffer::new(limits.log_bytes));
        let call = Call {
            args: args.to_owned().into(),
            confidential: false,
            environment: Environment::new(environment),
            limits,
            log: log.clone(),
            cancel: self.ending.child_token(),
        };
        script.check(&call.args).map_err(|failure| anyhow::Error::msg(failure.message))?;
        std::hint::black_box(log.finish());
        std::hint::black_box(call);
        Ok(String::new())
    }

    /// The arguments alone.
    pub(crate) fn check(&self, args: &str) -> Result<String> {
        self.script.check(args).map_err(|failure| anyhow::Error::msg(failure.message))?;
        Ok(String::new())
    }
}
