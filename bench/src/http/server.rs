//! The processes that are measured: started, found by the address that they print, and stopped by their id.

use super::load::{self, Shot};
use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::Method;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A running server; it ends when this is dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Server {
    fn start(mut command: Command) -> Result<Self> {
        let name = format!("{command:?}");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().with_context(|| format!("{name} cannot be started"))?;
        // From here on the child is ended whatever happens.
        let mut server = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let mut output = BufReader::new(server.child.stdout.take().context("it has no output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let address =
            line.trim().strip_prefix("listening on http://").with_context(|| format!("{name} did not start: it says {line:?}"))?;
        server.address = address.parse()?;
        // Read on, so that it never finds its output closed.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        Ok(server)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        // Standard input is held open until the wait, which closes it: the bare server ends by that.
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Puts a program on one processor, if asked to.
fn program(path: &Path, processor: Option<usize>) -> Command {
    match processor {
        None => Command::new(path),
        Some(processor) => {
            let mut command = Command::new("taskset");
            command.args(["--cpu-list", &processor.to_string()]).arg(path);
            command
        }
    }
}

/// Starts the server without WebAssembly.
pub(crate) fn bare(processor: Option<usize>) -> Result<Server> {
    let mut command = program(&std::env::current_exe()?, processor);
    command.arg("bare");
    Server::start(command)
}

/// The real host with `hello` deployed, in a directory of its own.
pub(crate) struct Host {
    // Before the directory, so that it is stopped first.
    server: Server,
    token: String,
    _folder: TempDir,
}

/// The binary to measure: `WASMILL_BIN`, else the one beside this program.
fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("WASMILL_BIN") {
        return Ok(path.into());
    }
    let beside = std::env::current_exe()?.with_file_name("wasmill");
    ensure!(beside.exists(), "{} is missing; `cargo build --release -p wasmill` builds it, or set WASMILL_BIN", beside.display());
    Ok(beside)
}

impl Host {
    /// Starts it and deploys `wasm` as `u/admin/hello`, and as `u/admin/limited`, of which a thousand may run at once.
    pub(crate) fn start(runtime: &tokio::runtime::Runtime, wasm: Vec<u8>, processor: Option<usize>, durable: bool) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (data, log) = (folder.path().join("data"), folder.path().join("log"));
        let mut command = program(&binary()?, processor);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WASMILL_")) {
            command.env_remove(name);
        }
        command.env("WASMILL_CONFIG", folder.path().join("config.json")).env("WASMILL_LOG", "warn");
        command.arg("serve").arg("--data").arg(&data).args(["--listen", "127.0.0.1:0"]).stderr(File::create(&log)?);
        if durable {
            command.arg("--durable-sync");
        }
        let server = Server::start(command).with_context(|| std::fs::read_to_string(&log).unwrap_or_default())?;
        let token = std::fs::read_to_string(data.join("admin-token")).context("the host wrote no token")?.trim().to_owned();
        let host = Self { server, token, _folder: folder };
        for route in ["scripts/upload/p/u/admin/hello", "scripts/upload/p/u/admin/limited?concurrent_limit=1000"] {
            let upload = host.shot(Method::POST, route, "application/wasm", wasm.clone());
            let answer = runtime.block_on(load::once(host.server.address, &upload))?;
            if !answer.status.is_success() {
                bail!("{route} was not taken: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
            }
        }
        Ok(host)
    }

    /// Its process and address.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// A request to a route of the workspace.
    pub(crate) fn shot(&self, method: Method, route: &str, content_type: &'static str, body: impl Into<Bytes>) -> Shot {
        Shot {
            method,
            path: format!("/api/w/main/{route}"),
            token: Some(format!("Bearer {}", self.token)),
            content_type,
            body: body.into(),
        }
    }
}
