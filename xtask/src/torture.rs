//! `cargo xtask torture`: the tests with faults, for as long as it takes to trust what they say.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::process::cargo;
use crate::steps::step;
use crate::{guests, peers, servers, test};

/// How much of what; absent: what `tests/src/torture.rs` finds enough.
#[derive(Default)]
pub(crate) struct Amount {
    kills: Option<u64>,
    cases: Option<u64>,
}

impl Amount {
    /// Reads `--kills N` and `--cases N`.
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let mut amount = Self::default();
        for pair in words.chunks(2) {
            let number = pair.get(1).and_then(|text| text.parse().ok());
            match (pair.first().copied(), number) {
                (Some("--kills"), Some(number)) => amount.kills = Some(number),
                (Some("--cases"), Some(number)) => amount.cases = Some(number),
                _ => bail!("torture takes --kills N and --cases N, and not {}", pair.join(" ")),
            }
        }
        Ok(amount)
    }
}

/// Builds what the tests need and runs the long forms; they print their counts.
pub(crate) fn run(root: &Path, amount: &Amount) -> Result<()> {
    guests::build_all(root)?;
    peers::ensure(root)?;
    servers::ensure()?;
    test::build(root)?;
    step("breaking disks, cutting power, killing and stopping hosts", || {
        let mut tests = cargo(root);
        tests.args([
            "test",
            "--quiet",
            "--locked",
            "--release",
            "--workspace",
            "--test",
            "it",
            "--",
        ]);
        tests
            .args(["faults::", "cluster::killing", "--nocapture", "--test-threads=1"])
            .env("WASMILL_TORTURE", "1");
        let numbers =
            [("WASMILL_TORTURE_KILLS", amount.kills), ("WASMILL_TORTURE_CASES", amount.cases)];
        tests.envs(
            numbers.into_iter().filter_map(|(name, number)| Some((name, number?.to_string()))),
        );
        let status = tests.status().context("could not start cargo")?;
        if !status.success() {
            bail!("what was broken did not come back as it should have");
        }
        Ok(())
    })
}
