//! The `wasmill` binary: command line in, exit code out.

#![forbid(unsafe_code)]

mod admission;
mod api;
mod auth;
mod backup;
mod calls;
mod cli;
mod clock;
mod files;
mod host;
mod http;
mod ids;
mod jobs;
mod modules;
mod nodes;
mod outbox;
mod patience;
mod random;
mod resolve;
mod run;
mod serve;
mod settings;
mod shared_artefacts;
mod stop;
mod store_errors;
mod values;

/// A call allocates and frees some hundred small things; the C library's allocator took an eighth
/// of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
