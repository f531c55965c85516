//! Folders for servers' data, named by the process that they belong to, so that the next one can
//! tell which are left over from a machine's sudden end.

use rustix::process::{Pid, test_kill_process};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

const PREFIX: &str = "wasmill-servers-";

/// What removes a folder once its owner is gone, which it knows by its input's end. The server may
/// still be writing.
const JANITOR: &str = "read _; for n in 1 2 3 4 5 6 7 8 9; do sleep 1; rm -rf \"$0\" && exit; done";

/// A temporary folder that goes when it is dropped, and also when the process ends without that.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    janitor: Child,
}

impl Folder {
    /// A new empty folder that only its owner may enter.
    pub(crate) fn new() -> Self {
        static SWEPT: Once = Once::new();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        SWEPT.call_once(sweep);
        let name =
            format!("{PREFIX}{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        // One of this name is of an earlier process that had the same number.
        let _ = std::fs::remove_dir_all(&path);
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut command = Command::new("sh");
        command
            .args(["-c", JANITOR])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // Out of reach of what ends this process with all that it started.
        command.process_group(0);
        let janitor = command.spawn().expect("a shell");
        Self { path, janitor }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = self.janitor.kill();
        let _ = self.janitor.wait();
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Removes what processes left behind that are no more. Another user's folders stay.
fn sweep() {
    let Ok(entries) = std::env::temp_dir().read_dir() else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(owner) else { continue };
        if test_kill_process(pid) == Err(rustix::io::Errno::SRCH) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// The process that a folder of this name belongs to.
fn owner(name: &str) -> Option<Pid> {
    let (pid, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    Pid::from_raw(pid.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_dead_processes_are_swept() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let dead = std::env::temp_dir().join(format!("{PREFIX}{}-0", child.id()));
        child.wait().unwrap();
        std::fs::create_dir_all(dead.join("data")).unwrap();
        let own = Folder::new();
        sweep();
        assert!(!dead.exists() && own.path().is_dir());
        let path = own.path().to_path_buf();
        drop(own);
        assert!(!path.exists());
    }
}
