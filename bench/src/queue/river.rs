//! The same jobs with River, which is a program of its own (`bench/river`): its SQLite and ours
//! cannot be in one.

use super::Rate;
use crate::figures::{self, Spread};
use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::Command;

/// Jobs a second beside River's, which had the same server in the same run.
#[derive(Serialize)]
pub(super) struct Beside {
    pub(super) name: &'static str,
    pub(super) ours: Spread,
    pub(super) river: Spread,
    /// Ours over River's: of the medians, for they did not run round by round.
    pub(super) ratio: f64,
}

/// A line of the program.
#[derive(Deserialize)]
struct Round {
    /// Each caller queues one job after the other.
    enqueue: f64,
    /// Each call queues as many jobs as there were callers.
    enqueue_together: f64,
    drain: f64,
}

/// Runs the program on a database and holds its figures against ours: enqueuing, draining, and both
/// one after the other.
pub(super) fn measure(
    program: &Path,
    url: &str,
    jobs: usize,
    callers: usize,
    rounds: usize,
    ours: &[Rate; 2],
) -> Result<Vec<Beside>> {
    let numbers = [jobs, callers, rounds + 1].map(|number| number.to_string());
    let output = Command::new(program)
        .arg(url)
        .args(&numbers)
        .output()
        .with_context(|| format!("could not start {}", program.display()))?;
    ensure!(
        output.status.success(),
        "River's program failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8(output.stdout)?;
    // The first one warms up, as with ours.
    let lines: Vec<Round> =
        lines.lines().skip(1).map(serde_json::from_str).collect::<Result<_, _>>()?;
    let of = |value: fn(&Round) -> f64| figures::spread(lines.iter().map(value));
    let both = |enqueue: f64, drain: f64| 1.0 / (1.0 / enqueue + 1.0 / drain);
    let [enqueue, drain] = ours;
    let whole = Spread {
        median: both(enqueue.ours.median, drain.ours.median),
        min: both(enqueue.ours.min, drain.ours.min),
        max: both(enqueue.ours.max, drain.ours.max),
    };
    let beside = |name, ours: Spread, river: Spread| Beside {
        name,
        ours,
        river,
        ratio: ours.median / river.median,
    };
    Ok(vec![
        beside("enqueue, one by one", enqueue.ours, of(|round| round.enqueue)),
        beside("enqueue, River's in batches", enqueue.ours, of(|round| round.enqueue_together)),
        beside("drain", drain.ours, of(|round| round.drain)),
        beside(
            "both, one by one",
            whole,
            figures::spread(lines.iter().map(|round| both(round.enqueue, round.drain))),
        ),
        beside(
            "both, River's in batches",
            whole,
            figures::spread(lines.iter().map(|round| both(round.enqueue_together, round.drain))),
        ),
    ])
}
