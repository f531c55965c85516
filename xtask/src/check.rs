//! `cargo xtask test`: everything that has to hold, in the order in which it fails fastest.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::process::{attempt, cargo, run, step};
use crate::{bench, demo, guests, peers, servers};

/// Installs what the checks need and runs them all.
pub(crate) fn run_all(root: &Path) -> Result<()> {
    let begun = Instant::now();
    step("checking the format", || run(cargo(root).args(["fmt", "--all", "--check"])))?;
    step("checking dependencies, licences and sources", || deny(root))?;
    let guests = guests::build_all(root)?;
    peers::ensure(root)?;
    servers::ensure()?;
    build(root)?;
    step("linting", || {
        run(cargo(root).arg("clippy").args(EVERYTHING).args(["--", "-D", "warnings"]))
    })?;
    // Their output goes to stdout, so that whoever reads it finds the tests' own closing lines
    // there.
    step("running the tests", || {
        let status = cargo(root)
            .args(["test", "--locked", "--release", "--workspace"])
            .status()
            .context("could not start cargo")?;
        if !status.success() {
            bail!("tests failed");
        }
        Ok(())
    })?;
    step("trying the benchmarks", || {
        let bench = root.join("target/release/wasmill-bench");
        bench::PARTS.iter().try_for_each(|part| {
            run(Command::new(&bench).current_dir(root).args([part, "--quick"]))
        })
    })?;
    step("running the demo", || {
        demo::run(root, root.join("target/release/wasmill"), guests, true, None)
    })?;
    eprintln!("everything passed, in {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// All of it at once and in one profile: built one by one, the packages would ask for different
/// features of the engine, and it would be compiled for each.
const EVERYTHING: [&str; 5] = ["--quiet", "--locked", "--release", "--workspace", "--all-targets"];

/// Builds the host, its tests and the benchmarks.
pub(crate) fn build(root: &Path) -> Result<()> {
    step(
        "building the host and its tests (the first time takes some minutes: there is a compiler in it)",
        || run(cargo(root).arg("build").args(EVERYTHING)),
    )
}

/// Runs cargo-deny, after installing it where it is missing.
fn deny(root: &Path) -> Result<()> {
    if attempt(cargo(root).args(["deny", "--version"])).is_err() {
        step("installing cargo-deny (once)", || {
            run(cargo(root).args(["install", "--quiet", "--locked", "cargo-deny"]))
        })?;
    }
    run(cargo(root).args([
        "deny",
        "--log-level",
        "error",
        "--locked",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))?;
    // The advisory database is not on every machine's network; where it is not, that is said and
    // not passed over.
    match attempt(cargo(root).args([
        "deny",
        "--log-level",
        "error",
        "--locked",
        "check",
        "advisories",
    ])) {
        Ok(()) => Ok(()),
        Err(reason) if reason.contains("fetch") || reason.contains("advisory database") => {
            eprintln!(
                "  security advisories were not checked: their database cannot be reached from here"
            );
            Ok(())
        }
        Err(reason) => bail!("cargo deny check advisories:\n{reason}"),
    }
}
