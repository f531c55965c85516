//! HTTP as every part of the roof needs it: bodies in, answers and events out.

pub(crate) mod body;
pub(crate) mod events;
pub(crate) mod respond;
