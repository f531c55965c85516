//! One host for all tests that leave it as they found it, so that not every test pays for a start.

use crate::guests::guest;
use crate::host::Host;
use std::sync::{Arc, Mutex, PoisonError, Weak};

static SHARED: Mutex<Weak<Host>> = Mutex::new(Weak::new());

/// The shared host, with `u/tests/hello` and `u/tests/misbehave` deployed. It lives as long as a
/// test has it: a static would never be dropped, and the process left behind. Each test deploys to
/// paths of its own.
pub fn shared() -> Arc<Host> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(host) = shared.upgrade() {
        return host;
    }
    let host = Arc::new(Host::start(&[]));
    host.push("u/tests/hello", &guest("hello"));
    host.push("u/tests/misbehave", &guest("misbehave"));
    // The same guest on a short leash, for what would go on for ever.
    host.push("u/tests/brief?timeout_s=1", &guest("misbehave"));
    *shared = Arc::downgrade(&host);
    host
}
