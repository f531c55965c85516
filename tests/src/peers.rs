//! Programs of others, unmodified: the official clients and SDKs that the programs in `tests/peers`
//! use, and the proxy.

use crate::cli::Cli;
use crate::host::Host;
use crate::{eventually, root};
use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Seconds after which a program is ended that does not end by itself.
const PATIENCE: &str = "300";

/// What `cargo xtask test` installs before the tests.
pub(crate) fn installed(name: &str) -> PathBuf {
    let file = root().join("target/peers").join(name);
    assert!(
        file.exists(),
        "there is no {}; run the tests by `cargo xtask test`, which installs what they need",
        file.display()
    );
    file
}

/// A program in `tests/peers`, which finds the host by the variables that Windmill's clients read.
pub fn peer(host: &Host, program: &str) -> Cli {
    let mut command = Command::new("timeout");
    command.arg(PATIENCE);
    match program.rsplit_once('.') {
        Some((_, "py")) => command
            .arg(installed("python/bin/python"))
            .arg("-B")
            .arg(root().join("tests/peers").join(program)),
        // Node.js looks for packages where a program lies, and is to take the link for that.
        Some((_, "mjs")) => command
            .args(["node", "--preserve-symlinks", "--preserve-symlinks-main"])
            .arg(installed("node/programs").join(program)),
        _ => panic!("{program} is neither Python nor JavaScript"),
    };
    // Nothing of the surroundings but the programs themselves: no proxies, no other host's
    // variables.
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
        .env("BASE_INTERNAL_URL", host.url())
        .env("WM_TOKEN", &host.token)
        .env("WM_WORKSPACE", "main");
    Cli::new(command)
}

/// The proxy with the example of `deploy/Caddyfile`; it ends when this value is dropped.
pub struct Caddy {
    child: Child,
    folder: TempDir,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Caddy {
    /// Starts it in front of a host, with further variables.
    pub fn start(host: &Host, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // What the example leaves to its user: here, to be heard on the loopback only and to have
        // no port for orders.
        let config = folder.path().join("Caddyfile");
        let example = root().join("deploy/Caddyfile");
        std::fs::write(
            &config,
            format!(
                "{{\n\tadmin off\n\tdefault_bind 127.0.0.1\n}}\nimport {}\n",
                example.display()
            ),
        )
        .expect("it is written");
        // Free a moment ago. Caddy cannot be asked to choose one.
        let address = TcpListener::bind("127.0.0.1:0")
            .and_then(|free| free.local_addr())
            .expect("a free port");
        let log = File::create(folder.path().join("log.txt")).expect("a log file");
        let child = Command::new(installed("caddy/usr/bin/caddy"))
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(&config)
            .env_clear()
            .env("HOME", folder.path())
            .env("HOOKS_ADDRESS", format!("http://{address}"))
            .env("WASMILL_ADDRESS", host.address.to_string())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("caddy can be started");
        let mut caddy = Self { child, folder, address };
        eventually("caddy listens", 20, || {
            assert!(matches!(caddy.child.try_wait(), Ok(None)), "caddy has ended: {}", caddy.log());
            TcpStream::connect(address).ok()
        });
        caddy
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log.txt")).expect("caddy's log")
    }
}

impl Drop for Caddy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
