//! One process per data directory: the host's caches are right only while nobody else writes to the file.
//!
//! The lock is the operating system's, on a file of its own, so that it ends with the process however that ends, and
//! tools may still read the database.

use crate::{Result, StoreError};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

/// Name of the lock file in the data directory.
const NAME: &str = "wasmill.lock";

/// The lock; given up when dropped.
#[derive(Debug)]
pub(super) struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes the lock, at once or not at all.
    ///
    /// # Errors
    /// `Unavailable` when another process has it, naming that process where it can.
    pub(super) fn take(dir: &Path) -> Result<Self> {
        let path = dir.join(NAME);
        let failed = |error: std::io::Error| StoreError::Unavailable(format!("the lock file {}: {error}", path.display()));
        let mut options = OpenOptions::new();
        options.create(true).read(true).write(true).truncate(false);
        let mut file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // Only for the message: without it the sentence is less helpful, not wrong.
                let _ = file.read_to_string(&mut owner);
                return Err(StoreError::Unavailable(format!(
                    "the data directory {} is in use by another wasmill process{}; stop it first, or choose another data directory",
                    dir.display(),
                    owner.trim().parse::<u32>().map(|pid| format!(" (pid {pid})")).unwrap_or_default()
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
