//! The directory of compiled scripts: files by name, no more of them than fit into a bound.
//!
//! It is the owner's alone; links are not followed; files appear by renaming, whole. What is in
//! them is not looked at here. When it becomes too large, files go in the order in which they were
//! used last, as far as anybody knows: those that are ready in memory are in use, and the times of
//! files tell what was before this process.

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

/// Begins the names of files that are not whole yet.
const UNFINISHED: &str = ".new-";
/// Age at which nobody is writing an unfinished file any more.
const ABANDONED: Duration = Duration::from_secs(3_600);

/// The directory.
pub(crate) struct Cache {
    directory: PathBuf,
    /// Bytes of all files together.
    bound: u64,
    /// Bytes of the largest file worth opening.
    largest: u64,
    kept: Mutex<Kept>,
    temporary: AtomicU64,
}

/// What is in the directory.
#[derive(Default)]
struct Kept {
    files: HashMap<String, Entry>,
    bytes: u64,
}

struct Entry {
    bytes: u64,
    used: SystemTime,
}

impl Cache {
    /// Opens the directory, making it if need be, for its owner alone, and makes it fit into the
    /// bound.
    ///
    /// # Errors
    /// When it can't be made or read, is a link or no directory, or can't be closed to others.
    pub(crate) fn open(directory: &Path, bound: u64, largest: u64) -> io::Result<Self> {
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
        let kept = Mutex::new(survey(directory)?);
        let cache = Self {
            directory: directory.to_owned(),
            bound,
            largest,
            kept,
            temporary: AtomicU64::new(0),
        };
        cache.shrink(|_| false);
        Ok(cache)
    }

    /// A file to read from; `NotFound` when there is none. Blocks on the disk.
    ///
    /// # Errors
    /// What the disk says, and `InvalidData` for what is no plain file of a sensible size, or one
    /// that others may write to.
    pub(crate) fn open_file(&self, name: &str) -> io::Result<File> {
        let flags = rustix::fs::OFlags::NOFOLLOW.union(rustix::fs::OFlags::NONBLOCK).bits() as i32;
        let file =
            OpenOptions::new().read(true).custom_flags(flags).open(self.directory.join(name))?;
        let found = file.metadata()?;
        if !found.is_file() || found.len() > self.largest {
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
        self.used(name);
        Ok(file)
    }

    /// Notes in a file's own time that it is in use, for the next process; this one remembers. May
    /// wait for the disk, when that is writing other things.
    pub(crate) fn mark(file: &File) {
        let _ = file.set_modified(SystemTime::now());
    }

    /// Writes a file in the place of the one of that name, and removes others for it, but none that
    /// `in_use` says is. Blocks on the disk. Returns the file to read from; `None` when it is
    /// larger than all together may be, and so was not written.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn write(
        &self,
        name: &str,
        bytes: &[u8],
        in_use: impl Fn(&str) -> bool,
    ) -> io::Result<Option<File>> {
        let length = bytes.len() as u64;
        if length > self.bound {
            return Ok(None);
        }
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = self.directory.join(format!("{UNFINISHED}{}-{number}", std::process::id()));
        let written = self.put(name, bytes, &temporary).inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })?;
        self.kept().insert(name.to_owned(), length, SystemTime::now());
        self.shrink(|other| other == name || in_use(other));
        Ok(Some(written))
    }

    fn put(&self, name: &str, bytes: &[u8], temporary: &Path) -> io::Result<File> {
        // A left-over of a killed process with the same id would be in the way.
        let _ = fs::remove_file(temporary);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(temporary)?;
        file.write_all(bytes)?;
        // It may be mapped from now on: nobody writes to it again, not even by mistake.
        file.set_permissions(Permissions::from_mode(0o400))?;
        // Not synced: a file torn by a power cut is not authentic, and made again.
        fs::rename(temporary, self.directory.join(name))?;
        Ok(file)
    }

    /// Notes that a file was in use until now.
    pub(crate) fn used(&self, name: &str) {
        if let Some(entry) = self.kept().files.get_mut(name) {
            entry.used = SystemTime::now();
        }
    }

    /// Removes a file, if there is one. Blocks on the disk.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        self.kept().take(name);
        match fs::remove_file(self.directory.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes files until the rest fits, those that were used longest ago first.
    fn shrink(&self, in_use: impl Fn(&str) -> bool) {
        if self.kept().bytes <= self.bound {
            return;
        }
        let mut all: Vec<(SystemTime, String)> =
            self.kept().files.iter().map(|(name, entry)| (entry.used, name.clone())).collect();
        all.sort();
        for (_, name) in all {
            if self.kept().bytes <= self.bound {
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
        let (bytes, bound) = (self.kept().bytes, self.bound);
        if bytes > bound {
            tracing::warn!(
                bytes,
                bound,
                "the compiled scripts in use need more room on the disk than they may have"
            );
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing that a panic could leave half done.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn insert(&mut self, name: String, bytes: u64, used: SystemTime) {
        self.take(&name);
        self.bytes = self.bytes.saturating_add(bytes);
        self.files.insert(name, Entry { bytes, used });
    }

    fn take(&mut self, name: &str) {
        if let Some(entry) = self.files.remove(name) {
            self.bytes = self.bytes.saturating_sub(entry.bytes);
        }
    }
}

/// Looks at what is there, and removes what a killed process has left unfinished.
fn survey(directory: &Path) -> io::Result<Kept> {
    let mut kept = Kept::default();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // Gone meanwhile, or no name that this program would give.
        let (Ok(found), Ok(name)) = (entry.metadata(), entry.file_name().into_string()) else {
            continue;
        };
        let changed = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        if !name.starts_with(UNFINISHED) {
            if found.is_file() {
                kept.insert(name, found.len(), changed);
            }
        } else if changed.elapsed().is_ok_and(|age| age > ABANDONED) {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(kept)
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
        let cache = Cache::open(directory.path(), 30, 100).unwrap();
        for name in ["a", "b", "c"] {
            cache.write(name, &[0; 10], |_| false).unwrap();
        }
        assert_eq!(cache.open_file("a").unwrap().metadata().unwrap().len(), 10);
        cache.write("d", &[0; 10], |_| false).unwrap();
        assert_eq!(names(directory.path()), ["a", "c", "d"]);
        cache.used("c");
        cache.write("e", &[0; 20], |_| false).unwrap();
        assert_eq!(names(directory.path()), ["c", "e"]);
        cache.write("e", &[0; 5], |_| false).unwrap();
        assert_eq!(cache.kept().bytes, 15, "what is written over does not count");
    }

    #[test]
    fn what_is_in_use_stays() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path(), 20, 100).unwrap();
        for name in ["a", "b", "c", "d"] {
            cache.write(name, &[0; 10], |other| other == "a" || other == "c").unwrap();
        }
        assert_eq!(
            names(directory.path()),
            ["a", "c", "d"],
            "above the bound, but not by what could go"
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
        Cache::mark(&Cache::open(directory.path(), 30, 100).unwrap().open_file("a").unwrap());
        assert_eq!(names(directory.path()), [".new-1-2", "a", "b", "c", "folder"]);
        Cache::open(directory.path(), 15, 100).unwrap();
        assert_eq!(names(directory.path()), [".new-1-2", "a", "folder"], "it was read last");
    }

    #[test]
    fn what_others_may_write_to_is_not_opened() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path(), 20, 100).unwrap();
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
        let cache = Cache::open(directory.path(), 20, 100).unwrap();
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
