//! A folder that hosts are started on, one after the other: data, client configuration, logs.

use crate::cli::Cli;
use crate::host::Host;
use crate::root;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// Variables that would change what the host or its client does.
const CLEARED: [&str; 24] = [
    "JOB_RETENTION_SECS",
    "WASMILL_DATABASE",
    "WASMILL_DATA",
    "WASMILL_LISTEN",
    "WASMILL_BASE_URL",
    "WASMILL_URL",
    "WASMILL_TOKEN",
    "WASMILL_WORKSPACE",
    "WASMILL_CONFIG",
    "WASMILL_LOG",
    "WASMILL_VALUE_KEY_FILE",
    "WASMILL_BLOBS",
    "WASMILL_ARTEFACT_KEY_FILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_ENDPOINT_URL",
    "TIMEOUT_WAIT_RESULT",
    "INCLUDE_HEADERS",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// The folder. It goes away with the last copy of this value, and so outlives a host that is
/// killed.
#[derive(Clone)]
pub struct Home {
    folder: Arc<TempDir>,
    starts: Arc<AtomicU32>,
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    /// An empty one.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("wasmill-tests-")
            .tempdir()
            .expect("a temporary folder");
        Self { folder: Arc::new(folder), starts: Arc::default() }
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file or folder in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Starts a host on it with further arguments of `serve`.
    pub fn start(&self, args: &[&str]) -> Host {
        self.start_with(args, &[])
    }

    /// Starts a host on it with further arguments and variables.
    pub fn start_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Host {
        self.start_with_token(args, variables, None)
    }

    /// The same of a host whose admin's token is known, and not written by it.
    pub(crate) fn start_with_token(
        &self,
        args: &[&str],
        variables: &[(&str, &str)],
        token: Option<&str>,
    ) -> Host {
        let mut command = self.command();
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(self.data()).args(args);
        command.envs(variables.iter().copied());
        let number = self.starts.fetch_add(1, Ordering::Relaxed);
        Host::spawn(self.clone(), command, self.path(&format!("log-{number}.txt")), token)
    }

    /// The command line, reading the configuration that a host on this home writes.
    pub fn cli(&self, args: &[&str]) -> Cli {
        let mut command = self.command();
        command.args(args);
        Cli::new(command)
    }

    /// Another program as a user's shell would start it: with `wasmill` in its path, and
    /// configured.
    pub(crate) fn shell(&self, program: &str) -> Command {
        let binary = binary();
        let folders = binary.parent().map(Path::to_path_buf).into_iter();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path =
            std::env::join_paths(folders.chain(std::env::split_paths(&path))).expect("a path");
        let mut command = self.settled(Command::new(program));
        command.env("PATH", path);
        command
    }

    /// The binary in an environment that knows nothing but this home.
    fn command(&self) -> Command {
        self.settled(Command::new(binary()))
    }

    fn settled(&self, mut command: Command) -> Command {
        for name in CLEARED {
            command.env_remove(name);
        }
        command
            .env("WASMILL_CONFIG", self.path("client/config.json"))
            .env("HOME", self.folder.path())
            .current_dir(self.folder.path());
        command
    }
}

/// `$WASMILL_BIN`, else the release build of this tree.
fn binary() -> PathBuf {
    let file = match std::env::var_os("WASMILL_BIN") {
        Some(file) => PathBuf::from(file),
        None => root().join("target/release/wasmill"),
    };
    assert!(
        Path::exists(&file),
        "there is no {}; run the tests by `cargo xtask test`, which builds what they need",
        file.display()
    );
    file
}
