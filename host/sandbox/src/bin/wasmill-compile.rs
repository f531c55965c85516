//! The compile child as a program of its own, for the tests of this crate. It does the same as
//! `wasmill compile`.

use std::process::ExitCode;

fn main() -> ExitCode {
    wasmill_sandbox::compile_child()
}
