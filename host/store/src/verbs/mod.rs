//! The verbs of a store, a trait for each subject.

mod accounts;
mod nodes;
mod outbox;
mod queue;
mod runs;
mod scripts;
mod values;

pub use accounts::Accounts;
pub use nodes::Nodes;
pub use outbox::Outbox;
pub use queue::Queue;
pub use runs::Runs;
pub use scripts::Scripts;
pub use values::Values;

/// Everything the host stores but module bytes, which are in [`Blobs`](crate::blobs::Blobs).
pub trait Store: Accounts + Scripts + Queue + Runs + Values + Outbox + Nodes {}
impl<T: Accounts + Scripts + Queue + Runs + Values + Outbox + Nodes> Store for T {}
