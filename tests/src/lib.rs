//! The harness of the tests: starts the built host on a folder of its own, calls it over HTTP and
//! by its command line.
//!
//! Nothing of the host is linked in here. What is tested is what is shipped: the binary, its
//! addresses, its exit codes.

mod cli;
mod cluster;
mod endings;
mod faulty_disk;
mod guests;
mod home;
mod host;
mod http;
mod integrity;
mod load;
mod modules;
mod operations;
mod peers;
mod random;
mod raw;
mod receiver;
mod search;
mod shared;
mod small_disk;
mod torture;
mod wire_cutter;

pub use cli::{Cli, Printed};
pub use cluster::Cluster;
pub use endings::{Endings, drained, endings, queued_names};
pub use faulty_disk::{Cut, Disk, FaultyDisk, Note, Orders, read_notes};
pub use guests::{guest, sample_file};
pub use home::Home;
pub use host::{Deployed, Host};
pub use http::{Answer, Request};
pub use integrity::integrity;
pub use load::{Acknowledged, Ledger, Load, Plan, call_again};
pub use modules::{Bomb, command, component, entry_answering, many_functions, many_locals, typed};
pub use operations::{Operation, operations};
pub use peers::{Caddy, peer};
pub use random::Random;
pub use raw::{RawAnswer, Wire};
pub use receiver::{Reaction, Receiver, Told};
pub use search::found_below;
pub use shared::shared;
pub use small_disk::SmallDisk;
pub use torture::{Torture, torture};
pub use wire_cutter::WireCutter;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The root of the repository.
pub fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the tests lie in a folder of the repository").to_path_buf()
}

/// Looks again and again until something is there; panics naming it when that takes longer than
/// `within` seconds.
pub fn eventually<T>(what: &str, within: u64, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(within);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {within} s");
        std::thread::sleep(Duration::from_millis(20));
    }
}
