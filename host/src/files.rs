//! Files and folders of the data directory that are there after a power cut, too, and for their
//! owner only; and how many may be open.
//!
//! A sync of a file keeps its bytes; its name is kept by a sync of the folder that it is in.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Lets this process have as many files open as the system allows it: each connection and each
/// ready script has one, and systems begin with a bound of 1,024, for programs that cannot count
/// further.
pub(crate) fn allow_many_open() {
    let bound = getrlimit(Resource::Nofile);
    if bound.current == bound.maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: bound.maximum, ..bound }) {
        tracing::warn!(%error, bound = bound.current, "no more files can be opened than this; each connection and each ready script has one");
    }
}

/// Makes a folder (mode 0700) where there is none, with all those above it. Durable on return, also
/// when an earlier process made it and was killed.
///
/// # Errors
/// What the disk says.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    let missing = path
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .count();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    path.ancestors().take(missing.max(1)).try_for_each(sync_name)
}

/// Writes a file that only its owner can read (mode 0600), whole or not at all. Durable on return.
///
/// # Errors
/// What the disk says.
pub(crate) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        make_folder(folder)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let scratch = path.with_file_name(name);
    let written = fill(&scratch, text).and_then(|()| std::fs::rename(&scratch, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&scratch);
    }
    written?;
    sync_name(path)
}

fn fill(path: &Path, text: &str) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

/// Syncs the folder that something is in.
fn sync_name(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    match File::open(folder) {
        Ok(folder) => folder.sync_all(),
        // Somebody else's, who made what is in it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn for_the_owner_only() {
        let dir = std::env::temp_dir().join(format!("wasmill-files-{}", std::process::id()));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (folder, file) = (dir.join("a/b"), dir.join("a/b/c/key"));
        make_folder(&folder).unwrap();
        make_folder(&folder).unwrap();
        write_private(&file, "one").unwrap();
        write_private(&file, "two").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "two\n");
        assert_eq!([&dir, &folder, &file].map(|path| mode(path)), [0o700, 0o700, 0o600]);
        assert_eq!(
            std::fs::read_dir(file.parent().unwrap()).unwrap().count(),
            1,
            "nothing else is left"
        );
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
