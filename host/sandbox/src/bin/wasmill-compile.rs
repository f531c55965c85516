//! The compile child on its own, for this crate's tests: what `wasmill compile` does in the
//! product.

use std::process::ExitCode;

fn main() -> ExitCode {
    wasmill_sandbox::compile_child()
}
