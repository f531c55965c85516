//! What the machine says about itself and about the processor time of a process.

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Ticks of `/proc/<pid>/stat` in a second: fixed by Linux for programs, whatever the kernel's own
/// clock is.
const TICKS: f64 = 100.0;

/// Where and in what weather a report was made.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    /// Processors that this process may use.
    pub(crate) processors: usize,
    /// The processor's name.
    pub(crate) model: String,
    /// The kernel's version.
    pub(crate) kernel: String,
    /// Load averages over 1, 5 and 15 minutes, at the start.
    pub(crate) load_before: String,
    /// The same at the end. This program's own work is in it.
    pub(crate) load_after: String,
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

impl Machine {
    /// At the start of a run.
    pub(crate) fn look() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model =
            cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
        Self {
            processors: std::thread::available_parallelism().map_or(1, Into::into),
            model: model.trim_start_matches(['\t', ' ', ':']).to_owned(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            load_before: load(),
            load_after: String::new(),
        }
    }

    /// At its end: notes and prints it.
    pub(crate) fn close(&mut self) {
        self.load_after = load();
        println!(
            "machine: {} x {}, Linux {}; load {} before, {} after",
            self.processors, self.model, self.kernel, self.load_before, self.load_after
        );
    }
}

/// Processor time of a process so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cpu {
    /// All threads, ended ones too; to 10 ms.
    pub(crate) total: Duration,
    /// Living threads by their name; exact.
    pub(crate) threads: BTreeMap<String, Duration>,
}

impl Cpu {
    /// Of a living process.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
            .with_context(|| format!("process {pid} is gone"))?;
        let ticks = ticks(&stat).context("/proc/<pid>/stat is not what it used to be")?;
        let mut threads: BTreeMap<String, Duration> = BTreeMap::new();
        for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
            let read = |file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
            let nanos = read("schedstat")
                .split(' ')
                .next()
                .and_then(|nanos| nanos.parse().ok())
                .unwrap_or_default();
            *threads.entry(read("comm").trim().to_owned()).or_default() +=
                Duration::from_nanos(nanos);
        }
        Ok(Self { total: Duration::from_secs_f64(ticks as f64 / TICKS), threads })
    }

    /// The time of threads whose name begins so.
    pub(crate) fn of_threads(&self, name: &str) -> Duration {
        self.threads
            .iter()
            .filter(|(thread, _)| thread.starts_with(name))
            .map(|(_, time)| *time)
            .sum()
    }

    /// Waits until the process has nothing left to do, such as to write what was queued. Not longer
    /// than `longest`.
    pub(crate) fn settle(pid: u32, longest: Duration) -> Result<Self> {
        const LOOK: Duration = Duration::from_millis(80);
        let begun = Instant::now();
        let mut before = Self::of(pid)?;
        loop {
            sleep(LOOK);
            let now = Self::of(pid)?;
            let sum = |cpu: &Self| cpu.threads.values().sum::<Duration>();
            // Clocks and timers tick on in an idle process.
            if sum(&now).saturating_sub(sum(&before)) < LOOK / 20 || begun.elapsed() > longest {
                return Ok(now);
            }
            before = now;
        }
    }
}

/// Memory of a process that is in RAM, in bytes.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Resident {
    /// Its own.
    pub(crate) anonymous: u64,
    /// Of files that it has mapped, which the system can take back: its program, compiled scripts.
    pub(crate) file: u64,
}

impl Resident {
    /// Of a living process (`/proc/<pid>/status`).
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))
            .with_context(|| format!("process {pid} is gone"))?;
        let kib = |name: &str| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .and_then(|line| line.split_ascii_whitespace().next());
            line.and_then(|kib| kib.parse::<u64>().ok())
                .map(|kib| kib << 10)
                .with_context(|| format!("no {name} in /proc/{pid}/status"))
        };
        Ok(Self { anonymous: kib("RssAnon:")? + kib("RssShmem:")?, file: kib("RssFile:")? })
    }

    /// Both.
    pub(crate) fn total(self) -> u64 {
        self.anonymous + self.file
    }
}

/// User and system ticks. The second field is the program's name in brackets and may hold anything,
/// brackets too.
fn ticks(stat: &str) -> Option<u64> {
    fields(stat, 11)
}

/// The sum of two neighbouring fields, counted from behind the name.
fn fields(stat: &str, first: usize) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(first);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// Processor time of the calling thread.
pub(crate) fn thread_time() -> Duration {
    read(ClockId::ThreadCPUTime)
}

/// Processor time of this process.
pub(crate) fn process_time() -> Duration {
    read(ClockId::ProcessCPUTime)
}

/// Processor time of the children of this process that have ended and were waited for; to 10 ms.
pub(crate) fn children_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    Duration::from_secs_f64(fields(&stat, 13).unwrap_or_default() as f64 / TICKS)
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_behind_a_strange_name() {
        assert_eq!(ticks("7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 120 30 0 0 20 0"), Some(150));
        assert_eq!(ticks("7 (a"), None);
    }

    #[test]
    fn own_time_is_counted() {
        let begun = thread_time();
        let mut sum = 0u64;
        while thread_time() - begun < Duration::from_millis(30) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(Cpu::of(std::process::id()).unwrap().total >= Duration::from_millis(10));
    }
}
