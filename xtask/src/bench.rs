//! `cargo xtask bench`: the peers, installed from their registries, and the programs that measure
//! beside them.
//!
//! What is installed and built goes into `target/bench/peers`, in the versions that `bench/peers`
//! pins; what was measured goes into `target/bench`, one JSON file for each part.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::packages::{self, Built};
use crate::process::{cargo, run as run_quietly};
use crate::steps::step;
use crate::wasm_targets::{self, GuestEnv};
use crate::{apt, guests, host};

/// The server of `wasi:http` components. Arguments of `cargo install`.
const WASMTIME: [&str; 3] = ["wasmtime-cli", "--version", "48.0.8"];

/// What is measured unless something is chosen, in this order.
pub(crate) const PARTS: [&str; 8] =
    ["peers", "versions", "neighbour", "large", "choices", "in-process", "http", "queue"];

/// Installs, builds and measures. `words`: `--quick`, and the parts to measure.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let quick = words.contains(&"--quick");
    let chosen: Vec<&str> = words.iter().copied().filter(|word| *word != "--quick").collect();
    if let Some(unknown) = chosen.iter().find(|part| !PARTS.contains(part)) {
        bail!("there is nothing named {unknown} to measure; there are {}", PARTS.join(", "));
    }
    guests::build_all(root)?;
    ensure_peers(root)?;
    let programs = build(root, quick)?;
    let results = root.join("target/bench");
    for part in PARTS.iter().filter(|part| chosen.is_empty() || chosen.contains(part)) {
        step(&format!("measuring {part}"), || {
            let mut bench = Command::new(programs.join("wasmill-bench"));
            bench
                .current_dir(root)
                .arg(part)
                .arg("--json")
                .arg(results.join(format!("{part}.json")));
            if *part == "http" {
                bench.arg("--pin");
            }
            if quick {
                bench.arg("--quick");
            }
            run_shown(&mut bench)
        })?;
    }
    Ok(())
}

/// Builds the host and what measures it, the way the host is shipped. To see that it works the
/// tests' way is enough, and is there already.
fn build(root: &Path, quick: bool) -> Result<PathBuf> {
    if quick {
        host::build(root)?;
        return Ok(root.join("target/release"));
    }
    step(
        "building the host and the benchmarks as they are shipped (the first time takes a quarter of an hour)",
        || {
            let packages = ["--package", "wasmill", "--package", "wasmill-bench"];
            run_quietly(
                cargo(root)
                    .args(["build", "--quiet", "--locked", "--profile", "dist", "--bins"])
                    .args(packages),
            )
        },
    )?;
    Ok(root.join("target/dist"))
}

/// Its tables are what people wait for: they go to standard output.
fn run_shown(command: &mut Command) -> Result<()> {
    let status = command.status().context("could not start wasmill-bench")?;
    if !status.success() {
        bail!("wasmill-bench failed: {status}");
    }
    Ok(())
}

/// Installs the peers and builds what they run.
fn ensure_peers(root: &Path) -> Result<()> {
    let (asked, folder) = (root.join("bench/peers"), root.join("target/bench/peers"));
    packages::python(&asked.join("requirements.txt"), &folder.join("python"))?;
    packages::node(&asked, &folder.join("node"))?;
    packages::cargo(root, &WASMTIME, Built::AsReleased, &folder.join("cargo"))?;
    if Command::new("taskset").arg("--version").output().is_err() {
        apt::install(&["util-linux"])?;
    }
    let components = folder.join("components");
    fs::create_dir_all(&components)
        .with_context(|| format!("could not make {}", components.display()))?;
    served(root, &asked.join("serve"), &components, &wasm_targets::ensure(root)?)?;
    Languages { wit: root.join("scripts/hello/wit/hello.wit"), asked, folder, components }.build()
}

/// `hello` for `wasmtime serve`.
fn served(root: &Path, source: &Path, components: &Path, environment: &GuestEnv) -> Result<()> {
    step("building hello for wasmtime serve", || {
        let built =
            guests::cargo(source, &root.join("target/guests-build/serve"), environment, &[])?;
        let module = built.get("serve").context("cargo built it, but made no .wasm file of it")?;
        let place = components.join("serve.wasm");
        fs::copy(module, &place)
            .with_context(|| format!("could not write {}", place.display()))
            .map(drop)
    })
}

/// Typed components of `hello` in other languages.
struct Languages {
    wit: PathBuf,
    asked: PathBuf,
    folder: PathBuf,
    components: PathBuf,
}

impl Languages {
    fn build(&self) -> Result<()> {
        let script = self.asked.join("hello.mjs");
        let node =
            |program: &str| Command::new(self.folder.join("node/node_modules/.bin").join(program));
        self.component("hello-qjs", &script, |made| {
            let mut command = node("componentize-qjs");
            command
                .arg("--wit")
                .arg(&self.wit)
                .arg("--js")
                .arg(&script)
                .arg("--sync")
                .arg("-o")
                .arg(made);
            command
        })?;
        self.component("hello-starling", &script, |made| {
            let mut command = node("componentize-js");
            // Without these it would import wasi:http.
            command.args(["--disable", "http", "--disable", "fetch-event"]);
            command.arg("--wit").arg(&self.wit).arg("-o").arg(made).arg(&script);
            command
        })?;
        let script = self.asked.join("hello.py");
        // A copy: Python leaves a folder beside what it reads.
        let copied = self.components.join("python");
        fs::create_dir_all(&copied)
            .with_context(|| format!("could not make {}", copied.display()))?;
        fs::copy(&script, copied.join("hello.py"))
            .with_context(|| format!("could not copy {}", script.display()))?;
        self.component("hello-python", &script, |made| {
            let mut command = Command::new(self.folder.join("python/bin/python"));
            // Named by its module: there is no program where pip installs into a folder.
            command
                .args(["-c", "import sys; from componentize_py import script; sys.exit(script())"]);
            command
                .arg("-d")
                .arg(&self.wit)
                .args(["-w", "hello", "componentize", "hello", "-p"])
                .arg(&copied)
                .arg("-o")
                .arg(made);
            command
        })
    }

    /// Makes a component, unless there is one that was made of the same by the same command.
    fn component(
        &self,
        name: &str,
        source: &Path,
        command: impl Fn(&Path) -> Command,
    ) -> Result<()> {
        let place = self.components.join(format!("{name}.wasm"));
        let (partial, made_of) =
            (place.with_extension("wasm.partial"), place.with_extension("made-of"));
        let mut command = command(&partial);
        let read = |file: &Path| {
            fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))
        };
        let recipe = format!("{command:?}\n{}\n{}", read(source)?, read(&self.wit)?);
        if place.is_file() && fs::read_to_string(&made_of).is_ok_and(|made_of| made_of == recipe) {
            return Ok(());
        }
        step(&format!("making {name}"), || {
            run_quietly(&mut command)?;
            fs::rename(&partial, &place)
                .with_context(|| format!("could not write {}", place.display()))?;
            fs::write(&made_of, &recipe)
                .with_context(|| format!("could not write {}", made_of.display()))
        })
    }
}
