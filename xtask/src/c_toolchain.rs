//! Compiles C scripts with Debian's clang and wasi-libc.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::apt;
use crate::process::{attempt, output, run};
use crate::steps::step;

const CLANG: &str = "clang-19";

/// The compiler, its linker, its run-time library and the C library.
const PACKAGES: [&str; 4] = ["clang-19", "lld-19", "libclang-rt-19-dev-wasm32", "wasi-libc"];

/// Files that show that the last two packages are there; the first two are programs.
const C_LIBRARY: &str = "/usr/lib/wasm32-wasi/libc.a";
const LINKER: &str = "wasm-ld-19";

/// A preview-1 compiler for C.
pub(crate) struct CToolchain(());

impl CToolchain {
    /// Finds the compiler, or installs it if this machine lets us.
    pub(crate) fn ensure() -> Result<Self> {
        if !is_installed() {
            step(&format!("installing {}", PACKAGES.join(", ")), || apt::install(&PACKAGES))?;
            if !is_installed() {
                bail!(
                    "apt-get installed {}, but {CLANG} still cannot compile for WASI",
                    PACKAGES.join(" ")
                );
            }
        }
        Ok(Self(()))
    }

    /// Compiles one C file to a core module with `_start`.
    pub(crate) fn compile(&self, source: &Path, module: &Path) -> Result<()> {
        // -Os for size; debug information goes, but the names of functions stay, so that a trap's
        // backtrace can be read.
        run(Command::new(CLANG)
            .args([
                "--target=wasm32-wasi",
                "-std=c11",
                "-Os",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-Wl,--strip-debug",
                "-o",
            ])
            .arg(module)
            .arg(source))
    }
}

fn is_installed() -> bool {
    let version = |program: &str| attempt(Command::new(program).arg("--version")).is_ok();
    version(CLANG) && version(LINKER) && Path::new(C_LIBRARY).is_file() && has_runtime_library()
}

/// Whether the compiler's own run-time library for wasm32 is where the compiler looks for it.
fn has_runtime_library() -> bool {
    let asked = output(Command::new(CLANG).args([
        "--target=wasm32-wasi",
        "--rtlib=compiler-rt",
        "-print-libgcc-file-name",
    ]));
    asked.is_ok_and(|file| Path::new(file.trim()).is_file())
}
