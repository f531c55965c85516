//! Which Rust toolchain cargo uses in a folder, and what is installed in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process::output;

/// The Rust toolchain that cargo uses in a folder.
pub(crate) struct Toolchain {
    /// The folder whose toolchain this is: a `rust-toolchain.toml` above it decides.
    pub(crate) folder: PathBuf,
    /// The version, such as `1.95.0`.
    pub(crate) release: String,
    /// The full hash of the commit that the compiler was built from, or what else tells it from
    /// other compilers.
    pub(crate) commit: String,
    /// Where the toolchain is installed.
    pub(crate) sysroot: PathBuf,
}

impl Toolchain {
    /// Asks the compiler.
    pub(crate) fn in_folder(folder: &Path) -> Result<Self> {
        let version = output(Command::new("rustc").current_dir(folder).arg("-vV"))?;
        let field = |name: &str| {
            version
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .map(|value| value.trim().to_owned())
                .with_context(|| format!("`rustc -vV` does not say `{name}`"))
        };
        let sysroot =
            output(Command::new("rustc").current_dir(folder).args(["--print", "sysroot"]))?;
        let release = field("release:")?;
        // A distribution's compiler doesn't know its commit; its version has to do.
        let commit = field("commit-hash:")?;
        let commit = if commit == "unknown" { format!("release-{release}") } else { commit };
        Ok(Self {
            folder: folder.to_path_buf(),
            release,
            commit,
            sysroot: PathBuf::from(sysroot.trim()),
        })
    }

    /// Whether the standard library of a target is installed in it.
    pub(crate) fn has(&self, target: &str) -> bool {
        let folder = self.sysroot.join("lib/rustlib").join(target).join("lib");
        let Ok(entries) = folder.read_dir() else { return false };
        entries.flatten().any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("libstd-") && name.ends_with(".rlib")
        })
    }
}
