//! One process per data directory: the host's caches are right only while nobody else writes to the
//! file.
//!
//! The lock is the operating system's, on a file of its own, so that it ends with the process
//! however that ends, and tools may still read the database.

use crate::{Result, StoreError};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Name of the lock file in the data directory.
const NAME: &str = "wasmill.lock";

/// How long it is waited for a lock that was given up: a process that is just starting another one
/// lends it its own open files for a moment, locks among them.
const LENT: Duration = Duration::from_millis(500);

fn lock(file: &File) -> std::result::Result<(), TryLockError> {
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if begun.elapsed() < LENT => {
                std::thread::sleep(Duration::from_millis(10))
            }
            locked => return locked,
        }
    }
}

/// The lock; given up when dropped.
#[derive(Debug)]
pub(super) struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes the lock, at once or hardly later.
    ///
    /// # Errors
    /// `Unavailable` when another process has it, naming that process where it can.
    pub(super) fn take(dir: &Path) -> Result<Self> {
        let path = dir.join(NAME);
        let failed = |error: std::io::Error| {
            StoreError::Unavailable(format!("the lock file {}: {error}", path.display()))
        };
        let mut options = OpenOptions::new();
        options.create(true).read(true).write(true).truncate(false);
        let mut file = options.open(&path).map_err(failed)?;
        match lock(&file) {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // Only for the message: without it the sentence is less helpful, not wrong.
                let _ = file.read_to_string(&mut owner);
                return Err(StoreError::Unavailable(format!(
                    "the data directory {} is in use by another wasmill process{}; stop it first, or choose another data directory",
                    dir.display(),
                    owner
                        .trim()
                        .parse::<u32>()
                        .map(|pid| format!(" (pid {pid})"))
                        .unwrap_or_default()
                )));
            }
        }
        match file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())) {
            // Without it, the sentence above is less helpful.
            Err(error) if error.kind() == ErrorKind::StorageFull => {}
            written => written.map_err(failed)?,
        }
        Ok(Self { _file: file })
    }
}
