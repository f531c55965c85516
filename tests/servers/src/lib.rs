//! Servers of others that tests and benchmarks start for themselves, each on a free port of the loopback with its data in
//! a temporary folder.
//!
//! None outlives the process that started it: dropping one stops it, and should the process end without that, the kernel
//! tells the server to stop, and its folder is removed.

mod folder;
mod postgres;
mod process;

pub use postgres::{Postgres, PostgresOptions, shared};

use std::time::{Duration, Instant};

/// Looks again and again until something is there; panics naming it when that takes longer than `within` seconds.
fn eventually<T>(what: &str, within: u64, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(within);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {within} s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port of the loopback that nobody listens on at this moment.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}
