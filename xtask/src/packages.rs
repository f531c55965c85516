//! Packages from PyPI, npm and crates.io, installed into folders below `target`.
//!
//! A copy of what was asked for lies beside what was installed and tells whether that is still it,
//! so that doing this again takes no time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::apt;
use crate::process::{self, attempt, run};
use crate::steps::step;

/// What decides about the packages for Node.js.
const NODE_FILES: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];

/// An interpreter at `bin/python` that has the packages.
pub(crate) fn python(requirements: &Path, folder: &Path) -> Result<()> {
    let asked = read(requirements)?;
    if is_installed(folder, &asked) {
        return Ok(());
    }
    step(&format!("installing what {} asks for", requirements.display()), || {
        if attempt(Command::new("python3").arg("--version")).is_err() {
            apt::install(&["python3", "python3-venv"])?;
        }
        empty(folder)?;
        let pip = |interpreter: &Path, arguments: &[&str]| {
            let mut command = Command::new(interpreter);
            command.args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-input",
            ]);
            command.args(arguments).arg("--requirement").arg(requirements);
            attempt(&mut command)
        };
        let done = match attempt(Command::new("python3").args(["-m", "venv"]).arg(folder)) {
            Ok(()) => pip(&folder.join("bin/python"), &[]),
            // Debian has venv's other half in a package of its own. Without it: pip into a folder,
            // and an interpreter that knows it.
            Err(_) => {
                empty(folder)?;
                let packages = folder.join("packages");
                let target = packages.to_string_lossy();
                pip(Path::new("python3"), &["--target", &*target])
                    .and_then(|()| wrapper(folder, &target).map_err(|error| error.to_string()))
            }
        };
        if let Err(reason) = done {
            bail!("the packages in {} could not be installed\n{reason}", requirements.display());
        }
        mark(folder, &asked)
    })
}

/// A program that is Python with the packages in a folder.
fn wrapper(folder: &Path, packages: &str) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let program = folder.join("bin/python");
    fs::create_dir_all(folder.join("bin"))?;
    fs::write(&program, format!("#!/bin/sh\nPYTHONPATH='{packages}' exec python3 \"$@\"\n"))?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
}

/// `node_modules` with what `package.json` and its lock in a folder ask for. Returns whether
/// anything was installed.
pub(crate) fn node(asked_in: &Path, folder: &Path) -> Result<bool> {
    let files: Vec<String> =
        NODE_FILES.iter().map(|name| read(&asked_in.join(name))).collect::<Result<_>>()?;
    let asked = files.concat();
    if is_installed(folder, &asked) {
        return Ok(false);
    }
    step(&format!("installing what {} asks for", asked_in.join("package.json").display()), || {
        let is_there = |program: &str| attempt(Command::new(program).arg("--version")).is_ok();
        if !is_there("node") || !is_there("npm") {
            apt::install(&["nodejs", "npm"])?;
        }
        empty(folder)?;
        for (name, text) in NODE_FILES.iter().zip(&files) {
            fs::write(folder.join(name), text)
                .with_context(|| format!("could not write {name} into {}", folder.display()))?;
        }
        let mut npm = Command::new("npm");
        // What the lock says, as `npm ci` would; but that refuses a lock without the packages of
        // platforms that some registry lacks.
        npm.current_dir(folder).args(["install", "--ignore-scripts", "--no-audit", "--no-fund"]);
        if let Err(reason) = attempt(&mut npm) {
            bail!("npm could not install what {} asks for\n{reason}", asked_in.display());
        }
        mark(folder, &asked)?;
        Ok(true)
    })
}

/// How a program from crates.io is built.
#[derive(Clone, Copy)]
pub(crate) enum Built {
    /// As its author builds it.
    AsReleased,
    /// In less time: it is there to answer tests.
    Quickly,
}

/// Has `cargo install` take little time for a program whose own speed does not matter. Many
/// authors ask for optimizations that take minutes.
pub(crate) fn build_quickly(install: &mut Command) {
    install
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
}

/// A program from crates.io in `bin`, with what its author locked.
pub(crate) fn cargo(root: &Path, package: &[&str], built: Built, folder: &Path) -> Result<()> {
    let asked = package.join(" ");
    if is_installed(folder, &asked) {
        return Ok(());
    }
    step(
        &format!("building {} (once, some minutes)", package.first().copied().unwrap_or_default()),
        || {
            empty(folder)?;
            let mut install = process::cargo(root);
            // Built in a temporary folder, whatever the surroundings say: nothing of it is used
            // again.
            install.env_remove("CARGO_TARGET_DIR");
            install.args(["install", "--quiet", "--locked", "--root"]).arg(folder).args(package);
            if let Built::Quickly = built {
                build_quickly(&mut install);
            }
            run(&mut install)?;
            mark(folder, &asked)
        },
    )
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))
}

fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("could not empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))
}

/// Where it stands what was asked for when the folder was filled. Written last: a broken
/// installation has none.
fn marker(folder: &Path) -> PathBuf {
    folder.join("installed")
}

fn is_installed(folder: &Path, asked: &str) -> bool {
    fs::read_to_string(marker(folder)).is_ok_and(|installed| installed == asked)
}

fn mark(folder: &Path, asked: &str) -> Result<()> {
    fs::write(marker(folder), asked)
        .with_context(|| format!("could not write into {}", folder.display()))
}
