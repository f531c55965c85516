//! `cargo xtask guests`: builds the scripts and the test guests into `target/guests/<name>.wasm`.
//!
//! A guest's name is that of its folder. What is up to date is left alone: cargo knows that of the
//! Rust ones, and the C ones are compared by time.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use crate::c_toolchain::CToolchain;
use crate::process;
use crate::steps::step;
use crate::wasm_targets::{self, GuestEnv, TARGET};

/// The cargo workspaces whose members are guests.
const WORKSPACES: [&str; 2] = ["scripts", "tests/guests"];

/// The folder whose sub-folders with a `main.c` are guests.
const C_SCRIPTS: &str = "scripts";

/// Another version of a script, made by a cargo feature: something to overwrite the first one with,
/// or to measure.
struct Variant {
    workspace: &'static str,
    package: &'static str,
    feature: &'static str,
}

const VARIANTS: [Variant; 2] = [
    Variant { workspace: "scripts", package: "hello", feature: "loud" },
    Variant { workspace: "scripts", package: "hello", feature: "quiet" },
];

/// Builds all guests. Returns the `.wasm` file of each by its name.
pub(crate) fn build_all(root: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let folder = root.join("target/guests");
    fs::create_dir_all(&folder)
        .with_context(|| format!("could not create {}", folder.display()))?;
    let environment = wasm_targets::ensure(root)?;

    let mut guests = BTreeMap::new();
    for workspace in WORKSPACES {
        let built = step(&format!("building the Rust guests in {workspace}"), || {
            // A target folder apart from the host's: no waiting for a lock that a build of the host
            // holds.
            cargo(
                &root.join(workspace),
                &root.join("target/guests-build"),
                &environment,
                &["--workspace"],
            )
        })?;
        for (name, module) in built {
            put(&folder, &name, &module, &mut guests)?;
        }
    }
    for variant in VARIANTS {
        let Variant { workspace, package, feature } = variant;
        let name = format!("{package}-{feature}");
        // A library's file has the same name whatever its features are, so a variant needs a target
        // folder of its own.
        let target = root.join("target/guests-build").join(&name);
        let built = step(&format!("building {package} with the feature {feature}"), || {
            cargo(
                &root.join(workspace),
                &target,
                &environment,
                &["--package", package, "--features", feature],
            )
        })?;
        let Some(module) = built.get(package) else {
            bail!("cargo built {package}, but made no .wasm file of it")
        };
        put(&folder, &name, module, &mut guests)?;
    }
    build_c(root, &folder, &mut guests)?;

    eprintln!("{} guests in {}", guests.len(), folder.display());
    Ok(guests)
}

/// Runs one `cargo build` and returns the `.wasm` files that it made, by the names of their
/// packages' folders.
pub(crate) fn cargo(
    workspace: &Path,
    target: &Path,
    environment: &GuestEnv,
    what: &[&str],
) -> Result<BTreeMap<String, PathBuf>> {
    let mut command = process::cargo(workspace);
    command
        .args(["build", "--quiet", "--locked", "--release", "--target", TARGET])
        .arg("--message-format=json-render-diagnostics")
        .args(what)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    // Set after the environment of the guests, which has nothing to say about the target folder.
    let command = environment.apply(&mut command).env("CARGO_TARGET_DIR", target);
    let output = command.output().context("could not start cargo")?;
    if !output.status.success() {
        bail!("cargo could not build {} in {}", what.join(" "), workspace.display());
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(module_in).collect())
}

/// The name and the `.wasm` file that one line of cargo's messages tells of.
fn module_in(line: &str) -> Option<(String, PathBuf)> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    if message.get("reason")?.as_str()? != "compiler-artifact" {
        return None;
    }
    let module = message
        .get("filenames")?
        .as_array()?
        .iter()
        .filter_map(|name| name.as_str())
        .find(|name| name.ends_with(".wasm"))?;
    // The file is named after the crate, with underscores; people know the script by its folder.
    let manifest = Path::new(message.get("manifest_path")?.as_str()?);
    let name = manifest.parent()?.file_name()?.to_str()?;
    Some((name.to_owned(), PathBuf::from(module)))
}

/// Puts a module into the folder of finished ones, unless it is there already.
fn put(
    folder: &Path,
    name: &str,
    module: &Path,
    guests: &mut BTreeMap<String, PathBuf>,
) -> Result<()> {
    let place = folder.join(format!("{name}.wasm"));
    let bytes = fs::read(module).with_context(|| format!("could not read {}", module.display()))?;
    // An unchanged file keeps its time, so that whatever is made from it is not made again.
    if fs::read(&place).ok().as_ref() != Some(&bytes) {
        let partial = folder.join(format!("{name}.wasm.partial"));
        fs::write(&partial, &bytes)
            .with_context(|| format!("could not write {}", partial.display()))?;
        fs::rename(&partial, &place)
            .with_context(|| format!("could not write {}", place.display()))?;
    }
    if guests.insert(name.to_owned(), place).is_some() {
        bail!("there are two guests named {name}; rename the folder of one of them");
    }
    Ok(())
}

/// Compiles each `main.c` whose module is older than it.
fn build_c(root: &Path, folder: &Path, guests: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    let scripts = root.join(C_SCRIPTS);
    let mut compiler = None;
    for entry in
        scripts.read_dir().with_context(|| format!("could not read {}", scripts.display()))?
    {
        let entry = entry?;
        let source = entry.path().join("main.c");
        if !source.is_file() {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let module = folder.join(format!("{name}.wasm"));
        if !is_newer(&module, &source) {
            let compiler = match &compiler {
                Some(compiler) => compiler,
                None => compiler.insert(CToolchain::ensure()?),
            };
            step(&format!("compiling {name} from C"), || compiler.compile(&source, &module))?;
        }
        if guests.insert(name.clone(), module).is_some() {
            bail!("there are two guests named {name}; rename the folder of one of them");
        }
    }
    Ok(())
}

/// Whether `made` exists and is not older than `source`.
fn is_newer(made: &Path, source: &Path) -> bool {
    let changed = |file: &Path| file.metadata().and_then(|metadata| metadata.modified()).ok();
    matches!((changed(made), changed(source)), (Some(made), Some(source)) if made >= source)
}
