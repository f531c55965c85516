//! The host against faults: killed, stopped, without power, with a disk that is full, slow, broken
//! or damaged.
//!
//! These tests run shortly with all others, and for long by `cargo xtask torture`.

mod damage;
mod disk;
mod full;
mod kills;
mod power;
mod stops;
mod syncs;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where the script is that clients call.
const PATH: &str = "u/tests/hello";

/// Held by tests that put a host under load, so that they do not measure one another.
fn alone() -> MutexGuard<'static, ()> {
    static LOAD: Mutex<()> = Mutex::new(());
    LOAD.lock().unwrap_or_else(PoisonError::into_inner)
}
