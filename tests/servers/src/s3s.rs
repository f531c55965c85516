//! s3s-fs, a small S3 server in Rust: buckets are folders, so that its data outlive a restart, and
//! it knows its one user.

use crate::folder::Folder;
use crate::process::Process;
use crate::{eventually, free_port, installed, is_listening};
use rustix::process::Signal;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// How often another port is tried when somebody else took the one that was free.
const TRIES: usize = 5;

/// An s3s-fs server.
#[derive(Debug)]
pub struct S3s {
    /// `None` while it is stopped.
    process: Mutex<Option<Process>>,
    port: u16,
    buckets: AtomicU32,
    // Last, for it goes when the process has ended.
    folder: Folder,
}

impl S3s {
    /// The only access key that it takes.
    pub const ACCESS_KEY: &str = "wasmill-tests";
    /// The secret of that key.
    pub const SECRET_KEY: &str = "not-a-secret";

    /// Starts a server without any bucket.
    ///
    /// # Panics
    /// When it is not installed or does not start; its log is in the message.
    pub fn start() -> Self {
        let folder = Folder::new();
        std::fs::create_dir(folder.path().join("data")).expect("a folder for the server's data");
        let mut server =
            Self { process: Mutex::default(), port: 0, buckets: AtomicU32::new(0), folder };
        for _ in 0..TRIES {
            server.port = free_port();
            if server.run() {
                return server;
            }
        }
        panic!("s3s-fs does not start:\n{}", server.log());
    }

    /// `http://127.0.0.1:PORT`
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Makes an empty bucket and returns its name.
    pub fn create_bucket(&self) -> String {
        let name = format!("bucket-{}", self.buckets.fetch_add(1, Ordering::Relaxed));
        std::fs::create_dir(self.bucket(&name)).expect("a folder for the bucket");
        name
    }

    /// The folder of a bucket: an object is the file of its key.
    pub fn bucket(&self, name: &str) -> PathBuf {
        self.folder.path().join("data").join(name)
    }

    /// Ends the server's process; its address refuses connections from then on.
    pub fn stop(&self) {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Starts the server again on its port.
    ///
    /// # Panics
    /// When it does not start; its log is in the message.
    pub fn restart(&self) {
        self.stop();
        assert!(self.run(), "s3s-fs does not start again:\n{}", self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Starts the process and waits until it listens; false when it ended instead.
    fn run(&self) -> bool {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(installed("cargo/bin/s3s-fs")).args([
            "--host",
            "127.0.0.1",
            "--port",
        ]);
        command.arg(self.port.to_string()).args([
            "--access-key",
            Self::ACCESS_KEY,
            "--secret-key",
            Self::SECRET_KEY,
        ]);
        command
            .arg(self.folder.path().join("data"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let mut process = Process::start(command, &self.folder.path().join("log"), Signal::KILL);
        let runs = eventually("s3s-fs listens or ends", 30, || match process.is_running() {
            false => Some(false),
            true => is_listening(self.port).then_some(true),
        });
        if runs {
            *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_its_port_and_its_buckets_over_a_restart() {
        let server = S3s::start();
        let (port, bucket) = (server.port, server.bucket(&server.create_bucket()));
        server.stop();
        assert!(!is_listening(port));
        server.restart();
        assert!(is_listening(port) && bucket.is_dir());
        drop(server);
        assert!(!is_listening(port) && !bucket.exists());
    }
}
