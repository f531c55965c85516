//! What a workspace's webhook is told: which changes there are, what is sent of them, how it is
//! signed, where it may go and when it is tried again.

pub mod address;
pub mod backoff;
mod change;
mod notice;
mod secret;

pub use backoff::Backoff;
pub use change::Change;
pub use notice::Notice;
pub use secret::{Secret, SigningKeys};
