//! What the nodes of one store tell each other.

use wasmill_core::JobId;

/// A hint from one node to all. It may be lost, come late or come twice: whatever it tells of is
/// also found by looking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// Jobs were queued, or became due again.
    Queued,
    /// Awaited jobs are over: these.
    Ended(Vec<JobId>),
    /// Running jobs were cancelled.
    Canceled,
    /// The store's generation has grown: what is remembered of scripts and tokens may be wrong.
    Changed,
    /// Something may be due in the outbox.
    Outbox,
}
