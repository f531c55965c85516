//! `cargo xtask check`: the format, the lints, and the unit tests of the packages that have been
//! changed. Where `cargo xtask test` has been before, it takes 10 seconds to a minute; the first
//! time up to two more, for what is tested is built in another way.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::process::{cargo, output, run};
use crate::steps::step;
use crate::test;

/// Files that concern all packages.
const CONCERN_ALL: [&str; 4] = ["Cargo.toml", "Cargo.lock", "clippy.toml", "rust-toolchain.toml"];

/// The folder of the packages whose unit tests take long to build.
const LARGE: &str = "host";

/// A package of the workspace.
struct Package {
    name: String,
    /// Its folder, from the root of the repository.
    folder: PathBuf,
    /// Whether its library has unit tests.
    library: bool,
    /// Its programs that have unit tests.
    programs: Vec<String>,
}

/// Checks.
pub(crate) fn run_all(root: &Path) -> Result<()> {
    let packages = packages(root)?;
    let changed = changed(&packages, &changes(root)?);
    step("checking the format", || test::format(root))?;
    // All packages: those that nothing happened to, nor to what they depend on, cargo leaves alone.
    step("linting", || test::lint(root))?;
    if changed.is_empty() {
        eprintln!("no package has been changed");
        return Ok(());
    }
    let names: Vec<&str> = changed.iter().copied().collect();
    step(&format!("running the unit tests of {}", names.join(", ")), || {
        run(&mut unit_tests(root, &packages, &changed))
    })
}

/// The command that builds and runs the unit tests.
fn unit_tests(root: &Path, packages: &[Package], changed: &BTreeSet<&str>) -> Command {
    let mut tests = cargo(root);
    tests.args(["test", "--quiet", "--locked", "--release", "--workspace", "--lib"]);
    for package in packages {
        if changed.contains(package.name.as_str()) {
            for program in &package.programs {
                tests.args(["--bin", program]);
            }
        } else if package.library && package.folder.starts_with(LARGE) {
            // Only these: without the others, the engine would be compiled with other features.
            tests.args(["--exclude", &package.name]);
        }
        // Built in pieces that are kept, and optimized little: it is the build that is waited for.
        // What the packages depend on remains as `cargo xtask test` has built it.
        let name = &package.name;
        tests.arg("--config").arg(format!("profile.release.package.{name}.opt-level = 1"));
    }
    tests.env("CARGO_INCREMENTAL", "1").env("RUST_TEST_THREADS", test::threads());
    tests
}

/// What has been changed since the branch left `main`, committed or not, from the root on.
fn changes(root: &Path) -> Result<Vec<PathBuf>> {
    let git = |arguments: &[&str]| output(Command::new("git").current_dir(root).args(arguments));
    let exists = |name: &str| {
        let mut ask = Command::new("git");
        ask.current_dir(root).args(["rev-parse", "--quiet", "--verify", name]);
        crate::process::attempt(&mut ask).is_ok()
    };
    let main = ["main", "origin/main"].into_iter().find(|name| exists(name));
    let since = match main {
        Some(main) => git(&["merge-base", "HEAD", main])?,
        None => "HEAD".to_owned(),
    };
    // Both sides of a move. With ends that no file's name can hold.
    let mut names = git(&["diff", "--name-only", "--no-renames", "-z", since.trim()])?;
    names.push_str(&git(&["ls-files", "--others", "--exclude-standard", "-z"])?);
    Ok(names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect())
}

/// The names of the packages that files belong to.
fn changed<'a>(packages: &'a [Package], files: &[PathBuf]) -> BTreeSet<&'a str> {
    if files.iter().any(|file| CONCERN_ALL.iter().any(|all| file == Path::new(all))) {
        return packages.iter().map(|package| package.name.as_str()).collect();
    }
    // The innermost: packages lie in folders of others.
    let owner = |file: &PathBuf| {
        packages
            .iter()
            .filter(|package| file.starts_with(&package.folder))
            .max_by_key(|package| package.folder.components().count())
    };
    files.iter().filter_map(owner).map(|package| package.name.as_str()).collect()
}

/// The packages of the workspace.
fn packages(root: &Path) -> Result<Vec<Package>> {
    let mut ask = cargo(root);
    ask.args(["metadata", "--locked", "--no-deps", "--format-version", "1"]);
    let metadata: Value =
        serde_json::from_str(&output(&mut ask)?).context("cargo metadata is not JSON")?;
    let Some(packages) = metadata.get("packages").and_then(Value::as_array) else {
        bail!("cargo metadata names no packages");
    };
    packages
        .iter()
        .map(|package| in_metadata(root, package).context("cargo metadata describes no package"))
        .collect()
}

fn in_metadata(root: &Path, package: &Value) -> Option<Package> {
    let tested = package
        .get("targets")?
        .as_array()?
        .iter()
        .filter(|target| target.get("test").and_then(Value::as_bool).unwrap_or_default());
    let (mut library, mut programs) = (false, Vec::new());
    for target in tested {
        match target.get("kind")?.get(0)?.as_str()? {
            "lib" | "proc-macro" => library = true,
            "bin" => programs.push(target.get("name")?.as_str()?.to_owned()),
            _ => {}
        }
    }
    let manifest = Path::new(package.get("manifest_path")?.as_str()?);
    Some(Package {
        name: package.get("name")?.as_str()?.to_owned(),
        folder: manifest.parent()?.strip_prefix(root).ok()?.to_path_buf(),
        library,
        programs,
    })
}

#[cfg(test)]
mod tests {
    use super::{Package, changed};
    use std::path::PathBuf;

    #[test]
    fn a_file_belongs_to_the_innermost_package() {
        let package = |name: &str, folder: &str| Package {
            name: name.to_owned(),
            folder: folder.into(),
            library: true,
            programs: Vec::new(),
        };
        let packages = [package("outer", "host"), package("inner", "host/core")];
        let of = |files: &[&str]| -> Vec<&str> {
            let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
            changed(&packages, &files).into_iter().collect()
        };
        assert_eq!(of(&["host/core/src/lib.rs"]), ["inner"]);
        assert_eq!(of(&["host/src/main.rs", "docs/jobs.md"]), ["outer"]);
        assert!(of(&["hosts/main.rs", "README.md"]).is_empty());
        assert_eq!(of(&["Cargo.lock"]), ["inner", "outer"]);
    }
}
