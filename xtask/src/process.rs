//! Running other programs, with errors that name the program.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// Cargo, in a folder, as if it was called by hand: what the cargo that runs this program tells it
/// of itself is taken away. Some build scripts look at that, and everything behind them would be
/// compiled anew each time somebody calls the other one.
pub(crate) fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(folder);
    for (name, _) in std::env::vars_os() {
        let of_this_program = ["CARGO_PKG_", "CARGO_MANIFEST_"]
            .iter()
            .any(|begin| name.to_string_lossy().starts_with(begin));
        if of_this_program {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Runs a program to its end; its output goes where ours goes.
///
/// Standard output is left to the commands that print a result, so what the program prints there is
/// sent to standard error as well.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .with_context(|| format!("could not start {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed: {status}", shown(command));
    }
    Ok(())
}

/// Runs a program and returns what it wrote to standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("could not start {}", shown(command)))?;
    if !output.status.success() {
        bail!("{} failed: {}", shown(command), output.status);
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("{} wrote something that is not text", shown(command)))
}

/// Runs a program that may well fail, without a word of it on the terminal.
///
/// Returns its error text if it failed.
pub(crate) fn attempt(command: &mut Command) -> std::result::Result<(), String> {
    match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The program and its first few arguments, for error texts.
fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().take(4).map(|word| word.to_string_lossy().into_owned()));
    if command.get_args().len() > 4 {
        words.push("...".to_owned());
    }
    format!("`{}`", words.join(" "))
}
