//! `cargo xtask build-script DIR`: builds one Rust script as a user would have to, with the
//! environment that it needs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::wasm_targets::{self, TARGET};

/// Builds the Cargo project in `folder` and prints the path of each `.wasm` that it makes.
pub(crate) fn build(folder: &Path) -> Result<()> {
    for module in modules(folder)? {
        println!("{}", module.display());
    }
    Ok(())
}

/// Builds the Cargo project in `folder` and returns the `.wasm` files that it makes: at least one.
pub(crate) fn modules(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.join("Cargo.toml").is_file() {
        bail!("{} is not a Rust script: there is no Cargo.toml in it", folder.display());
    }
    let environment = wasm_targets::ensure(folder)?;

    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(folder)
        .args([
            "build",
            "--release",
            "--target",
            TARGET,
            "--message-format=json-render-diagnostics",
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = environment.apply(&mut cargo).output().context("could not start cargo")?;
    if !output.status.success() {
        bail!("cargo could not build {}", folder.display());
    }

    let mut modules: Vec<PathBuf> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .flat_map(modules_in)
        .map(PathBuf::from)
        .collect();
    modules.sort();
    modules.dedup();
    if modules.is_empty() {
        bail!(
            "{} builds, but makes no .wasm file. A script is a library with `crate-type = [\"cdylib\"]` under `[lib]` in its \
             Cargo.toml, or a program with a main function",
            folder.display()
        );
    }
    Ok(modules)
}

/// The `.wasm` files that one line of cargo's messages tells of.
fn modules_in(line: &str) -> Vec<String> {
    let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else { return Vec::new() };
    if message.get("reason").and_then(|reason| reason.as_str()) != Some("compiler-artifact") {
        return Vec::new();
    }
    let names = message
        .get("filenames")
        .and_then(|names| names.as_array())
        .map(Vec::as_slice)
        .unwrap_or_default();
    names
        .iter()
        .filter_map(|name| name.as_str())
        .filter(|name| name.ends_with(".wasm"))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::modules_in;

    #[test]
    fn only_artifacts_that_are_wasm_count() {
        let artifact = r#"{"reason":"compiler-artifact","filenames":["/t/release/greet.wasm","/t/release/greet.d"]}"#;
        assert_eq!(modules_in(artifact), ["/t/release/greet.wasm"]);
        assert!(
            modules_in(r#"{"reason":"compiler-artifact","filenames":["/t/libserde.rlib"]}"#)
                .is_empty()
        );
        assert!(modules_in(r#"{"reason":"build-finished","success":true}"#).is_empty());
        assert!(modules_in("not a message").is_empty());
    }
}
