//! What a webhook call is: its arguments, and the ways in which it is answered.

mod answers;
mod arguments;
pub(crate) mod in_turn;
pub(crate) mod mode;
pub(crate) mod queued;
pub(crate) mod stream;
pub(crate) mod sync;

pub(crate) use answers::{labelled, preflight, probe};
pub(crate) use arguments::{arguments, options};
