//! How long the tests with faults go on: shortly with the others, and for long when they are asked
//! to.

/// How much of each.
#[derive(Debug, Clone, Copy)]
pub struct Torture {
    /// How often a host is killed under load.
    pub kills: u64,
    /// Hosts whose disk's power is cut.
    pub cases: u64,
    /// Disks that a power cut may leave, for each of them.
    pub disks: u64,
    /// How often a host is stopped under load.
    pub stops: u64,
    /// Seconds for which hosts that share a database are killed at random.
    pub cluster_seconds: u64,
}

/// Set by `cargo xtask torture`: `WASMILL_TORTURE=1`, and `WASMILL_TORTURE_KILLS` and
/// `WASMILL_TORTURE_CASES` for other numbers.
pub fn torture() -> Torture {
    let number = |name: &str, default: u64| match std::env::var(name) {
        Ok(text) => {
            text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}; it must be a number"))
        }
        Err(_) => default,
    };
    let long = number("WASMILL_TORTURE", 0) != 0;
    Torture {
        kills: number("WASMILL_TORTURE_KILLS", if long { 200 } else { 10 }),
        cases: number("WASMILL_TORTURE_CASES", if long { 30 } else { 3 }),
        disks: if long { 9 } else { 6 },
        stops: if long { 30 } else { 3 },
        cluster_seconds: if long { 600 } else { 12 },
    }
}
