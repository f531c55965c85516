//! Builds the standard library for a WASI target where rustup cannot deliver it.
//!
//! From Debian come the sources (package `rust-src`, of exactly the compiler's version) and the C
//! library that the target is linked with (`wasi-libc`); from crates.io, by cargo, the crates that
//! the standard library uses. The result is a sysroot with nothing but this target, kept outside
//! the repository under the hash of the compiler's commit, because a library can only be used by
//! the very compiler that built it. The toolchain itself is not touched.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process::{output, run};
use crate::toolchain::Toolchain;

/// The Debian suite that has compilers as new as ours, and a C library that can link programs which
/// start threads.
const SUITE: &str = "trixie-backports";

/// Written last: a folder without this file was not finished.
const MARKER: &str = "complete";

/// The crate whose build makes cargo build the standard library.
const SEED: &str = r#"[package]
name = "seed"
version = "0.0.0"
edition = "2024"

[profile.release]
opt-level = 3
codegen-units = 1
debug = 0
panic = "abort"

[workspace]
"#;

/// The folder for all that is built for one compiler.
pub(crate) fn store(commit: &str) -> Result<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => std::env::home_dir()
            .context("there is no home directory; set XDG_CACHE_HOME to a folder")?
            .join(".cache"),
    };
    Ok(cache.join("wasmill/wasm-std").join(commit))
}

/// Whether this sysroot was built to its end.
pub(crate) fn is_complete(sysroot: &Path) -> bool {
    sysroot.join(MARKER).is_file()
}

/// Builds the sysroot `store/target`.
pub(crate) fn build(toolchain: &Toolchain, target: &str, store: &Path) -> Result<()> {
    // All work is done beside the final folder, so that one rename publishes it and a killed build
    // leaves no half one.
    let work = store.join(format!("{target}.partial-{}", std::process::id()));
    if work.exists() {
        fs::remove_dir_all(&work)
            .with_context(|| format!("could not remove {}", work.display()))?;
    }
    make_folder(&work)?;

    let built = build_in(&work, toolchain, target)
        .and_then(|finished| publish(&finished, &store.join(target)));
    // What is left over of a failed build only takes space; its error is more important than one of
    // this.
    let _ = fs::remove_dir_all(&work);
    built
}

fn publish(finished: &Path, sysroot: &Path) -> Result<()> {
    if sysroot.exists() && !is_complete(sysroot) {
        fs::remove_dir_all(sysroot)
            .with_context(|| format!("could not remove {}", sysroot.display()))?;
    }
    match fs::rename(finished, sysroot) {
        Ok(()) => Ok(()),
        // Another build was quicker; its result is as good as ours.
        Err(_) if is_complete(sysroot) => Ok(()),
        Err(error) => Err(error)
            .with_context(|| format!("could not move the result to {}", sysroot.display())),
    }
}

/// Builds in the folder `work` and returns the sysroot to be published.
fn build_in(work: &Path, toolchain: &Toolchain, target: &str) -> Result<PathBuf> {
    let packages = Packages::fetch(work, toolchain)?;

    let compiler = wrapped_compiler(work, toolchain, &packages.sources)?;
    let seed = work.join("seed");
    make_folder(&seed.join("src"))?;
    write(&seed.join("Cargo.toml"), SEED)?;
    write(&seed.join("src/lib.rs"), "")?;

    let libraries = work.join("out/lib/rustlib").join(target).join("lib");
    let objects = libraries.join("self-contained");
    make_folder(&objects)?;
    // The linker driver of the compiler looks for these before anything is linked with the new
    // library.
    for name in ["crt1-command.o", "crt1-reactor.o", "libc.a"] {
        copy(&packages.c_library(target).join(name), &objects.join(name))?;
    }

    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(&toolchain.folder)
        .args([
            "build",
            "--quiet",
            "--release",
            "-Zbuild-std=std,panic_abort",
            "--target",
            target,
            "--manifest-path",
        ])
        .arg(seed.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", work.join("target"))
        .env("RUSTC", compiler)
        // Building std is a feature of nightly compilers; this is the switch by which stable ones
        // are themselves built.
        .env("RUSTC_BOOTSTRAP", "1")
        // Bitcode lets guests use link-time optimisation; the remapped path is what panic messages
        // show.
        .env(
            "RUSTFLAGS",
            format!(
                "-Cembed-bitcode=yes --remap-path-prefix={}=/rustc/{}",
                packages.sources.display(),
                toolchain.commit
            ),
        )
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    run(&mut cargo)?;

    for library in files_in(&work.join("target").join(target).join("release/deps"))? {
        let name = library.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".rlib") && !name.starts_with("libseed-") {
            copy(&library, &libraries.join(name))?;
        }
    }

    let finished = work.join("out");
    write(
        &finished.join(MARKER),
        &format!("rustc {} ({})\n", toolchain.release, toolchain.commit),
    )?;
    Ok(finished)
}

/// A compiler that believes to have the source package installed.
///
/// Its sysroot consists of links to the real one, plus the sources where cargo looks for them.
fn wrapped_compiler(work: &Path, toolchain: &Toolchain, sources: &Path) -> Result<PathBuf> {
    let sysroot = work.join("sysroot");
    let rustlib = sysroot.join("lib/rustlib");
    make_folder(&rustlib.join("src"))?;
    link(&toolchain.sysroot.join("bin"), &sysroot.join("bin"))?;
    for entry in files_in(&toolchain.sysroot.join("lib"))? {
        if entry.file_name() != Some(OsStr::new("rustlib")) {
            link(&entry, &sysroot.join("lib").join(entry.file_name().unwrap_or_default()))?;
        }
    }
    for entry in files_in(&toolchain.sysroot.join("lib/rustlib"))? {
        if entry.file_name() != Some(OsStr::new("src")) {
            link(&entry, &rustlib.join(entry.file_name().unwrap_or_default()))?;
        }
    }
    link(sources, &rustlib.join("src/rust"))?;

    let wrapper = work.join("rustc");
    let real = toolchain.sysroot.join("bin/rustc");
    write(
        &wrapper,
        &format!("#!/bin/sh\nexec '{}' --sysroot '{}' \"$@\"\n", real.display(), sysroot.display()),
    )?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("could not make {} executable", wrapper.display()))?;
    Ok(wrapper)
}

/// The unpacked Debian packages.
struct Packages {
    /// The folder of the Rust sources, with `library/std` in it.
    sources: PathBuf,
    /// The folder with a sub-folder of C libraries for each target.
    c_libraries: PathBuf,
}

impl Packages {
    fn fetch(work: &Path, toolchain: &Toolchain) -> Result<Self> {
        let apt = Apt::open(&work.join("apt"))?;
        let version = apt.version_of("rust-src", &toolchain.release)?;
        apt.download(&[format!("rust-src={version}"), "wasi-libc".to_owned()])?;

        let unpacked = work.join("packages");
        make_folder(&unpacked)?;
        for package in files_in(&apt.folder)? {
            if package.extension() == Some(OsStr::new("deb")) {
                run(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&unpacked))?;
            }
        }
        let sources = unpacked.join("usr/src").join(format!("rustc-{}", toolchain.release));
        if !sources.join("library/std").is_dir() {
            bail!(
                "the package rust-src {version} has no library/std where it used to be ({})",
                sources.display()
            );
        }
        Ok(Self { sources, c_libraries: unpacked.join("usr/lib") })
    }

    fn c_library(&self, target: &str) -> PathBuf {
        // Debian's name for preview 1 is older than Rust's.
        self.c_libraries.join(if target == "wasm32-wasip1" { "wasm32-wasi" } else { target })
    }
}

/// apt with a package list of its own, which needs no rights and leaves the machine's lists as they
/// are.
struct Apt {
    folder: PathBuf,
    options: Vec<String>,
}

impl Apt {
    fn open(folder: &Path) -> Result<Self> {
        make_folder(&folder.join("lists/partial"))?;
        make_folder(&folder.join("archives/partial"))?;
        let list = folder.join("sources.list");
        let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
        write(&list, &format!("deb [signed-by={keyring}] {} {SUITE} main\n", mirror()?))?;
        let at = |name: &str| folder.join(name).display().to_string();
        let apt = Self {
            folder: folder.to_path_buf(),
            options: vec![
                format!("-oDir::Etc::SourceList={}", list.display()),
                "-oDir::Etc::SourceParts=/dev/null".to_owned(),
                format!("-oDir::State::Lists={}", at("lists")),
                format!("-oDir::Cache::Archives={}", at("archives")),
                format!("-oDir::Cache::pkgcache={}", at("pkgcache.bin")),
                format!("-oDir::Cache::srcpkgcache={}", at("srcpkgcache.bin")),
                // apt run by root gives up its rights for downloads, and could then not write to
                // this folder.
                format!(
                    "-oAPT::Sandbox::User={}",
                    std::env::var("USER").unwrap_or_else(|_| "root".to_owned())
                ),
            ],
        };
        run(apt.command("apt-get").args(["update", "-qq"])).with_context(|| {
            format!("could not read Debian's package list of {SUITE}; this needs a Debian system and a reachable mirror")
        })?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder).args(&self.options);
        command
    }

    /// The full version of a package whose upstream version is `release`.
    fn version_of(&self, package: &str, release: &str) -> Result<String> {
        let table = output(self.command("apt-cache").args(["madison", package]))?;
        let versions: Vec<&str> =
            table.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim).collect();
        let wanted = versions.iter().find(|version| {
            version.strip_prefix(release).is_some_and(|rest| rest.starts_with(['+', '-', '~']))
        });
        match wanted {
            Some(version) => Ok((*version).to_owned()),
            None => bail!(
                "{SUITE} has {package} {}, but the compiler is {release}",
                versions.join(", ")
            ),
        }
    }

    fn download(&self, packages: &[String]) -> Result<()> {
        run(self.command("apt-get").args(["download", "-qq"]).args(packages))
    }
}

/// The Debian mirror that this machine uses already.
fn mirror() -> Result<String> {
    let listed = output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
    ]))?;
    let mirror = listed
        .lines()
        .map(|line| line.trim_end_matches('/'))
        .find(|line| line.ends_with("/debian"));
    mirror
        .map(str::to_owned)
        .context("apt knows no Debian mirror; this needs a Debian system whose package lists were fetched once (apt-get update)")
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        folder.read_dir().with_context(|| format!("could not read {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("could not create {}", folder.display()))
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("could not write {}", file.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("could not copy {} to {}", from.display(), to.display()))
}

fn link(target: &Path, name: &Path) -> Result<()> {
    symlink(target, name).with_context(|| format!("could not make the link {}", name.display()))
}
