//! The webhook of a workspace: the changes, the messages about them and their signatures, the
//! addresses that may be called, and the schedule of attempts.

pub mod address;
pub mod backoff;
mod change;
mod notice;
mod secret;

pub use backoff::Backoff;
pub use change::Change;
pub use notice::Notice;
pub use secret::{Secret, SigningKeys};
