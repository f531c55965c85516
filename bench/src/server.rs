//! The processes that are measured: started, found by the address that they print, and stopped by
//! their id.

use crate::load::{self, Answer, Shot};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::Method;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Where a server tells its address.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Says {
    /// On standard output.
    Stdout,
    /// On standard error.
    Stderr,
}

/// The address in a line such as `listening on http://127.0.0.1:8000`, or workerd's
/// `{"event":"listen","socket":"http","port":8000}`.
fn address_in(line: &str) -> Option<SocketAddr> {
    if let Some((_, rest)) = line.split_once("http://") {
        let end =
            rest.find(|letter: char| letter.is_whitespace() || letter == '/').unwrap_or(rest.len());
        return rest.get(..end)?.parse().ok();
    }
    let event: serde_json::Value = serde_json::from_str(line).ok()?;
    let port = u16::try_from(event.get("port")?.as_u64()?).ok()?;
    Some(SocketAddr::from(([127, 0, 0, 1], port)))
}

/// A running server; it ends when this is dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a program and waits for the line that tells its address.
    pub(crate) fn start(mut command: Command, says: Says) -> Result<Self> {
        let name = format!("{command:?}");
        command.stdin(Stdio::piped());
        match says {
            Says::Stdout => command.stdout(Stdio::piped()),
            Says::Stderr => command.stdout(Stdio::null()).stderr(Stdio::piped()),
        };
        let child = command.spawn().with_context(|| format!("{name} cannot be started"))?;
        // From here on the child is ended whatever happens.
        let mut server = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let output: Box<dyn Read + Send> = match says {
            Says::Stdout => Box::new(server.child.stdout.take().context("it has no output")?),
            Says::Stderr => Box::new(server.child.stderr.take().context("it has no output")?),
        };
        let mut output = BufReader::new(output);
        let mut said = String::new();
        loop {
            let begin = said.len();
            ensure!(output.read_line(&mut said)? > 0, "{name} did not start: it says {said:?}");
            if let Some(address) = said.get(begin..).and_then(address_in) {
                server.address = address;
                break;
            }
        }
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
        // Standard input is held open until the wait, which closes it: the bare server ends by
        // that.
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
pub(crate) fn program(path: &Path, processor: Option<usize>) -> Command {
    launched(&on_processor(processor), path)
}

/// The words before a program that put it on one processor.
fn on_processor(processor: Option<usize>) -> Vec<String> {
    processor.map_or_else(Vec::new, |processor| {
        ["taskset", "--cpu-list", &processor.to_string()].map(str::to_owned).into()
    })
}

/// A program that is started by another one, which the words name.
fn launched(words: &[String], path: &Path) -> Command {
    match words {
        [] => Command::new(path),
        [launcher, arguments @ ..] => {
            let mut command = Command::new(launcher);
            command.args(arguments).arg(path);
            command
        }
    }
}

/// Starts the server without WebAssembly, or the one with a bare engine that calls `script`.
pub(crate) fn bare(processor: Option<usize>, script: Option<&Path>) -> Result<Server> {
    let mut command = program(&std::env::current_exe()?, processor);
    command.arg("bare");
    if let Some(script) = script {
        command.arg("--script").arg(script);
    }
    Server::start(command, Says::Stdout)
}

/// The binary to measure: `WASMILL_BIN`, else the one beside this program.
fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("WASMILL_BIN") {
        return Ok(path.into());
    }
    let beside = std::env::current_exe()?.with_file_name("wasmill");
    ensure!(
        beside.exists(),
        "{} is missing; `cargo build --release --workspace --bins` builds it, or set WASMILL_BIN",
        beside.display()
    );
    Ok(beside)
}

/// The real host, in a directory of its own.
pub(crate) struct Host {
    // Before the directory, so that it is stopped first.
    server: Server,
    token: String,
    launcher: Vec<String>,
    arguments: Vec<String>,
    folder: TempDir,
}

impl Host {
    /// Starts it on an empty directory. `arguments`: further ones of `wasmill serve`.
    pub(crate) fn start(processor: Option<usize>, arguments: &[&str]) -> Result<Self> {
        Self::launch(on_processor(processor), arguments)
    }

    /// The same by another program, which the words of `launcher` name.
    pub(crate) fn launch(launcher: Vec<String>, arguments: &[&str]) -> Result<Self> {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self::on(tempfile::tempdir()?, launcher, arguments)
    }

    /// Stops it, and starts it on what it has written.
    pub(crate) fn restart(self) -> Result<Self> {
        let Self { server, launcher, arguments, folder, .. } = self;
        drop(server);
        Self::on(folder, launcher, arguments)
    }

    fn on(folder: TempDir, launcher: Vec<String>, arguments: Vec<String>) -> Result<Self> {
        let (data, log) = (folder.path().join("data"), folder.path().join("log"));
        let mut command = launched(&launcher, &binary()?);
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WASMILL_"))
        {
            command.env_remove(name);
        }
        command.env("WASMILL_CONFIG", folder.path().join("config.json")).env("WASMILL_LOG", "warn");
        command
            .arg("serve")
            .arg("--data")
            .arg(&data)
            .args(["--listen", "127.0.0.1:0"])
            .args(&arguments)
            .stderr(File::create(&log)?);
        let server = Server::start(command, Says::Stdout)
            .with_context(|| std::fs::read_to_string(&log).unwrap_or_default())?;
        let token = std::fs::read_to_string(data.join("admin-token"))
            .context("the host wrote no token")?
            .trim()
            .to_owned();
        Ok(Self { server, token, launcher, arguments, folder })
    }

    /// Deploys a script in a workspace. `at` is its path, and a query if it needs one. Returns the
    /// version's hash.
    pub(crate) fn deploy(
        &self,
        runtime: &Runtime,
        workspace: &str,
        at: &str,
        wasm: impl Into<Bytes>,
    ) -> Result<String> {
        let upload = self.shot_in(
            workspace,
            Method::POST,
            &format!("scripts/upload/p/{at}"),
            "application/wasm",
            wasm,
        );
        let answer = self.ask(runtime, &upload)?;
        Ok(String::from_utf8_lossy(&answer.body).trim_matches('"').to_owned())
    }

    /// Sends one request; an answer that is no success is an error.
    pub(crate) fn ask(&self, runtime: &Runtime, shot: &Shot) -> Result<Answer> {
        let answer = runtime.block_on(load::once(self.server.address, shot))?;
        ensure!(
            answer.status.is_success(),
            "{} is answered {} {}",
            shot.path,
            answer.status,
            String::from_utf8_lossy(&answer.body)
        );
        Ok(answer)
    }

    /// Its process and address.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// A request to a route of the workspace `main`.
    pub(crate) fn shot(
        &self,
        method: Method,
        route: &str,
        content_type: &'static str,
        body: impl Into<Bytes>,
    ) -> Shot {
        self.shot_in("main", method, route, content_type, body)
    }

    /// A request to a route of a workspace.
    pub(crate) fn shot_in(
        &self,
        workspace: &str,
        method: Method,
        route: &str,
        content_type: &'static str,
        body: impl Into<Bytes>,
    ) -> Shot {
        Shot {
            method,
            path: format!("/api/w/{workspace}/{route}"),
            token: Some(format!("Bearer {}", self.token)),
            content_type,
            body: body.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let found = |line| address_in(line).map(|address| address.to_string());
        assert_eq!(found("listening on http://127.0.0.1:81\n").as_deref(), Some("127.0.0.1:81"));
        assert_eq!(
            found("Serving HTTP on http://127.0.0.1:82/\n").as_deref(),
            Some("127.0.0.1:82")
        );
        assert_eq!(
            found(r#"{"event":"listen","socket":"http","port":83}"#).as_deref(),
            Some("127.0.0.1:83")
        );
        assert_eq!(found("warning: nothing"), None);
    }
}
