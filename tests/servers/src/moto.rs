//! Moto, a model of AWS's services in Python: what it knows of S3 is close to the original.
//! Everything is in its memory, and any credentials are good.

use crate::folder::Folder;
use crate::process::Process;
use crate::{eventually, free_port, installed, is_listening};
use rustix::process::Signal;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// How often another port is tried when somebody else took the one that was free.
const TRIES: usize = 5;

/// A moto server.
#[derive(Debug)]
pub struct Moto {
    port: u16,
    buckets: AtomicU32,
    _process: Process,
    // Last, for it goes when the process has ended.
    _folder: Folder,
}

impl Moto {
    /// Starts a server without any bucket.
    ///
    /// # Panics
    /// When it is not installed or does not start; its log is in the message.
    pub fn start() -> Self {
        let folder = Folder::new();
        let log = folder.path().join("log");
        for _ in 0..TRIES {
            let port = free_port();
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL"]).arg(installed("python/bin/python"));
            command
                .args(["-m", "moto.server", "--host", "127.0.0.1", "--port"])
                .arg(port.to_string());
            // Nothing of the surroundings: no proxies, no credentials.
            command
                .env_clear()
                .env("PATH", std::env::var_os("PATH").unwrap_or_default())
                .current_dir(folder.path());
            let mut process = Process::start(command, &log, Signal::KILL);
            let runs = eventually("moto listens or ends", 60, || match process.is_running() {
                false => Some(false),
                true => is_listening(port).then_some(true),
            });
            if runs {
                return Self {
                    port,
                    buckets: AtomicU32::new(0),
                    _process: process,
                    _folder: folder,
                };
            }
        }
        panic!("moto does not start:\n{}", std::fs::read_to_string(log).unwrap_or_default());
    }

    /// One server for all tests of this process that only need buckets of their own. It ends with
    /// the last that has it.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Moto>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return server;
        }
        let server = Arc::new(Self::start());
        *shared = Arc::downgrade(&server);
        server
    }

    /// `http://127.0.0.1:PORT`
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Makes an empty bucket and returns its name.
    ///
    /// # Panics
    /// When the server does not make it.
    pub fn create_bucket(&self) -> String {
        let name = format!("bucket-{}", self.buckets.fetch_add(1, Ordering::Relaxed));
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("moto listens");
        write!(stream, "PUT /{name} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").expect("it is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_makes_buckets_and_goes_with_its_owner() {
        let server = Moto::start();
        assert_ne!(server.create_bucket(), server.create_bucket());
        let port = server.port;
        drop(server);
        assert!(!is_listening(port));
    }
}
