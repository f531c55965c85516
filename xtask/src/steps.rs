//! Steps of a command: announced, timed, and some of them at the same time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;

/// How long each step took, by its words.
static TAKEN: Mutex<Vec<(String, Duration)>> = Mutex::new(Vec::new());

/// Prints `what`, does it, and prints how long it took if that was long enough to wonder.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("{what}");
    let begun = Instant::now();
    let done = work()?;
    let taken = begun.elapsed();
    if taken >= Duration::from_secs(1) {
        // Named again: another step may have begun meanwhile.
        eprintln!("  done in {:.1} s: {what}", taken.as_secs_f64());
    }
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner).push((what.to_owned(), taken));
    Ok(done)
}

/// Does two things at the same time and waits for both. The error of the first that fails is
/// printed at once, for the other may go on for minutes.
pub(crate) fn both<A: Send, B>(
    one: impl FnOnce() -> Result<A> + Send,
    other: impl FnOnce() -> Result<B>,
) -> Result<(A, B)> {
    std::thread::scope(|scope| {
        let one = scope.spawn(|| told(one()));
        let other = told(other());
        let one = one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((one?, other?))
    })
}

fn told<T>(outcome: Result<T>) -> Result<T> {
    if let Err(error) = &outcome {
        eprintln!("error: {error:#}; waiting for what runs beside it");
    }
    outcome
}

/// The steps that took longest, the longest first. Steps that ran at the same time count in full,
/// so that the sum can be more than the whole.
pub(crate) fn slowest(count: usize) -> Vec<(String, Duration)> {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    taken.sort_by_key(|(_, taken)| std::cmp::Reverse(*taken));
    taken.truncate(count);
    taken
}
