//! `cargo xtask test`: everything that has to hold. What fails fastest comes first, and what needs
//! nothing of each other runs at the same time.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::process::{attempt, cargo, run};
use crate::steps::{self, both, step};
use crate::{bench, demo, guests, instructions, packages, peers, servers};

/// Tests at the same time, for each processor. Most of them wait for what they started.
const TESTS_PER_PROCESSOR: usize = 3;

/// How many of the slowest steps and tests are named at the end.
const NAMED: usize = 10;

/// Installs what the checks need and runs them all.
pub(crate) fn run_all(root: &Path) -> Result<()> {
    let begun = Instant::now();
    step("checking the format", || format(root))?;
    // The compiler does not keep all processors busy all the time, and installing even less.
    let ((), guests) = both(
        || {
            build(root)?;
            step("linting", || lint(root))
        },
        || prepare(root),
    )?;
    let tests = step("running the tests", || run_tests(root))?;
    step("running the examples in the documentation of the code", || {
        tests_end(cargo(root).args(["test", "--locked", "--release", "--workspace", "--doc"]))
    })?;
    instructions::compare(root)?;
    let bench = root.join("target/release/wasmill-bench");
    for part in bench::PARTS {
        step(&format!("trying the benchmark {part}"), || {
            run(Command::new(&bench).current_dir(root).args([part, "--quick"]))
        })?;
    }
    step("running the demo", || {
        demo::run(root, root.join("target/release/wasmill"), guests, true, None)
    })?;
    eprintln!("the slowest tests:");
    for (seconds, name) in tests.iter().take(NAMED) {
        eprintln!("{seconds:8.1} s  {name}");
    }
    eprintln!("the slowest steps, some of them at the same time as others:");
    for (what, taken) in steps::slowest(NAMED) {
        eprintln!("{:8.1} s  {what}", taken.as_secs_f64());
    }
    eprintln!("everything passed, in {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// What needs no build of the host: the check of the dependencies, and everything that the tests
/// start or send.
fn prepare(root: &Path) -> Result<BTreeMap<String, PathBuf>> {
    ensure_deny(root)?;
    step("checking dependencies, licences and sources", || deny(root))?;
    servers::ensure()?;
    instructions::ensure_valgrind()?;
    let guests = guests::build_all(root)?;
    peers::ensure(root)?;
    Ok(guests)
}

/// Checks the format.
pub(crate) fn format(root: &Path) -> Result<()> {
    run(cargo(root).args(["fmt", "--all", "--check"]))
}

/// Lints all code. What was linted before and has not changed since is left alone, by cargo.
pub(crate) fn lint(root: &Path) -> Result<()> {
    run(cargo(root).arg("clippy").args(EVERYTHING).args(["--", "-D", "warnings"]))
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

/// Runs all test programs, one after the other, and returns how long each test took, in seconds,
/// the slowest first.
///
/// Their output goes to stdout, so that whoever reads it finds the tests' own closing lines there.
fn run_tests(root: &Path) -> Result<Vec<(f64, String)>> {
    let this = std::env::current_exe().context("this program cannot be found")?;
    let this = this.to_str().context("this program is in a folder whose name is not UTF-8")?;
    // A TOML string in the form in which nothing has to be escaped.
    let runner = format!("target.'cfg(all())'.runner = ['{this}', '{TIMED}']");
    let mut tests = cargo(root)
        .args(["test", "--locked", "--release", "--workspace", "--lib", "--bins", "--tests"])
        .args(["--config", &runner])
        .env("RUST_TEST_THREADS", threads())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("could not start cargo")?;
    let output = tests.stdout.take().context("cargo has no output")?;
    let mut times = Vec::new();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("could not read the tests' output")?;
        let line = String::from_utf8_lossy(&line);
        writeln!(std::io::stdout(), "{line}").context("could not print the tests' output")?;
        times.extend(time_in(&line));
    }
    if !tests.wait().context("could not wait for cargo")?.success() {
        bail!("tests failed");
    }
    times.sort_by(|one, other| other.0.total_cmp(&one.0));
    Ok(times)
}

/// How many tests of one program run at the same time, as `RUST_TEST_THREADS` has it.
pub(crate) fn threads() -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    (processors * TESTS_PER_PROCESSOR).to_string()
}

/// The command of this program that cargo starts test programs with.
pub(crate) const TIMED: &str = "timed";

/// Becomes a test program that prints how long each test took. The words are the program and its
/// arguments.
pub(crate) fn timed(words: &[&str]) -> Result<()> {
    let [program, arguments @ ..] = words else { bail!("{TIMED} needs a program") };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .args(["-Zunstable-options", "--report-time"])
        // The harness of a stable compiler has these options too, behind this switch. Given to
        // the program alone: cargo would build other things with it.
        .env("RUSTC_BOOTSTRAP", "1");
    Err(command.exec()).with_context(|| format!("could not start {program}"))
}

/// The time and name in a line such as `test queue::jobs_wait ... ok <1.203s>`.
fn time_in(line: &str) -> Option<(f64, String)> {
    let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let (_, seconds) = outcome.split_once('<')?;
    Some((seconds.trim_end().strip_suffix("s>")?.parse().ok()?, name.to_owned()))
}

/// Runs tests whose output goes to stdout.
fn tests_end(tests: &mut Command) -> Result<()> {
    let status = tests.status().context("could not start cargo")?;
    if !status.success() {
        bail!("tests failed");
    }
    Ok(())
}

/// Installs cargo-deny where it is missing.
fn ensure_deny(root: &Path) -> Result<()> {
    if attempt(cargo(root).args(["deny", "--version"])).is_ok() {
        return Ok(());
    }
    step("installing cargo-deny (once)", || {
        let mut install = cargo(root);
        install.args(["install", "--quiet", "--locked", "cargo-deny"]);
        packages::build_quickly(&mut install);
        run(&mut install)
    })
}

/// Runs cargo-deny.
fn deny(root: &Path) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use super::time_in;

    #[test]
    fn times_are_read_from_lines_of_tests_alone() {
        let time = |line| time_in(line).map(|(seconds, name)| format!("{name} {seconds}"));
        assert_eq!(
            time("test queue::waits ... ok <1.203s>").as_deref(),
            Some("queue::waits 1.203")
        );
        assert_eq!(time("test queue::waits ... ok"), None);
        assert_eq!(time("test result: ok. 5 passed; finished in 2.40s"), None);
        assert_eq!(time("running 5 tests"), None);
    }
}
