//! Logs a line a second, to watch a run while it goes on, to cancel it, or to see it reach its time
//! limit.

use std::thread::sleep;
use std::time::Duration;

use serde::Serialize;

/// How long the script slept.
#[derive(Serialize)]
struct Slept {
    slept: u32,
}

/// Sleeps, and says so every second.
#[wasmill_guest::main]
fn main(
    /// How many seconds to sleep; 5 if left out.
    seconds: Option<u32>,
) -> Slept {
    let seconds = seconds.unwrap_or(5);
    for second in 1..=seconds {
        sleep(Duration::from_secs(1));
        println!("{second} of {seconds} seconds");
    }
    Slept { slept: seconds }
}
