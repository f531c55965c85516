//! The project's own commands. Run them as `cargo xtask <command>`.

mod apt;
mod bench;
mod build_script;
mod c_toolchain;
mod check;
mod demo;
mod guests;
mod host;
mod instructions;
mod packages;
mod peers;
mod process;
mod servers;
mod steps;
mod test;
mod toolchain;
mod torture;
mod wasm_std;
mod wasm_targets;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

const USAGE: &str = "\
usage: cargo xtask <command>

  demo [--once] [--listen ADDR]
                      install what is missing, build, start the host, push the examples and call them; then go on serving
  test                install what the tests need and run everything that has to pass
  check               format, lints, and the unit tests of the packages that were changed since the branch left main:
                      about a minute at most where `test` and `check` have built before
  torture [--kills N] [--cases N]
                      the tests with faults for long: hosts killed N times under load, N power cuts, and the others
  bench [--quick] [PART ...]
                      install the peers, measure beside them and write target/bench/*.json; PART chooses
  instructions [--update]
                      count the instructions of a call and of a queued job, and compare with bench/instructions.json, or write it
  peers               install the clients, SDKs, servers and the proxy that the tests use into target/peers
  guests              build the scripts and the test guests into target/guests
  build-script DIR    build one script and print the path of its .wasm
  targets             make sure that Rust can compile for wasm32-wasip2";

fn main() -> ExitCode {
    match dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["demo"] => demo::build_and_run(&root()?, false, None),
        ["demo", "--once"] => demo::build_and_run(&root()?, true, None),
        ["demo", "--listen", address] => demo::build_and_run(&root()?, false, Some(address)),
        ["test"] => test::run_all(&root()?),
        ["check"] => check::run_all(&root()?),
        ["instructions"] => instructions::build_and_count(&root()?, false),
        ["instructions", "--update"] => instructions::build_and_count(&root()?, true),
        // How `test` has cargo start the test programs.
        [test::TIMED, program @ ..] => test::timed(program),
        ["torture", amount @ ..] => torture::run(&root()?, &torture::Amount::parse(amount)?),
        ["bench", parts @ ..] => bench::run(&root()?, parts),
        ["peers"] => peers::ensure(&root()?),
        ["guests"] => guests::build_all(&root()?).map(drop),
        ["build-script", folder] => build_script::build(Path::new(folder)),
        ["targets"] => wasm_targets::ensure(&root()?).map(drop),
        _ => bail!("{USAGE}"),
    }
}

/// The root of the repository.
fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(Path::to_path_buf).context("xtask has been moved out of the repository")
}
