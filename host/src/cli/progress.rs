//! How far long work has come, on stderr: one line that changes on a terminal, elsewhere a line now
//! and then.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines where nobody is watching.
const QUIET: Duration = Duration::from_secs(10);
/// Between two changes of the line on a terminal.
const LIVELY: Duration = Duration::from_millis(100);

/// The progress of one command.
pub(crate) struct Progress {
    on_terminal: bool,
    state: Mutex<State>,
}

struct State {
    last: Instant,
    shown: bool,
}

impl Progress {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        let on_terminal = std::io::stderr().is_terminal();
        Self { on_terminal, state: Mutex::new(State { last: Instant::now(), shown: false }) }
    }

    /// Says how far it has come, if it has not been said just now.
    pub(crate) fn tell(&self, what: &str, done: u64, all: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.elapsed() < if self.on_terminal { LIVELY } else { QUIET } {
            return;
        }
        (state.last, state.shown) = (Instant::now(), true);
        let percent = done.saturating_mul(100).checked_div(all).unwrap_or(100);
        // A stderr that is closed is no reason to stop.
        let mut err = std::io::stderr().lock();
        let _ = if self.on_terminal {
            write!(err, "\r\x1b[K{what}: {percent} %")
        } else {
            writeln!(err, "{what}: {percent} %")
        };
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.on_terminal && self.state.get_mut().unwrap_or_else(PoisonError::into_inner).shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
