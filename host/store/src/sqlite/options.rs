//! Bounds of the store, and the name of its file.

use std::time::Duration;

/// Name of the database in the data directory.
pub const FILE: &str = "wasmill.db";

/// Bounds of the store, with their defaults.
#[derive(Debug, Clone)]
pub struct Options {
    /// Read-only connections. Default 4.
    pub readers: usize,
    /// Operations and records on their way to the writer. Default 65,536: seconds of work for it.
    pub channel: usize,
    /// Operations and records in one transaction at most. Default 1,024: more than that gains
    /// nothing.
    pub batch: usize,
    /// How long records alone wait for company. Default 10 ms, which halves their cost.
    pub linger: Duration,
    /// How long committed records stay at the mercy of a power cut. Default 1 s.
    pub barrier: Duration,
    /// How long erased data may still be found in the log's file. Default 5 s.
    pub scrub: Duration,
    /// Pages of log after which it is copied into the database. Default 4,000 of 4 KiB.
    pub checkpoint_pages: u32,
    /// Payload bytes of records on their way; above it they are kept without payload. Default 256
    /// MiB.
    pub record_bytes: usize,
    /// Largest size of the database file in bytes. Default: the disk's.
    pub max_bytes: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readers: 4,
            channel: 65_536,
            batch: 1_024,
            linger: Duration::from_millis(10),
            barrier: Duration::from_secs(1),
            scrub: Duration::from_secs(5),
            checkpoint_pages: 4_000,
            record_bytes: 256 << 20,
            max_bytes: None,
        }
    }
}
