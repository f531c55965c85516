//! Debian's packages: the programs that nothing but the system's own package manager brings.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process::{attempt, output};

/// Installs packages, if this machine lets us.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let manual = format!("install by hand: sudo apt-get install {}", packages.join(" "));
    let Some(mut command) = privileged("apt-get") else {
        bail!("neither root nor sudo to install {}; {manual}", packages.join(", "));
    };
    refresh();
    command.args(["install", "-y", "-qq", "--no-install-recommends"]).args(packages);
    match attempt(&mut command) {
        Ok(()) => Ok(()),
        Err(reason) => {
            bail!("apt-get could not install {}; {manual}\n{reason}", packages.join(", "))
        }
    }
}

/// Unpacks a package into a folder and leaves the system as it is: no service of it is started, and
/// no rights are needed.
pub(crate) fn unpack(package: &str, folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)
            .with_context(|| format!("could not empty {}", folder.display()))?;
    }
    std::fs::create_dir_all(folder)
        .with_context(|| format!("could not make {}", folder.display()))?;
    let download =
        || attempt(Command::new("apt-get").current_dir(folder).args(["download", "-qq", package]));
    if download().is_err() {
        refresh();
        if let Err(reason) = download() {
            bail!("apt-get could not download {package}\n{reason}");
        }
    }
    let archive = folder
        .read_dir()
        .with_context(|| format!("could not read {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .with_context(|| format!("apt-get downloaded no {package}"))?;
    if let Err(reason) =
        attempt(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(folder))
    {
        bail!("{} could not be unpacked\n{reason}", archive.display());
    }
    std::fs::remove_file(&archive)
        .with_context(|| format!("could not remove {}", archive.display()))
}

/// Refreshes the package lists. That it fails is no reason to stop: the lists that are there may
/// do.
fn refresh() {
    let Some(mut command) = privileged("apt-get") else { return };
    if let Err(reason) = attempt(command.args(["update", "-qq"])) {
        eprintln!(
            "  could not refresh the package lists: {}",
            reason.lines().last().unwrap_or_default()
        );
    }
}

/// The command with the rights to install packages, if there is a way to have them.
fn privileged(program: &str) -> Option<Command> {
    let am_root = output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if am_root {
        let mut command = Command::new(program);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        return Some(command);
    }
    // Without a terminal to ask for a password on, sudo is of use only where it asks for none.
    attempt(Command::new("sudo").args(["-n", "true"])).ok()?;
    let mut command = Command::new("sudo");
    command.args(["-n", "env", "DEBIAN_FRONTEND=noninteractive", program]);
    Some(command)
}
