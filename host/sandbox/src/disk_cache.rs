//! The directory of compiled scripts on the disk of the host: files by name, with a limit on their
//! total size.
//!
//! The directory is accessible to its owner alone, and symbolic links are not followed. A file gets
//! its name when it is complete. This module does not look at the content of the files. When the
//! total size exceeds the limit, the files that were used longest ago are removed. A script that is
//! ready in memory is in use. The modification time of a file tells when an earlier process used
//! it.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// The prefix of the names of files that are not complete yet.
const UNFINISHED: &str = ".new-";
/// An incomplete file of this age has no writer any more.
const ABANDONED: Duration = Duration::from_secs(3_600);

/// The directory of compiled scripts.
pub(crate) struct DiskCache {
    directory: PathBuf,
    /// Limit of the total size of all files, in bytes.
    max_bytes: u64,
    /// Limit of the size of a file that is opened, in bytes.
    max_file_bytes: u64,
    index: Mutex<Index>,
    temporary: AtomicU64,
}

/// What the directory holds.
#[derive(Default)]
struct Index {
    files: HashMap<String, FileEntry>,
    bytes: u64,
}

struct FileEntry {
    bytes: u64,
    used: SystemTime,
}

impl DiskCache {
    /// Opens the directory and makes it if it does not exist. Makes it accessible to its owner
    /// alone, and removes files until their total size is at most `max_bytes`.
    ///
    /// # Errors
    /// When the directory cannot be made or read, when it is a symbolic link or no directory, or
    /// when its permissions cannot be changed.
    pub(crate) fn open(directory: &Path, max_bytes: u64, max_file_bytes: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let found = fs::symlink_metadata(directory)?;
        if !found.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::NotADirectory,
                "it is a link or no directory",
            ));
        }
        if found.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(directory, Permissions::from_mode(0o700))?;
        }
        let index = Mutex::new(scan(directory)?);
        let cache = Self {
            directory: directory.to_owned(),
            max_bytes,
            max_file_bytes,
            index,
            temporary: AtomicU64::new(0),
        };
        cache.shrink(|_| false);
        Ok(cache)
    }

    /// Opens a file for reading. Waits for the disk.
    ///
    /// # Errors
    /// `NotFound` when there is no such file. `InvalidData` when it is no regular file, has more
    /// than `max_file_bytes`, or is writable by other users. Other errors of the disk.
    pub(crate) fn open_file(&self, name: &str) -> io::Result<File> {
        let flags = rustix::fs::OFlags::NOFOLLOW.union(rustix::fs::OFlags::NONBLOCK).bits() as i32;
        let file =
            OpenOptions::new().read(true).custom_flags(flags).open(self.directory.join(name))?;
        let found = file.metadata()?;
        if !found.is_file() || found.len() > self.max_file_bytes {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it is no plain file of a sensible size",
            ));
        }
        if found.permissions().mode() & 0o022 != 0
            || found.uid() != rustix::process::geteuid().as_raw()
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "others than this user may write to it",
            ));
        }
        self.mark_used(name);
        Ok(file)
    }

    /// Sets the modification time of a file to now, so that the next process knows when it was
    /// used. This process keeps that time in memory. May wait for the disk.
    pub(crate) fn touch(file: &File) {
        let _ = file.set_modified(SystemTime::now());
    }

    /// Writes a file and replaces the file of that name. Then removes other files until the total
    /// size fits, but none for which `in_use` is true. Waits for the disk. Returns the file, open
    /// for reading; `None` when `bytes` alone exceed the limit, and nothing was written.
    ///
    /// # Errors
    /// Errors of the disk.
    pub(crate) fn write(
        &self,
        name: &str,
        bytes: &[u8],
        in_use: impl Fn(&str) -> bool,
    ) -> io::Result<Option<File>> {
        let length = bytes.len() as u64;
        if length > self.max_bytes {
            return Ok(None);
        }
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = self.directory.join(format!("{UNFINISHED}{}-{number}", std::process::id()));
        let written = self.put(name, bytes, &temporary).inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })?;
        self.index().insert(name.to_owned(), length, SystemTime::now());
        self.shrink(|other| other == name || in_use(other));
        Ok(Some(written))
    }

    fn put(&self, name: &str, bytes: &[u8], temporary: &Path) -> io::Result<File> {
        // A process that had the same id and was killed may have left a file of that name.
        let _ = fs::remove_file(temporary);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(temporary)?;
        file.write_all(bytes)?;
        // The file may be mapped from now on, so its permissions forbid to write to it.
        file.set_permissions(Permissions::from_mode(0o400))?;
        // The file is not synced: a file that a power failure left incomplete is not authentic, and
        // the script is compiled again.
        fs::rename(temporary, self.directory.join(name))?;
        Ok(file)
    }

    /// Records that a file is used now.
    pub(crate) fn mark_used(&self, name: &str) {
        if let Some(entry) = self.index().files.get_mut(name) {
            entry.used = SystemTime::now();
        }
    }

    /// Removes a file, if there is one. Waits for the disk.
    ///
    /// # Errors
    /// Errors of the disk.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        self.index().take(name);
        match fs::remove_file(self.directory.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes files until the total size fits, the ones that were used longest ago first.
    fn shrink(&self, in_use: impl Fn(&str) -> bool) {
        if self.index().bytes <= self.max_bytes {
            return;
        }
        let mut all: Vec<(SystemTime, String)> =
            self.index().files.iter().map(|(name, entry)| (entry.used, name.clone())).collect();
        all.sort();
        for (_, name) in all {
            if self.index().bytes <= self.max_bytes {
                return;
            }
            if in_use(&name) {
                continue;
            }
            match self.remove(&name) {
                Ok(()) => tracing::debug!(
                    name,
                    "a compiled script was removed from the disk to make room"
                ),
                Err(error) => {
                    tracing::warn!(name, %error, "a compiled script could not be removed")
                }
            }
        }
        let (bytes, max_bytes) = (self.index().bytes, self.max_bytes);
        if bytes > max_bytes {
            tracing::warn!(
                bytes,
                max_bytes,
                "the compiled scripts in use need more room on the disk than they may have"
            );
        }
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        // A panic cannot leave the index half changed.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    fn insert(&mut self, name: String, bytes: u64, used: SystemTime) {
        self.take(&name);
        self.bytes = self.bytes.saturating_add(bytes);
        self.files.insert(name, FileEntry { bytes, used });
    }

    fn take(&mut self, name: &str) {
        if let Some(entry) = self.files.remove(name) {
            self.bytes = self.bytes.saturating_sub(entry.bytes);
        }
    }
}

/// Reads the directory, and removes incomplete files that a killed process has left.
fn scan(directory: &Path) -> io::Result<Index> {
    let mut index = Index::default();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // The file was removed meanwhile, or its name is none that this program gives.
        let (Ok(found), Ok(name)) = (entry.metadata(), entry.file_name().into_string()) else {
            continue;
        };
        let changed = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        if !name.starts_with(UNFINISHED) {
            if found.is_file() {
                index.insert(name, found.len(), changed);
            }
        } else if changed.elapsed().is_ok_and(|age| age > ABANDONED) {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn age(directory: &Path, name: &str, seconds: u64) {
        let file = fs::File::options().write(true).open(directory.join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let directory = tempfile::tempdir().unwrap();
        let cache = DiskCache::open(directory.path(), 30, 100).unwrap();
        for name in ["a", "b", "c"] {
            cache.write(name, &[0; 10], |_| false).unwrap();
        }
        assert_eq!(cache.open_file("a").unwrap().metadata().unwrap().len(), 10);
        cache.write("d", &[0; 10], |_| false).unwrap();
        assert_eq!(names(directory.path()), ["a", "c", "d"]);
        cache.mark_used("c");
        cache.write("e", &[0; 20], |_| false).unwrap();
        assert_eq!(names(directory.path()), ["c", "e"]);
        cache.write("e", &[0; 5], |_| false).unwrap();
        assert_eq!(cache.index().bytes, 15, "what is written over does not count");
    }

    #[test]
    fn what_is_in_use_stays() {
        let directory = tempfile::tempdir().unwrap();
        let cache = DiskCache::open(directory.path(), 20, 100).unwrap();
        for name in ["a", "b", "c", "d"] {
            cache.write(name, &[0; 10], |other| other == "a" || other == "c").unwrap();
        }
        assert_eq!(
            names(directory.path()),
            ["a", "c", "d"],
            "above the max_bytes, but not by what could go"
        );
        cache.write("e", &[0; 21], |_| false).unwrap();
        assert_eq!(names(directory.path()), ["a", "c", "d"], "it would not fit alone");
        cache.write("e", &[0; 20], |_| false).unwrap();
        assert_eq!(names(directory.path()), ["e"]);
    }

    #[test]
    fn a_new_process_goes_by_the_times_of_the_files() {
        let directory = tempfile::tempdir().unwrap();
        for (name, seconds) in
            [("a", 50), ("b", 90), ("c", 10), (".new-1-1", 7_200), (".new-1-2", 60)]
        {
            fs::write(directory.path().join(name), [0; 10]).unwrap();
            age(directory.path(), name, seconds);
        }
        fs::create_dir(directory.path().join("folder")).unwrap();
        DiskCache::touch(
            &DiskCache::open(directory.path(), 30, 100).unwrap().open_file("a").unwrap(),
        );
        assert_eq!(names(directory.path()), [".new-1-2", "a", "b", "c", "folder"]);
        DiskCache::open(directory.path(), 15, 100).unwrap();
        assert_eq!(names(directory.path()), [".new-1-2", "a", "folder"], "it was read last");
    }

    #[test]
    fn what_others_may_write_to_is_not_opened() {
        let directory = tempfile::tempdir().unwrap();
        let cache = DiskCache::open(directory.path(), 20, 100).unwrap();
        let written = cache.write("a", &[7; 10], |_| false).unwrap().unwrap();
        assert_eq!(written.metadata().unwrap().permissions().mode() & 0o777, 0o400);
        for (mode, opens) in [
            (0o400, true),
            (0o600, true),
            (0o644, true),
            (0o420, false),
            (0o402, false),
            (0o666, false),
        ] {
            written.set_permissions(Permissions::from_mode(mode)).unwrap();
            assert_eq!(cache.open_file("a").is_ok(), opens, "{mode:o}");
        }
        assert!(cache.write("b", &[7; 21], |_| false).unwrap().is_none(), "it would not fit alone");
    }

    #[test]
    fn removed_by_hand_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let cache = DiskCache::open(directory.path(), 20, 100).unwrap();
        for name in ["a", "b"] {
            cache.write(name, &[0; 10], |_| false).unwrap();
        }
        fs::remove_file(directory.path().join("a")).unwrap();
        cache.write("c", &[0; 10], |_| false).unwrap();
        assert_eq!(names(directory.path()), ["b", "c"]);
        assert_eq!(cache.open_file("a").unwrap_err().kind(), io::ErrorKind::NotFound);
        cache.remove("a").unwrap();
    }
}
