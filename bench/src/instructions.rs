//! Instructions of one request, counted by valgrind's callgrind: the real host, and all of it.
//!
//! A count does not depend on what else the machine does, as times do, so that a small change can
//! be seen: the counts are compared with those that are committed, and one that differs by more
//! than [`TOLERANCE`] is an error.
//!
//! What the count leaves out: the system's part, and the pool of instances, whose address space
//! valgrind cannot reserve; the host maps memory for each call instead, as it does wherever there
//! is no room. Scripts are compiled for the processor that valgrind shows, which is the same on
//! all machines with AVX2, and so are the variants that libraries choose.

use crate::load::{self, Answer, Expect, Shot};
use crate::server::Host;
use crate::{QUIET, guests_folder, read_guest, table};
use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::{Method, StatusCode};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How much more or less than the committed count passes.
const TOLERANCE: f64 = 0.03;

/// Requests that are not counted, before the first that is.
const WARMUP: u64 = 200;

/// Counts of one request; the least of them is the result. What disturbs a count adds to it: ticks
/// of clocks while the machine is slow, records that are written one by one and not together.
const ROUNDS: usize = 3;

/// Time for what goes on after an answer: the record of the run.
const REST: Duration = Duration::from_millis(500);

/// Open files that the host may have. With as many for itself, valgrind leaves the compile child
/// the 64 that it limits itself to; it refuses to be given any other number.
const OPEN_FILES: &str = "76:76";

/// Arguments of `instructions`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The file of the committed counts
    #[arg(long, default_value = "bench/instructions.json")]
    figures: PathBuf,
    /// Write the counts into it instead of comparing
    #[arg(long)]
    update: bool,
    /// Requests of one count
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    requests: u64,
    /// Where the compiled scripts are
    #[arg(long)]
    guests: Option<PathBuf>,
}

/// Instructions of one request, by its name.
type Counts = BTreeMap<String, u64>;

/// A host under callgrind.
struct Counted {
    // Before the folder, so that it is stopped first.
    host: Host,
    folder: TempDir,
    dumps: u32,
}

impl Counted {
    fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let place = folder.path().to_str().context("a temporary folder that is not UTF-8")?;
        // One processor, and one thread that answers: what else threads do for each other depends
        // on who comes first. The compile child is run the same way, for its code has to fit.
        let launcher = [
            "env",
            "TOKIO_WORKER_THREADS=1",
            "prlimit",
            &format!("--nofile={OPEN_FILES}"),
            "taskset",
            "--cpu-list",
            "0",
            "valgrind",
            "--tool=callgrind",
            "--trace-children=yes",
            "--fair-sched=yes",
            &format!("--vgdb-prefix={place}/vgdb"),
            &format!("--callgrind-out-file={place}/out.%p"),
        ];
        // Without workers: the queue is only filled.
        let host = Host::launch(launcher.map(str::to_owned).into(), &["--workers", "0"])?;
        Ok(Self { host, folder, dumps: 0 })
    }

    /// Instructions since the last time this was asked.
    fn count(&mut self) -> Result<u64> {
        let pid = self.host.server().pid();
        let output = Command::new("vgdb")
            .arg(format!("--vgdb-prefix={}/vgdb", self.folder.path().display()))
            .arg(format!("--pid={pid}"))
            .arg("dump")
            .output()
            .context("vgdb cannot be started; it comes with valgrind")?;
        self.dumps += 1;
        let file = self.folder.path().join(format!("out.{pid}.{}", self.dumps));
        let dump = std::fs::read_to_string(&file).with_context(|| {
            format!("valgrind counted nothing: {}", String::from_utf8_lossy(&output.stderr))
        })?;
        let total = dump.lines().find_map(|line| line.strip_prefix("totals: "));
        total.and_then(|total| total.trim().parse().ok()).context("a count without a total")
    }

    /// Instructions of one request.
    fn request(
        &mut self,
        runtime: &Runtime,
        shot: &Shot,
        expect: &Expect,
        requests: u64,
    ) -> Result<u64> {
        let address = self.host.server().address;
        let repeat = |times| runtime.block_on(load::repeat(address, shot, expect, times));
        repeat(WARMUP)?;
        let mut least = u64::MAX;
        for _ in 0..ROUNDS {
            std::thread::sleep(REST);
            self.count()?;
            repeat(requests)?;
            std::thread::sleep(REST);
            least = least.min(self.count()? / requests);
        }
        Ok(least)
    }
}

/// Counts, and compares or writes.
pub(crate) fn run(args: &Args) -> Result<()> {
    let committed = if args.update { Counts::new() } else { read(&args.figures)? };
    let counts = count(args)?;
    let rows: Vec<[String; 4]> = counts
        .iter()
        .map(|(name, count)| {
            let was = committed.get(name);
            let change = was.map(|was| format!("{:+.2} %", change(*was, *count) * 100.0));
            [
                name.clone(),
                count.to_string(),
                was.map_or_else(String::new, u64::to_string),
                change.unwrap_or_default(),
            ]
        })
        .collect();
    table::print(["instructions of", "counted", "committed", "change"], &rows);
    if args.update {
        let text = serde_json::to_string_pretty(&counts)? + "\n";
        return std::fs::write(&args.figures, text)
            .with_context(|| format!("{} cannot be written", args.figures.display()));
    }
    compare(&committed, &counts)
}

fn count(args: &Args) -> Result<Counts> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let guests = args.guests.clone().unwrap_or_else(guests_folder);
    let mut counted = Counted::start()?;
    counted.host.deploy(&runtime, "main", "u/admin/hello", read_guest(&guests, QUIET)?)?;
    let shot = |host: &Host, route: &str| {
        host.shot(Method::POST, route, "application/json", r#"{"name":"Ann","times":2}"#)
    };
    let call = shot(&counted.host, "jobs/run_wait_result/p/u/admin/hello");
    let answer = counted.host.ask(&runtime, &call)?;
    ensure!(
        answer.body == Bytes::from_static(br#"{"greeting":"Hello Ann! Hello Ann!","times":2}"#),
        "hello answers {}",
        String::from_utf8_lossy(&answer.body)
    );
    let expect = Expect::Exactly(Answer { status: StatusCode::OK, body: answer.body });
    let hello = counted.request(&runtime, &call, &expect, args.requests)?;
    let job = shot(&counted.host, "jobs/run/p/u/admin/hello");
    let expect = Expect::Status(StatusCode::CREATED);
    let queued = counted.request(&runtime, &job, &expect, args.requests)?;
    Ok(Counts::from([("a call of hello".to_owned(), hello), ("a queued job".to_owned(), queued)]))
}

fn read(file: &Path) -> Result<Counts> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("{} cannot be read", file.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} does not hold counts by their names", file.display()))
}

/// The share by which a count is more than it was.
fn change(was: u64, is: u64) -> f64 {
    is as f64 / was as f64 - 1.0
}

/// Fails if the names are others, or a count is.
fn compare(committed: &Counts, counts: &Counts) -> Result<()> {
    ensure!(committed.keys().eq(counts.keys()), "other things are counted than are committed");
    for ((name, was), is) in committed.iter().zip(counts.values()) {
        let change = change(*was, *is);
        if change.abs() > TOLERANCE {
            bail!(
                "{name} takes {is} instructions, {:+.1} % against the committed {was}. If that is \
                 meant, `cargo xtask instructions --update` writes the new counts; commit them \
                 with the change and say there why",
                change * 100.0
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_may_differ_by_three_in_a_hundred() {
        let counts = |call| Counts::from([("call".to_owned(), call)]);
        let same = |was, is| compare(&counts(was), &counts(is)).is_ok();
        assert!(same(1_000, 1_000) && same(1_000, 1_029) && same(1_000, 971));
        assert!(!same(1_000, 1_031) && !same(1_000, 969));
        assert!(compare(&Counts::new(), &counts(1)).is_err());
    }
}
