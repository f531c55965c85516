//! One server under one kind of load, measured in rounds beside others.

use crate::figures::{self, Spread};
use crate::load::{self, Expect, Shot, Volley};
use crate::machine::Cpu;
use crate::server::Server;
use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use std::time::Duration;
use tokio::runtime::Runtime;

/// How long a server may go on working after the last answer of a round.
const SETTLE: Duration = Duration::from_secs(4);
/// The thread that writes to the host's database.
const WRITER: &str = "store-writer";
/// Seconds of load on each in the first round, which warms up and does not count.
const WARM: f64 = 0.2;

/// One thing to measure. `K` tells it from the others.
pub(crate) struct Cell<'a, K> {
    /// Which one it is.
    pub(crate) key: K,
    /// Who answers.
    pub(crate) server: &'a Server,
    /// What is asked.
    pub(crate) shot: Shot,
    /// What has to be answered.
    pub(crate) expect: Expect,
    /// Connections at the same time.
    pub(crate) connections: usize,
    /// Of the round's time.
    pub(crate) share: f64,
    /// What came of it.
    pub(crate) rounds: Vec<Round>,
}

/// What a round of it came to.
pub(crate) struct Round {
    /// Rate and times.
    pub(crate) volley: Volley,
    /// Microseconds of the server's processor time for a request.
    pub(crate) cpu: f64,
    /// The same, of the thread that writes to the database.
    pub(crate) writer: f64,
}

/// The figures of a cell over all rounds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figures {
    /// Connections at the same time.
    pub(crate) connections: usize,
    /// Answers in all rounds.
    pub(crate) requests: u64,
    /// Answers in a second.
    pub(crate) rate: Spread,
    /// Half took no longer, in microseconds.
    pub(crate) p50_us: Spread,
    /// 99 of 100 took no longer, in microseconds.
    pub(crate) p99_us: Spread,
    /// Microseconds of the server's processor time for a request.
    pub(crate) cpu_us: Spread,
    /// Of it: the thread that writes to the host's database.
    pub(crate) writer_us: Spread,
}

impl<K: std::fmt::Debug> Cell<'_, K> {
    fn measure(&self, runtime: &Runtime, seconds: f64) -> Result<Round> {
        let pid = self.server.pid();
        let before = Cpu::settle(pid, SETTLE)?;
        let duration = Duration::from_secs_f64(seconds * self.share);
        let volley = runtime
            .block_on(load::fire(
                self.server.address,
                &self.shot,
                &self.expect,
                self.connections,
                duration,
            ))
            .with_context(|| format!("{:?}", self.key))?;
        // Records are written after the answer, and belong to it all the same.
        let after = Cpu::settle(pid, SETTLE)?;
        let per_request = |time: Duration| time.as_secs_f64() * 1e6 / volley.requests.max(1) as f64;
        let writer = after.of_threads(WRITER).saturating_sub(before.of_threads(WRITER));
        Ok(Round {
            volley,
            cpu: per_request(after.total.saturating_sub(before.total)),
            writer: per_request(writer),
        })
    }
}

impl<K> Cell<'_, K> {
    /// One figure of each round.
    pub(crate) fn each(&self, figure: impl Fn(&Round) -> f64) -> Vec<f64> {
        self.rounds.iter().map(figure).collect()
    }

    /// Answers in a second, round by round.
    pub(crate) fn rates(&self) -> Vec<f64> {
        self.each(|round| round.volley.rate)
    }

    /// All rounds together.
    pub(crate) fn figures(&self) -> Figures {
        Figures {
            connections: self.connections,
            requests: self.rounds.iter().map(|round| round.volley.requests).sum(),
            rate: figures::spread(self.rates()),
            p50_us: figures::spread(self.each(|round| round.volley.times.p50)),
            p99_us: figures::spread(self.each(|round| round.volley.times.p99)),
            cpu_us: figures::spread(self.each(|round| round.cpu)),
            writer_us: figures::spread(self.each(|round| round.writer)),
        }
    }
}

/// Measures all of them in turn, `rounds` times, every other time in the opposite order.
pub(crate) fn measure<K: std::fmt::Debug>(
    runtime: &Runtime,
    cells: &mut [Cell<'_, K>],
    rounds: usize,
    seconds: f64,
) -> Result<()> {
    for round in 0..=rounds {
        let mut order: Vec<&mut Cell<'_, K>> = cells.iter_mut().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for cell in order {
            let measured = cell.measure(runtime, if round == 0 { WARM } else { seconds })?;
            if round > 0 {
                cell.rounds.push(measured);
            }
        }
    }
    Ok(())
}

/// The runtime of the load. Pinned, it has processor 1 for itself, the servers being on processor
/// 0, and never sleeps: to wake a thread on another processor is a good part of what a request
/// costs a server, more so on a virtual machine. A load on another machine would not cost it that,
/// and here it would cost slow servers more, for which the load waits more often.
pub(crate) fn runtime(pinned: bool) -> Result<Runtime> {
    if pinned {
        pin_this()?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if pinned {
        runtime.spawn(async {
            loop {
                tokio::task::yield_now().await;
            }
        });
    }
    Ok(runtime)
}

/// Moves this program to processor 1, before it has threads.
fn pin_this() -> Result<()> {
    let pid = std::process::id().to_string();
    let status = std::process::Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", "1", &pid])
        .stdout(std::process::Stdio::null())
        .status();
    ensure!(
        status.context("pinning needs taskset")?.success(),
        "taskset could not pin this program; are there two processors?"
    );
    Ok(())
}
