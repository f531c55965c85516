//! Files of backups: measured, copied and written so that they are on the disk.

use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use wasmill_core::Digest;

/// Bytes read at once.
const PART: usize = 1 << 20;

/// One file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Its size.
    pub(crate) bytes: u64,
    /// Its SHA-256, in 64 hex digits.
    #[serde(with = "hex")]
    pub(crate) sha256: Digest,
}

/// Digests as people compare them.
mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use wasmill_core::Digest;

    pub(super) fn serialize<S: Serializer>(
        digest: &Digest,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&digest.to_hex())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Digest, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The size and the digest of a file.
///
/// # Errors
/// What the disk says.
pub(super) fn measure(file: &Path) -> io::Result<Entry> {
    pour(&mut File::open(file)?, &mut io::sink())
}

/// Copies a file to a new one for its owner only, durably, and measures what was copied.
///
/// # Errors
/// What the disk says, also when there is a file already.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<Entry> {
    let mut file = create(to)?;
    let entry = pour(&mut File::open(from)?, &mut file)?;
    file.sync_all()?;
    Ok(entry)
}

/// Writes a new file for its owner only, durably.
///
/// # Errors
/// As `copy`.
pub(super) fn write_new(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create(file)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn create(file: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)
}

fn pour(from: &mut impl Read, to: &mut impl Write) -> io::Result<Entry> {
    let (mut part, mut digest, mut bytes) = (vec![0; PART], sha2::Sha256::new(), 0);
    loop {
        let read = from.read(&mut part)?;
        let Some(read) = part.get(..read).filter(|read| !read.is_empty()) else { break };
        digest.update(read);
        to.write_all(read)?;
        bytes += read.len() as u64;
    }
    Ok(Entry { bytes, sha256: Digest(digest.finalize().into()) })
}

/// Makes a directory for its owner only; one that is there must be empty.
///
/// # Errors
/// A sentence naming it.
pub(super) fn empty_directory(directory: &Path, what: &str) -> Result<(), String> {
    let failed = |error: io::Error| format!("{} cannot be made: {error}", directory.display());
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    let mut entries = std::fs::read_dir(directory)
        .map_err(|error| format!("{} cannot be read: {error}", directory.display()))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => {
            Err(format!("{} is not empty; name a new directory for {what}", directory.display()))
        }
    }
}

/// The paths of all files below a directory.
///
/// # Errors
/// A sentence naming what cannot be read, or is neither file nor directory.
pub(super) fn files_below(directory: &Path) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut open = vec![String::new()];
    while let Some(inner) = open.pop() {
        let here = directory.join(&inner);
        let failed = |error: io::Error| format!("{} cannot be read: {error}", here.display());
        for entry in std::fs::read_dir(&here).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let path = if inner.is_empty() {
                name.to_string_lossy().into_owned()
            } else {
                format!("{inner}/{}", name.to_string_lossy())
            };
            let kind = entry.file_type().map_err(failed)?;
            match (kind.is_dir(), kind.is_file()) {
                (true, _) => open.push(path),
                (_, true) => found.push(path),
                _ => {
                    return Err(format!(
                        "{} is neither a file nor a directory",
                        directory.join(path).display()
                    ));
                }
            }
        }
    }
    Ok(found)
}
