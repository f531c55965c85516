//! The rules of the queue: which states a job passes through, when a failed one is tried again,
//! which workspace is next, and what may run beside what.

pub mod concurrency;
pub mod fair;
pub mod retry;
pub mod state;

pub use concurrency::Concurrency;
pub use fair::Shares;
pub use retry::RetryPolicy;
