//! The ways in which a webhook call is answered, and the words in its address that choose one.

/// How a webhook call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// With the result.
    Sync,
    /// With the job's id.
    Queued,
    /// With its log as it comes, then the result: server-sent events.
    Stream,
    /// With nothing: HEAD asks whether it exists, and whether this token may run it.
    Probe,
}

/// The words that begin a webhook's address, after the workspace.
pub(crate) const MODES: [(&str, Mode); 3] = [
    ("jobs/run/", Mode::Queued),
    ("jobs/run_wait_result/", Mode::Sync),
    ("jobs/run_and_stream/", Mode::Stream),
];
