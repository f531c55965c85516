//! One way to run: from an invocation to a recorded end.
//!
//! Whoever starts a run makes an [`Invocation`] of it: a version, arguments, and an [`Origin`] that
//! says what started it and with whose rights. From there on it does not matter whether that was a
//! call over HTTP, a restart, or something else.
//!
//! - Nobody waits for it: [`Invocation::into_job`] is queued. The worker claims the job and makes
//!   an [`Execution`] of the claim.
//! - Its caller waits: [`Execution::of_call`], then [`attended`] runs it and says how the wait
//!   ended.
//!
//! Both end in [`Execution::run`] and [`Execution::end`], and nothing else calls the sandbox.

mod attended;
mod claimed;
mod detached;
mod execution;
mod finished;
mod invocation;
mod origin;
mod runner;
mod running;

pub(crate) use attended::attended;
pub(crate) use execution::{Execution, failed};
pub(crate) use finished::{Finished, Wait};
pub(crate) use invocation::{Invocation, QueueOptions, WAITED_PRIORITY};
pub(crate) use origin::Origin;
pub(crate) use runner::{Parts, Runner};
pub(crate) use running::Noted;
