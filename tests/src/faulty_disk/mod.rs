//! A disk that fails on demand, and forgets what was not synced when its power is cut.
//!
//! A host runs with a library between it and its disk (`tests/faulty-disk/shim.c`), which notes
//! what is done to its files and makes calls fail as it is told. From the notes, a [`Disk`] knows
//! what a power cut might leave.

mod disk;
mod durable;
mod notes;
mod shim;

pub use disk::Disk;
pub use durable::Cut;
pub use notes::{Note, read_notes};
pub use shim::{FaultyDisk, Orders};
