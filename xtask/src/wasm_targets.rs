//! Makes sure that the Rust toolchain can compile guests, and says with which environment.
//!
//! The compiler itself and the linkers for WebAssembly are in every toolchain; what can be missing
//! is the standard library of the target. In this order: the one that the toolchain has, one that
//! was built here before, `rustup target add`, and where rustup cannot reach its server, one that
//! is built from Debian's source package (see [`wasm_std`]).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process::attempt;
use crate::steps::step;
use crate::toolchain::Toolchain;
use crate::wasm_std;

/// The target that all Rust guests are compiled for.
pub(crate) const TARGET: &str = "wasm32-wasip2";

/// Set to anything, it has the standard library built here even where rustup could deliver it. For
/// testing that path.
const FORCE_BUILD: &str = "WASMILL_BUILD_WASM_STD";

/// What a `cargo build --target wasm32-wasip2` needs in its environment.
#[derive(Debug, Default)]
pub(crate) struct GuestEnv {
    sysroot: Option<PathBuf>,
}

impl GuestEnv {
    /// Gives the environment to a command that runs cargo.
    pub(crate) fn apply<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for (name, value) in self.vars() {
            command.env(name, value);
        }
        // Flags meant for the host (a linker, a CPU) would break a guest, and either variable
        // outranks the target's own. The others would make cargo use another toolchain than the one
        // that was looked at.
        command
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("CARGO_BUILD_TARGET")
    }

    /// The variables, for whoever has to print them or pass them on. None if the toolchain is
    /// complete.
    pub(crate) fn vars(&self) -> Vec<(&'static str, OsString)> {
        let Some(sysroot) = &self.sysroot else { return Vec::new() };
        // Flags of a target leave build scripts and procedural macros alone: they go on with the
        // ordinary sysroot.
        let mut flags = OsString::from("--sysroot=");
        flags.push(sysroot);
        vec![("CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS", flags)]
    }
}

/// Makes sure that cargo, run in `folder`, can compile for [`TARGET`]. Quick when there is nothing
/// to do.
pub(crate) fn ensure(folder: &Path) -> Result<GuestEnv> {
    let toolchain = Toolchain::in_folder(folder)?;
    let forced = std::env::var_os(FORCE_BUILD).is_some();
    if !forced && toolchain.has(TARGET) {
        return Ok(GuestEnv::default());
    }

    let store = wasm_std::store(&toolchain.commit)?;
    let sysroot = store.join(TARGET);
    if wasm_std::is_complete(&sysroot) {
        return Ok(GuestEnv { sysroot: Some(sysroot) });
    }

    if !forced {
        let added = step(&format!("adding the target {TARGET} by rustup"), || {
            Ok(attempt(Command::new("rustup").current_dir(folder).args(["target", "add", TARGET])))
        })?;
        match added {
            Ok(()) if toolchain.has(TARGET) => return Ok(GuestEnv::default()),
            Ok(()) => eprintln!(
                "  rustup added it to another toolchain than {}",
                toolchain.sysroot.display()
            ),
            Err(reason) => {
                eprintln!("  not possible: {}", reason.lines().last().unwrap_or("no reason given"))
            }
        }
    }

    step(&format!("building the standard library for {TARGET} from source (once per compiler)"), || {
        wasm_std::build(&toolchain, TARGET, &store)
    })
    .with_context(|| {
        format!("the target {TARGET} is missing; where rustup can reach its server, `rustup target add {TARGET}` installs it")
    })?;
    Ok(GuestEnv { sysroot: Some(sysroot) })
}
