//! Queued jobs: the worker that runs them, its lease, how they are cancelled, and what is done for
//! them now and then.

pub(crate) mod cancel;
pub(crate) mod lease;
pub(crate) mod maintenance;
pub(crate) mod periodic;
mod retention;
pub(crate) mod worker;
