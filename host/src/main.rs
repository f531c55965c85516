//! The `wasmill` binary: command line in, exit code out.

#![forbid(unsafe_code)]

mod api;
mod backup;
mod cli;
mod clock;
mod files;
mod host;
mod jobs;
mod modules;
mod nodes;
mod outbox;
mod patience;
mod random;
mod resolve;
mod serve;
mod shared_artefacts;
mod stop;
mod values;
mod webhook;

/// A call allocates and frees some hundred small things; the C library's allocator took an eighth
/// of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
