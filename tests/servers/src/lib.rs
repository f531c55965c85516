//! Servers of others that tests and benchmarks start for themselves, each on a free port of the
//! loopback with its data in a temporary folder.
//!
//! None outlives the process that started it: dropping one stops it, and should the process end
//! without that, the kernel tells the server to stop, and its folder is removed.

mod folder;
mod moto;
mod postgres;
mod process;
mod s3s;

pub use moto::Moto;
pub use postgres::{Postgres, PostgresOptions, shared};
pub use s3s::S3s;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Looks again and again until something is there; panics naming it when that takes longer than
/// `within` seconds.
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

/// True when somebody listens on a port of the loopback.
fn is_listening(port: u16) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// A program that `cargo xtask peers` installs.
fn installed(name: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root =
        here.ancestors().nth(2).expect("this crate lies two folders below the repository's root");
    let file = root.join("target/peers").join(name);
    assert!(file.exists(), "there is no {}; install it by `cargo xtask peers`", file.display());
    file
}
