//! The log of a host.

/// Starts logging to stderr: text on a terminal, JSON lines elsewhere. `WASMILL_LOG` chooses what,
/// `info` unless set.
pub(super) fn start_logging() {
    use std::io::IsTerminal as _;
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("WASMILL_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() { builder.compact().init() } else { builder.json().init() }
}
