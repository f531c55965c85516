//! What every command returns.

use std::process::ExitCode;

/// What a command failed with: a sentence for the person at the terminal.
pub(super) type CliResult = Result<ExitCode, String>;
