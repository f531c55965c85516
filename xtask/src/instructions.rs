//! `cargo xtask instructions`: instructions of a call and of a queued job, counted and compared
//! with `bench/instructions.json`.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process::{attempt, run};
use crate::steps::step;
use crate::{apt, guests, host};

/// Builds what is counted and counts it. `update` writes the counts down instead of comparing.
pub(crate) fn build_and_count(root: &Path, update: bool) -> Result<()> {
    ensure_valgrind()?;
    guests::build_all(root)?;
    host::build(root)?;
    count(root, if update { &["--update"] } else { &[] })
}

/// Compares what is built with what is committed.
pub(crate) fn compare(root: &Path) -> Result<()> {
    count(root, &[])
}

fn count(root: &Path, arguments: &[&str]) -> Result<()> {
    step("counting the instructions of a call and of a queued job", || {
        let mut bench = Command::new(root.join("target/release/wasmill-bench"));
        run(bench.current_dir(root).arg("instructions").args(arguments))
    })
}

/// Installs valgrind where it is missing.
pub(crate) fn ensure_valgrind() -> Result<()> {
    let is_there = || attempt(Command::new("valgrind").arg("--version")).is_ok();
    if is_there() {
        return Ok(());
    }
    step("installing valgrind", || apt::install(&["valgrind"]))?;
    if !is_there() {
        bail!("apt-get installed valgrind, but it cannot be started");
    }
    Ok(())
}
