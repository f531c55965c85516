//! Servers of others that the tests start for themselves, as Debian brings them.

use std::path::Path;

use anyhow::{Result, bail};

use crate::apt;
use crate::steps::step;

/// PostgreSQL, and openssl for the certificate of its tests.
const PACKAGES: [&str; 2] = ["postgresql-15", "openssl"];

/// Installs what is missing. Debian's package may start a server of its own on the usual port; the
/// tests don't use that one, and theirs listen on ports that are free.
pub(crate) fn ensure() -> Result<()> {
    if is_installed() {
        return Ok(());
    }
    step(&format!("installing {}", PACKAGES.join(", ")), || apt::install(&PACKAGES))?;
    match is_installed() {
        true => Ok(()),
        false => {
            bail!("apt-get installed {}, but there is no initdb or no openssl", PACKAGES.join(", "))
        }
    }
}

/// Whether the tests would find what they start, by the rule of `tests/servers`.
fn is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path =
        |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let versions = Path::new("/usr/lib/postgresql").read_dir().into_iter().flatten().flatten();
    let mut versions = versions.filter(|version| version.path().join("bin/initdb").is_file());
    in_path("openssl") && (versions.next().is_some() || in_path("initdb"))
}
